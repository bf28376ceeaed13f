"""Generated pictures of people, judged against their photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import ImageError
from reage.evaluation.identity_protocol import GeneratedPictures, judge_generated, read_generated
from reage.evaluation.judges import Judges
from reage.evaluation.report.tables import Figure
from reage.images import Image, save_image
from reage.types import Pixels

PEOPLE, EACH = 12, 20
GENUINE, MISSED, FACELESS = 0.3, 0.25, 0.1
"""Distance of most pictures; the shares of those that do not match, and of those without a face."""


def identity_at(person: int, distance: float, row: int) -> np.ndarray:
    """An identity so far from the person's own, in a direction that depends on the row; people are 1.4 apart."""
    identity = np.zeros(128)
    identity[person] = 1.0
    identity[PEOPLE + row % (128 - PEOPLE)] = distance
    return identity


@pytest.fixture(scope="module")
def pictures() -> GeneratedPictures:
    """Of each person: old ones, one in four of whom is far off, and children, one in ten without a face."""
    person, label, identities, years = [], [], [], []
    for who in range(PEOPLE):
        for number in range(EACH):
            missed, faceless = number < MISSED * EACH, number < FACELESS * EACH
            old, child = identity_at(who, 3.0 if missed else GENUINE, number), identity_at(who, GENUINE, number)
            person += [f"P{who}"] * 2
            label += ["old", "child"]
            identities += [old, np.full(128, np.nan) if faceless else child]
            years += [75.0, np.nan if faceless else 30.0]
    return GeneratedPictures(
        person=np.array(person),
        label=np.array(label),
        identities=np.array(identities),
        years=np.array(years),
        photo_person=np.array([f"P{who}" for who in range(PEOPLE) for _ in range(2)]),
        photo_identities=np.array([identity_at(who, 0.1 * second, 0) for who in range(PEOPLE) for second in range(2)]),
    )


def value(cell: object) -> float:
    assert isinstance(cell, Figure), cell
    return cell.value


def test_each_age_group_is_judged_by_itself(pictures: GeneratedPictures) -> None:
    table = judge_generated(pictures, "age-b")
    assert list(table.rows) == ["all", "child", "old", "between photos"]
    shown, distance, csim, missed, missed_rarer, right = map(value, table.rows["old"])
    assert (shown, right) == (1.0, 1.0)
    assert distance == pytest.approx(GENUINE, abs=0.02)
    assert 0.3 < csim < 1
    assert missed == pytest.approx(MISSED)
    assert missed_rarer == pytest.approx(MISSED)
    shown, _, _, missed, *_, right = map(value, table.rows["child"])
    assert shown == pytest.approx(1 - FACELESS)
    assert missed == pytest.approx(FACELESS)
    assert right == 0.0
    assert value(table.rows["all"][3]) == pytest.approx((MISSED + FACELESS) / 2)


def test_photos_of_one_person_are_compared_with_each_other(pictures: GeneratedPictures) -> None:
    _, distance, csim, missed, *_ = judge_generated(pictures, "age-b").rows["between photos"]
    assert value(distance) == pytest.approx(0.1)
    assert value(csim) > 0.99
    assert value(missed) == 0.0


def test_an_unknown_threshold_gives_no_rate(pictures: GeneratedPictures) -> None:
    some = np.arange(0, len(pictures.person), 20)
    few = GeneratedPictures(
        person=pictures.person[some],
        label=pictures.label[some],
        identities=pictures.identities[some],
        years=pictures.years[some],
        photo_person=pictures.photo_person,
        photo_identities=pictures.photo_identities,
    )
    table = judge_generated(few, "age-b")
    assert [str(cell) for cell in table.rows["all"][3:5]] == ["not resolvable"] * 2
    assert "FMR 0.1% needs 10000" in table.note


@pytest.fixture
def folders(photo: Pixels, tmp_path: Path) -> tuple[Path, Path]:
    """A photo of mia, and her generated pictures: one that was kept, one that was rejected, and their sheet."""
    photos, generated = tmp_path / "photos", tmp_path / "generated"
    wall = np.full((80, 80, 3), 120, np.uint8)
    for path, pixels in (
        (photos / "mia" / "me.png", photo),
        (generated / "mia" / "old" / "001.png", photo),
        (generated / "mia" / "old" / "rejected" / "002-no-face.png", wall),
        (generated / "mia" / "old" / "sheet.png", photo),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(Image(pixels=pixels), path)
    return photos, generated


def test_pictures_are_read_from_the_folders_that_imagine_writes(folders: tuple[Path, Path]) -> None:
    found = read_generated(*folders, Judges.load())
    assert (found.person.tolist(), found.label.tolist(), found.photo_person.tolist()) == (
        ["mia"] * 2,
        ["old"] * 2,
        ["mia"],
    )
    assert np.isnan(found.years).tolist() == [False, True]
    np.testing.assert_allclose(found.identities[0], found.photo_identities[0])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("lost", "There is no photo of mia"),
        ("empty", "holds no photos"),
        ("label", "is not an age group; use child"),
        ("faceless", "No face was found in the photo"),
    ],
)
def test_folders_that_do_not_fit_are_refused_in_a_sentence(
    folders: tuple[Path, Path], spoil: str, sentence: str
) -> None:
    photos, generated = folders
    if spoil == "lost":
        (photos / "mia").rename(photos / "ann")
    elif spoil == "empty":
        (photos / "mia" / "me.png").unlink()
    elif spoil == "label":
        (generated / "mia" / "old").rename(generated / "mia" / "ancient")
    else:
        save_image(Image(pixels=np.full((80, 80, 3), 120, np.uint8)), photos / "mia" / "wall.png")
    with pytest.raises(ImageError, match=sentence):
        read_generated(photos, generated, Judges.load())
