"""Places: files written whole or not at all in any file system, and one sentence for whatever goes wrong."""

from __future__ import annotations

import pickle
import sys
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from reage.cluster import Place
from reage.errors import ImageError, ReageError


def test_files_are_written_listed_read_and_removed(places: tuple[Place, Place]) -> None:
    place = pickle.loads(pickle.dumps(places[0]))
    assert place.list_files() == []
    place.write("2001/summer/me.jpg", b"me")
    place.write("you.jpg", b"you all")
    files = place.list_files()
    assert [(file.name, file.num_bytes) for file in files] == [("2001/summer/me.jpg", 2), ("you.jpg", 7)]
    assert place.read_several(["you.jpg", "2001/summer/me.jpg"]) == [b"you all", b"me"]
    place.write("you.jpg", b"you two")
    again = place.list_files()
    assert place.read("you.jpg") == b"you two"
    assert [a.stamp == b.stamp for a, b in zip(files, again, strict=True)] == [True, False]
    place.remove(["2001/summer/me.jpg"])
    assert place.holds("you.jpg")
    assert not place.holds("2001/summer/me.jpg")
    place.check_writable()
    assert [file.name for file in place.list_files()] == ["you.jpg"]


def test_a_missing_file_is_a_sentence_with_its_address(places: tuple[Place, Place]) -> None:
    with pytest.raises(ImageError, match=r"photos/me\.jpg' could not be read \(.*\); check the address"):
        places[0].read("me.jpg")


def test_addresses_of_one_folder_are_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    addresses = {Place(given).address for given in ("a", "./a/", f"file://{tmp_path}/a", str(tmp_path / "a"))}
    assert addresses == {str(tmp_path / "a")}
    assert Place("a").contains(Place("a/b"))
    assert not Place("a").contains(Place("ab"))


def test_unknown_and_uninstalled_stores_are_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "s3fs", None)
    for address in ("s3://bucket/photos", "nonsense://photos"):
        with pytest.raises(ReageError, match=r"cannot be opened .* install the package"):
            Place(address)


class _Broken(MemoryFileSystem):
    """Loses every file on the way to its name."""

    protocol = "broken"

    def mv(self, *_: object, **__: object) -> None:
        raise RuntimeError("the line is\ndown")


class _Bucket(_Broken):
    """A store in which a file appears whole, so that it needs no other name."""

    protocol = "oci"

    def makedirs(self, *_: object, **__: object) -> None:
        raise AssertionError("a bucket would be made")

    def rmdir(self, *_: object) -> None:
        raise AssertionError("a bucket would be deleted")


def test_a_file_that_could_not_be_finished_leaves_nothing() -> None:
    fsspec.register_implementation("broken", _Broken, clobber=True)
    place = Place("broken://results")
    with pytest.raises(ImageError, match=r"me\.jpg' could not be written \(the line is down\)"):
        place.write("me.jpg", b"me")
    assert place.list_files() == []


def test_stores_without_half_files_get_them_under_their_names() -> None:
    fsspec.register_implementation("oci", _Bucket, clobber=True)
    place = Place("oci://results")
    place.write("me.jpg", b"me")
    assert place.read("me.jpg") == b"me"
    place.remove(["me.jpg"])
