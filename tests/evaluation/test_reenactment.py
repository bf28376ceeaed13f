"""The table of reenactment, on two photos of one person and two of another."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.data.shards import Portrait, Portraits, write_shards
from reage.data.split import split_of
from reage.errors import ReageError
from reage.evaluation.reenactment import ANOTHER, SAME, UNTOUCHED, choose_pairs, judge_reenactment
from reage.evaluation.report.tables import Figure
from reage.reenactment import Reenactor, Target
from reage.types import Face


@pytest.fixture(scope="module")
def reenactor() -> Reenactor:
    return Reenactor.load()


@pytest.fixture(scope="module")
def rows(reenactor: Reenactor, face: Face, make_portrait: Callable[..., Portrait]) -> list[Portrait]:
    """Three expressions of the demo face, and the same mirrored as another person."""
    people = [person for number in range(60) if split_of(person := f"P{number}") == "val"][:2]
    made = []
    for person, crop in zip(people, (face.crop, np.ascontiguousarray(face.crop[:, ::-1])), strict=True):
        opened = reenactor.reenact(crop, Target(expression={"jaw_open": 0.6})).image.pixels
        turned = reenactor.reenact(crop, Target(yaw=12)).image.pixels
        made += [make_portrait(picture, person=person, side_px=320) for picture in (crop, opened, turned)]
    return made


@pytest.fixture(scope="module")
def portraits(rows: list[Portrait], to_columns: Callable[[Sequence[Portrait]], Portraits]) -> Portraits:
    return to_columns(rows)


def test_pairs_are_half_of_one_person_and_half_of_two(portraits: Portraits) -> None:
    pairs = choose_pairs(portraits, 6)
    assert [pair.kind for pair in pairs] == [SAME] * 3 + [ANOTHER] * 3
    for pair in pairs:
        same = portraits.person[pair.source] == portraits.person[pair.driver]
        assert same == (pair.kind == SAME)
        assert pair.source != pair.driver
        assert pair.person == portraits.person[pair.source]
    assert pairs == choose_pairs(portraits, 6)


def test_people_with_one_picture_are_refused(portraits: Portraits) -> None:
    with pytest.raises(ReageError, match=r"^Nobody in these portraits has three pictures.*\.$"):
        choose_pairs(portraits.pick(np.array([0, 3])), 6)


def test_reenactment_comes_nearer_to_the_driver(portraits: Portraits, reenactor: Reenactor) -> None:
    table = judge_reenactment(portraits, {"warp": reenactor}, 6)
    column = {header: number for number, header in enumerate(table.headers)}

    def value(row: str, header: str) -> float:
        cell = table.rows[row][column[header]]
        assert isinstance(cell, Figure)
        return cell.value

    untouched, made = f"{SAME}, {UNTOUCHED}", f"{SAME}, warp"
    assert value(untouched, "CSIM") == pytest.approx(1)
    assert value(made, "CSIM") > 0.9
    assert value(made, "expression error") < value(untouched, "expression error")
    assert value(f"{SAME}, driver itself", "expression error") == 0
    assert value(made, "seconds") > 0
    assert np.isnan(value(made, "KID x 1000"))
    assert table.rows[f"{ANOTHER}, warp"][column["landmark error"]] == ""


def test_the_command_writes_the_table(rows: list[Portrait], tmp_path: Path) -> None:
    write_shards(rows, tmp_path / "shards")
    arguments = ["evaluate", "--reenactment", "--faces", tmp_path / "shards", "--count", 2, "-o", tmp_path / "report"]
    done = CliRunner().invoke(app, list(map(str, [*arguments, "--json"])))
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout) == json.loads((tmp_path / "report" / "report.json").read_text())
    assert "| same person, warp |" in (tmp_path / "report" / "report.md").read_text()
    refused = CliRunner().invoke(app, ["evaluate", "--reenactment"])
    assert refused.exit_code == 2
    assert refused.stderr.endswith("--faces FOLDER of shards.\n")
