"""What years do to real people: pairs made alike, and measured."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from reage.data.shards import Portraits
from reage.data.split import split_of
from reage.engines import load_engine
from reage.evaluation.judges import Judges
from reage.evaluation.real_aging import RealAging, describe_years, make_alike, measure_years, pairs_of
from reage.evaluation.reference import Reference
from reage.faces.segmentation import FaceParser
from reage.types import Face
from reage.zones import ZONES

HELD_OUT = [name for name in (f"P{i}" for i in range(40)) if split_of(name) == "val"]


def test_pairs_are_the_earliest_and_the_latest_photo(make_portrait: Callable, to_columns: Callable, face: Face) -> None:
    people = [("B", 50.0), ("A", 45.0), ("B", 40.0), ("C", 30.0), ("B", 44.0), ("A", 35.0)]
    one = make_portrait(face.crop, side_px=64)
    portraits = to_columns([replace(one, person=person, age_years=age) for person, age in people])
    assert pairs_of(portraits) == [(5, 1), (2, 0)]


def test_pictures_made_alike_are_grey_and_equally_coarse() -> None:
    random = np.random.default_rng(0)
    fine, other = random.integers(0, 255, (2, 64, 64, 3), dtype=np.uint8)
    first, second = make_alike(fine, other, 2.0, 0.5)
    assert np.ptp(first.astype(int), -1).max() == np.ptp(second.astype(int), -1).max() == 0
    roughness = [np.abs(np.diff(one[..., 0].astype(int))).mean() for one in (first, second)]
    assert roughness[0] == pytest.approx(roughness[1], rel=0.1)
    assert roughness[0] < 0.5 * np.abs(np.diff(fine.mean(-1))).mean()
    same, _ = make_alike(first, first, 1.0, 3.0)
    np.testing.assert_array_equal(same, first)


@pytest.fixture(scope="module")
def portraits(make_portrait: Callable, to_columns: Callable, face: Face) -> Portraits:
    darker = (face.crop * 0.8).astype(np.uint8)
    return to_columns(
        [make_portrait(crop, person=HELD_OUT[0], age_years=age) for crop, age in ((face.crop, 38.0), (darker, 70.0))]
    )


def test_people_and_the_engine_are_measured(portraits: Portraits) -> None:
    measured = measure_years(portraits, Judges.load(), FaceParser.load(), load_engine("agetransgan"))
    assert measured.person.tolist() == [HELD_OUT[0]]
    assert (measured.first_years[0], measured.years_apart[0]) == (38, 32)
    assert abs(measured.readings[0, 1] - measured.readings[0, 0]) < 5, "the later photo is but a darker one"
    assert measured.readings[0, 2] > measured.readings[0, 0] + 5, "the engine was asked for 70"
    assert measured.distances[0, 0] < 0.2 < measured.distances[0, 2]
    assert np.nanmean(measured.zones[0, 2]) > np.nanmean(measured.zones[0, 0])


def test_without_an_engine_there_is_no_third_picture(portraits: Portraits) -> None:
    measured = measure_years(portraits, Judges.load(), FaceParser.load())
    assert np.isnan(measured.readings[:, 2]).all()
    assert np.isnan(measured.distances[:, 1:]).all()


def test_tables_are_worked_out_by_hand(reference: Reference) -> None:
    people = np.array([f"P{i}" for i in range(6)])
    measured = RealAging(
        person=people,
        first_years=np.array([40.0, 40, 50, 50, 70, 70]),
        years_apart=np.full(6, 10.0),
        readings=np.array([[40.0, 40 + i, 60] for i in range(6)]),
        zones=np.full((6, 3, len(ZONES)), 0.5) + np.array([0, 0.1, 0.2])[:, None],
        distances=np.array([[0.3, 0.2, 0.25 + 0.1 * (i % 2)] for i in range(6)]),
    )
    ages, identity, zones = describe_years(measured, reference, "agetransgan")
    everybody = dict(zip(ages.headers, ages.rows["everybody"], strict=True))
    assert everybody["people"] == "6"
    assert everybody["years gained in real life"].value == pytest.approx(2.5)
    assert everybody["years gained by agetransgan"].value == pytest.approx(20)
    assert everybody["looking older in real life"].value == pytest.approx(5 / 6)
    assert ages.rows["45 to 60"][0] == "2"
    assert identity.rows["ageing by agetransgan brought the earlier photo nearer to the later one"][0].value == 0.5
    assert [cell.value for cell in zones.rows["glabella"]] == pytest.approx([0.5, 0.1, 0.2])
    alone = describe_years(measured, reference)
    assert not any("agetransgan" in header for table in alone for header in (*table.headers, *table.rows))
