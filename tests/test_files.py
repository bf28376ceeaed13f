"""Files are complete or not there, and a refusal is one sentence."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from reage.errors import ReageError, WeightsError
from reage.files import replace_file, replace_files


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
