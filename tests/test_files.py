"""Files are complete or not there, and a refusal is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reage.errors import ReageError, WeightsError
from reage.files import (
    check_place,
    is_stream,
    open_whole,
    remove_abandoned,
    replace_file,
    replace_files,
    shorten_name,
)


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    path = tmp_path / "faces.csv"
    with replace_file(path) as unfinished:
        unfinished.write_text("age")
        assert unfinished.suffix == ".csv"
        assert not path.exists()
    return path


def test_what_was_written_is_there_and_nothing_else(faces: Path) -> None:
    assert faces.read_text() == "age"
    with replace_file(str(faces)) as unfinished:
        unfinished.write_text("younger")
        assert faces.read_text() == "age"
    assert faces.read_text() == "younger"
    assert os.listdir(faces.parent) == ["faces.csv"]


def break_off(path: Path, failure: type[BaseException]) -> None:
    with replace_file(path) as unfinished:
        unfinished.write_text("half")
        raise failure


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failure_keeps_the_old_file_and_passes_through(faces: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure):
        break_off(faces, failure)
    assert faces.read_text() == "age"
    assert os.listdir(faces.parent) == ["faces.csv"]


@pytest.mark.parametrize("error", [ReageError, WeightsError])
def test_a_refusal_of_the_system_is_one_sentence(faces: Path, error: type[ReageError]) -> None:
    with pytest.raises(error) as refusal, replace_file(faces, error):
        raise OSError(28, "No space left\non device.")
    assert refusal.type is error
    assert str(refusal.value) == f"'{faces}' could not be written (No space left on device); choose another place."
    assert faces.read_text() == "age"


def test_a_place_that_cannot_be_written_to_is_refused(faces: Path) -> None:
    for place in (faces / "inside.csv", faces.parent / "nowhere" / "faces.csv", faces.parent):
        with pytest.raises(ReageError, match="choose another place"), replace_file(place) as unfinished:
            unfinished.write_text("age")
    assert os.listdir(faces.parent) == ["faces.csv"]


# Several files


def write_all(paths: list[Path], failure: type[BaseException] | None = None) -> None:
    with replace_files(paths) as unfinished:
        for path in paths:
            unfinished[path].write_text("new")
            assert not path.exists() or path.read_text() == "age"
        if failure:
            raise failure


def test_several_files_appear_together(faces: Path) -> None:
    paths = [faces, faces.with_name("zones.csv")]
    write_all(paths)
    assert [path.read_text() for path in paths] == ["new", "new"]
    assert sorted(os.listdir(faces.parent)) == ["faces.csv", "zones.csv"]


@pytest.mark.parametrize("failure", [ZeroDivisionError, KeyboardInterrupt])
def test_a_failure_writes_none_of_several_files(faces: Path, failure: type[BaseException]) -> None:
    with pytest.raises(failure):
        write_all([faces, faces.with_name("zones.csv")], failure)
    assert faces.read_text() == "age"
    assert os.listdir(faces.parent) == ["faces.csv"]


def test_a_folder_that_cannot_be_written_to_is_refused(faces: Path) -> None:
    with pytest.raises(WeightsError, match=r"cannot be written to .*; choose another folder\.$"):  # noqa: SIM117
        with replace_files([faces / "inside.csv"], WeightsError):
            pass


# Names, places, pipes


def test_a_place_is_checked_by_a_file_that_is_deleted(tmp_path: Path) -> None:
    check_place(tmp_path / "faces.csv")
    check_place(tmp_path / ("n" * 255))
    assert os.listdir(tmp_path) == []
    for name, reason in (("n" * 256, "256 bytes"), ("ü" * 128, "256 bytes"), ("missing/faces.csv", "could not")):
        with pytest.raises(WeightsError, match=reason):
            check_place(tmp_path / name, WeightsError)


def test_only_names_that_are_too_long_are_shortened() -> None:
    assert shorten_name("me", "-70.jpg") == "me-70.jpg"
    assert shorten_name("n" * 248, "-70.jpg") == "n" * 248 + "-70.jpg"
    short = shorten_name("ü" * 127, "-70.jpg")
    assert 250 < len(short.encode()) <= 255
    assert short.endswith("-70.jpg")
    assert shorten_name("ü" * 126 + "ö", "-70.jpg") != short


def test_files_of_processes_that_ended_are_deleted(tmp_path: Path) -> None:
    with replace_file(tmp_path / "faces.csv") as unfinished:
        unfinished.touch()
        own = unfinished.name
        pid = f"-{os.getpid()}-"
        assert own.count(pid) == 1
        abandoned = [own.replace(pid, "-999999999-"), own.replace(pid, f"-{2**40}-")]
        others = [own.replace(".reage-", ".reage-0"), ".reage-notes.txt", "me.jpg"]
        for name in (*abandoned[:1], *others):
            (tmp_path / name).touch()
        remove_abandoned(tmp_path)
        assert set(os.listdir(tmp_path)) == {own, *others}
    remove_abandoned(tmp_path / "missing")


def test_an_address_is_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(WeightsError, match="fetch it first"):
        open_whole(Path("https://example.org/me.jpg"), WeightsError)
    Path("https:/example.org").mkdir(parents=True)
    Path("https://example.org/me.jpg").write_bytes(b"a file after all")
    with open_whole(Path("https://example.org/me.jpg")) as file:
        assert file.read() == b"a file after all"


def test_a_pipe_is_read_whole(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.write(writing, b"a photo")
    os.close(writing)
    path = Path(f"/dev/fd/{reading}")
    assert is_stream(path)
    with open_whole(path) as file:
        assert (file.read(), file.seek(2), file.read()) == (b"a photo", 2, b"photo")
    os.close(reading)
    assert not is_stream(tmp_path)
    assert not is_stream(tmp_path / "missing")
