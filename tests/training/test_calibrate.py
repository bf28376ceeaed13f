"""The threshold of the verdict: found on training people, tried on the others, honest where pairs are few."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from reage.cli import app
from reage.measure import SAME_PERSON_DISTANCE, Identifier
from reage.portraits import Portrait, Portraits, write_shards
from reage.training.calibrate import FALSE_MATCH_RATE, calibrate, calibrate_identities
from reage.types import Face, Plane

MakePortrait = Callable[..., Portrait]
ToColumns = Callable[[Sequence[Portrait]], Portraits]


@pytest.fixture(scope="module")
def crowd(make_portrait: MakePortrait, to_columns: ToColumns) -> Portraits:
    """300 people of both sexes, two pictures of each."""
    small = np.zeros((8, 8, 3), np.uint8)
    return to_columns(
        [
            make_portrait(small, person=f"P{number}", age_years=30 + 10 * later, sex="MF"[number % 2], side_px=8)
            for number in range(300)
            for later in range(2)
        ]
    )


@pytest.fixture(scope="module")
def identities(crowd: Portraits) -> Plane:
    """Women and men lie apart, people too, pictures of one person close together."""
    rng = np.random.default_rng(0)
    people = {person: rng.normal(0, 0.06, 128) for person in sorted(set(crowd.person.tolist()))}
    centres = np.stack([people[person] for person in crowd.person.tolist()])
    centres[:, 0] += np.where(crowd.sex == "M", 0.3, -0.3)
    return (centres + rng.normal(0, 0.02, centres.shape)).astype(np.float32)


def test_the_threshold_lets_one_impostor_in_a_thousand_pass(crowd: Portraits, identities: Plane) -> None:
    found = calibrate_identities(crowd, identities, "same sex")
    rows = np.flatnonzero(crowd.split == "train")
    distances = [
        np.linalg.norm(identities[i] - identities[j])
        for i in rows
        for j in rows
        if i < j and crowd.sex[i] == crowd.sex[j] and crowd.person[i] != crowd.person[j]
    ]
    assert found.num_impostors == len(distances)
    assert np.mean(np.array(distances) < found.distance) <= FALSE_MATCH_RATE
    assert np.mean(np.array(distances) < found.distance + 0.01) > FALSE_MATCH_RATE
    assert found.num_genuine == (crowd.split == "val").sum() // 2
    assert found.genuine_median < found.distance < found.impostor_median
    assert 0 <= found.low <= found.false_non_match_rate <= found.high <= 1
    assert found.false_match_rate < 10 * FALSE_MATCH_RATE


def test_impostors_of_one_sex_are_the_harder_ones(crowd: Portraits, identities: Plane) -> None:
    of_any, of_one = (calibrate_identities(crowd, identities, which) for which in ("all", "same sex"))
    assert of_one.num_impostors < of_any.num_impostors
    assert of_one.distance < of_any.distance


def test_held_out_people_do_not_move_the_threshold(crowd: Portraits, identities: Plane) -> None:
    moved = np.where((crowd.split == "val")[:, None], 0, identities)
    before, after = (calibrate_identities(crowd, some, "same sex") for some in (identities, moved))
    assert before.distance == after.distance
    assert after.false_match_rate == 1


def test_too_few_people_give_no_number(crowd: Portraits, identities: Plane) -> None:
    few = np.arange(20)
    found = calibrate_identities(crowd.pick(few), identities[few], "all")
    assert math.isnan(found.distance)
    assert found.to_json()["distance"] is None
    assert found.to_json()["num_impostors"] > 0


def test_real_pictures_and_the_command(
    face: Face, make_portrait: MakePortrait, to_columns: ToColumns, tmp_path: Path
) -> None:
    rows = [
        make_portrait((face.crop * light).astype(np.uint8), person=f"P{number}", age_years=38)
        for number, light in enumerate((1.0, 0.9, 0.8))
    ]
    assert [one.impostors for one in calibrate(to_columns(rows), Identifier.load())] == ["all", "same sex"]
    write_shards(rows, tmp_path)
    done = CliRunner().invoke(app, ["training", "calibrate", "--shards", str(tmp_path)])
    assert done.exit_code == 0, done.output
    assert "same sex" in done.stdout
    assert "resolvable" in done.stdout
    assert "nan" not in done.stdout


def test_the_verdict_is_stricter_than_dlibs() -> None:
    assert 0.5 < SAME_PERSON_DISTANCE < 0.6
