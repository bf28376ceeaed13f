"""Judging sketches, on two people and tiny nets."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from reage.data.sketch_sets import SketchPair
from reage.errors import FaceNotFound
from reage.evaluation import sketch as judged
from reage.faces.segmentation import FaceParser
from reage.images import Image, save_image
from reage.matching import MODES, Matcher
from reage.sketch import Sketcher
from reage.types import Face, Pixels


@pytest.fixture(scope="module")
def subjects(make_portrait: Callable, to_columns: Callable, face: Face) -> list[judged.Subject]:
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return judged.draw_subjects(portraits, FaceParser.load(), 5, ("pencil",))


def test_a_subject_has_what_is_judged(subjects: list[judged.Subject]) -> None:
    assert len({subject.person for subject in subjects}) == 2
    assert subjects[0].references["pencil"].shape == (256, 256, 3)
    assert len(subjects[0].probes["pencil"]) > len(subjects[0].photo)


def test_drawings_are_compared_with_what_they_should_be(subjects: list[judged.Subject], sketcher: Sketcher) -> None:
    table = judged.judge_drawings(subjects, sketcher)
    assert list(table.rows) == ["pencil, net", "pencil, photo in grey"]
    net, photo = (row[0].value for row in table.rows.values())  # type: ignore[union-attr]
    assert net < photo
    assert "drawn by rules" in table.to_markdown()


def test_sketches_are_matched_in_every_way(subjects: list[judged.Subject], sketcher: Sketcher) -> None:
    found = judged.score_matches(subjects, [Matcher("dlib", sketcher=sketcher)])
    assert [one.mode for one in found] == list(MODES)
    direct = found[0].scores
    assert direct.shape == (2, 2)
    table = judged.tabulate_matches(found, 2)
    assert next(iter(table.rows)) == "pencil, direct, dlib"
    assert table.rows["pencil, direct, dlib"][0].value == 1.0  # type: ignore[union-attr]


def test_probes_of_another_photo_are_searched_for_among_strangers(
    make_portrait: Callable, to_columns: Callable, face: Face, sketcher: Sketcher
) -> None:
    mirrored = face.crop[:, ::-1].copy()
    portraits = to_columns(
        [
            make_portrait(face.crop, age_years=50.0),
            make_portrait(face.crop // 2, age_years=40.0),
            make_portrait(mirrored, person="P1"),
        ]
    )
    subjects = judged.draw_other_photos(portraits, FaceParser.load(), 5, ("pencil",))
    assert [subject.person for subject in subjects] == ["P0", "P1"]
    assert [len(subject.probes) for subject in subjects] == [1, 0]
    assert subjects[0].photo.mean() < subjects[1].photo.mean()
    (found, *_) = judged.score_matches(subjects, [Matcher("dlib", sketcher=sketcher)], ("direct",))
    assert found.scores.shape == (1, 2)
    assert "and of 1 others" in judged.tabulate_matches([found], 1, 1).to_markdown()


def test_artists_pairs_are_brought_into_one_frame(sketcher: Sketcher, photo: Pixels, tmp_path: Path) -> None:
    save_image(Image(pixels=photo), tmp_path / "photo.png", altered=False)
    grey = np.repeat(photo.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    save_image(Image(pixels=grey), tmp_path / "sketch.png", altered=False)
    save_image(Image(pixels=np.full_like(photo, 80)), tmp_path / "wall.png", altered=False)
    pairs = [SketchPair(tmp_path / "photo.png", tmp_path / name, name, "test") for name in ("sketch.png", "wall.png")]
    (subject,) = judged.read_subjects(pairs, sketcher.finder)
    assert list(subject.references) == [judged.ARTIST]
    with pytest.raises(FaceNotFound, match="In none of the 1 pairs"):
        judged.read_subjects(pairs[1:], sketcher.finder)
