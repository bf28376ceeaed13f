"""The resume file says what is finished, and is never mistaken for something else."""

from __future__ import annotations

from pathlib import Path

import pytest

from reage.errors import ImageError
from reage.folders import FolderPhoto, ResumeFile


@pytest.fixture
def photos(tmp_path: Path) -> list[FolderPhoto]:
    """Two photos with results."""
    made = [FolderPhoto(source=tmp_path / name, output=tmp_path / f"aged-{name}") for name in ("me.jpg", "you.jpg")]
    for photo in made:
        photo.source.write_bytes(b"a photo")
        photo.output.write_bytes(b"a result")
    return made


def test_a_finished_photo_is_known_in_the_next_run(tmp_path: Path, photos: list[FolderPhoto]) -> None:
    path = tmp_path / "run.jsonl"
    first = ResumeFile(path, "at 70")
    assert not path.exists()
    first.add(photos[0])
    again = ResumeFile(path, "at 70")
    assert [again.holds(photo) for photo in photos] == [True, False]
    again.add(photos[1])
    assert [ResumeFile(path, "at 70").holds(photo) for photo in photos] == [True, True]


def test_a_changed_photo_or_a_lost_result_is_not_finished(tmp_path: Path, photos: list[FolderPhoto]) -> None:
    resume = ResumeFile(tmp_path / "run.jsonl", "at 70")
    for photo in photos:
        resume.add(photo)
    photos[0].source.write_bytes(b"another photo")
    photos[1].output.unlink()
    again = ResumeFile(tmp_path / "run.jsonl", "at 70")
    assert [again.holds(photo) for photo in photos] == [False, False]


def test_a_line_that_was_cut_off_costs_one_photo(tmp_path: Path, photos: list[FolderPhoto]) -> None:
    path = tmp_path / "run.jsonl"
    resume = ResumeFile(path, "at 70")
    for photo in photos:
        resume.add(photo)
    path.write_bytes(path.read_bytes()[:-20])
    again = ResumeFile(path, "at 70")
    assert [again.holds(photo) for photo in photos] == [True, False]
    again.add(photos[1])
    assert [ResumeFile(path, "at 70").holds(photo) for photo in photos] == [True, True]


def test_another_file_is_refused_and_kept(tmp_path: Path, photos: list[FolderPhoto]) -> None:
    ResumeFile(tmp_path / "run.jsonl", "at 70").add(photos[0])
    with pytest.raises(ImageError, match="other options"):
        ResumeFile(tmp_path / "run.jsonl", "at 30")
    with pytest.raises(ImageError, match="not a resume file"):
        ResumeFile(photos[0].source, "at 70")
    assert photos[0].source.read_bytes() == b"a photo"
    for place in (tmp_path, tmp_path / "missing" / "run.jsonl", tmp_path / ("n" * 256)):
        with pytest.raises(ImageError):
            ResumeFile(place, "at 70")
