"""Pictures drawn of people, judged against their photos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import ImageError
from reage.evaluation.identity_protocol import Generated, judge_generated, read_generated
from reage.evaluation.judges import Judges
from reage.evaluation.report.tables import Figure
from reage.images import Image, save_image
from reage.types import Pixels

PEOPLE, EACH = 12, 20
GENUINE, MISSED, FACELESS = 0.3, 0.25, 0.1
"""Distance of most pictures; the shares of those that are lost, and of those without a face."""


def place(person: int, far: float, row: int) -> np.ndarray:
    """An identity so far from the person's own, each time in another direction; people are 1.4 apart."""
    identity = np.zeros(128)
    identity[person] = 1.0
    identity[PEOPLE + row % (128 - PEOPLE)] = far
    return identity


@pytest.fixture(scope="module")
def drawn() -> Generated:
    """Of each person: old ones, one in four of whom is far off, and children, one in ten without a face."""
    person, label, identities, years = [], [], [], []
    for who in range(PEOPLE):
        for number in range(EACH):
            lost, faceless = number < MISSED * EACH, number < FACELESS * EACH
            old, child = place(who, 3.0 if lost else GENUINE, number), place(who, GENUINE, number)
            person += [f"P{who}"] * 2
            label += ["old", "child"]
            identities += [old, np.full(128, np.nan) if faceless else child]
            years += [75.0, np.nan if faceless else 30.0]
    return Generated(
        person=np.array(person),
        label=np.array(label),
        identities=np.array(identities),
        years=np.array(years),
        owner=np.array([f"P{who}" for who in range(PEOPLE) for _ in range(2)]),
        originals=np.array([place(who, 0.1 * second, 0) for who in range(PEOPLE) for second in range(2)]),
    )


def value(cell: object) -> float:
    assert isinstance(cell, Figure), cell
    return cell.value


def test_each_age_group_is_judged_by_itself(drawn: Generated) -> None:
    table = judge_generated(drawn, "age-b")
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


def test_photos_are_the_line_to_read_it_by(drawn: Generated) -> None:
    _, distance, csim, missed, *_ = judge_generated(drawn, "age-b").rows["between photos"]
    assert value(distance) == pytest.approx(0.1)
    assert value(csim) > 0.99
    assert value(missed) == 0.0


def test_a_border_that_is_not_known_is_not_told(drawn: Generated) -> None:
    some = np.arange(0, len(drawn.person), 20)
    few = Generated(
        person=drawn.person[some],
        label=drawn.label[some],
        identities=drawn.identities[some],
        years=drawn.years[some],
        owner=drawn.owner,
        originals=drawn.originals,
    )
    table = judge_generated(few, "age-b")
    assert [str(cell) for cell in table.rows["all"][3:5]] == ["not resolvable"] * 2
    assert "FMR 0.1% needs 10000" in table.note


@pytest.fixture
def folders(photo: Pixels, tmp_path: Path) -> tuple[Path, Path]:
    """A photo of mia, and what was drawn of her: one that was kept, one that was rejected, and their sheet."""
    originals, drawn = tmp_path / "photos", tmp_path / "drawn"
    wall = np.full((80, 80, 3), 120, np.uint8)
    for path, pixels in (
        (originals / "mia" / "me.png", photo),
        (drawn / "mia" / "old" / "001.png", photo),
        (drawn / "mia" / "old" / "rejected" / "002-no-face.png", wall),
        (drawn / "mia" / "old" / "sheet.png", photo),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        save_image(Image(pixels=pixels), path)
    return originals, drawn


def test_pictures_are_read_from_the_folders_that_imagine_writes(folders: tuple[Path, Path]) -> None:
    found = read_generated(*folders, Judges.load())
    assert (found.person.tolist(), found.label.tolist(), found.owner.tolist()) == (["mia"] * 2, ["old"] * 2, ["mia"])
    assert np.isnan(found.years).tolist() == [False, True]
    np.testing.assert_allclose(found.identities[0], found.originals[0])


@pytest.mark.parametrize(
    ("spoil", "sentence"),
    [
        ("lost", "There is no photo of mia"),
        ("empty", "holds no photos"),
        ("label", "is called by no age group; use child"),
        ("faceless", "No face was found in the photo"),
    ],
)
def test_folders_that_do_not_fit_are_refused_in_a_sentence(
    folders: tuple[Path, Path], spoil: str, sentence: str
) -> None:
    originals, drawn = folders
    if spoil == "lost":
        (originals / "mia").rename(originals / "ann")
    elif spoil == "empty":
        (originals / "mia" / "me.png").unlink()
    elif spoil == "label":
        (drawn / "mia" / "old").rename(drawn / "mia" / "ancient")
    else:
        save_image(Image(pixels=np.full((80, 80, 3), 120, np.uint8)), originals / "mia" / "wall.png")
    with pytest.raises(ImageError, match=sentence):
        read_generated(originals, drawn, Judges.load())
