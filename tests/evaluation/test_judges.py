"""Judges: an engine that changes nothing differs by exactly nothing, and one that ages is measured as older."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.data.split import split_of
from reage.engines import load_engine
from reage.evaluation.generators import EngineGenerator
from reage.evaluation.judges import Judges
from reage.evaluation.rows import Rows, to_table
from reage.evaluation.subjects import PortraitSubjects, Subject
from reage.faces.segmentation import FaceParser
from reage.types import Pixels, Plane
from reage.zones import ZONES

HELD_OUT = [name for name in (f"P{i}" for i in range(80)) if split_of(name) == "val"]


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.load()


@pytest.fixture(scope="module")
def before_backdrop(make_portrait: Callable, to_columns: Callable, before_blue: tuple[Pixels, Plane]) -> Subject:
    portraits = to_columns([make_portrait(before_blue[0], person=HELD_OUT[0])])
    return PortraitSubjects(portraits, FaceParser.load())[0]


def judged(engine: str, subject: Subject, judges: Judges, **options: object) -> Rows:
    generator = EngineGenerator(
        engine=load_engine(engine),
        age_estimator=judges.second_age_estimator,
        zone_scorer=judges.second_zone_scorer,
        targets=(30.0, 75.0),
        **options,  # type: ignore[arg-type]
    )
    return Rows(to_table(judges.judge(subject, generator.generate(subject, 0))))


def test_an_engine_that_changes_nothing_differs_by_exactly_nothing(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("none", before_backdrop, judges, zone_scores=(0.0, 1.0), zone_every=1)
    assert len(rows) == 1 + 2 + 2 * len(ZONES)
    source, aged = rows.of_kind("source"), rows.of_kind("aged")
    for name in ("years", "second_years", "identity", "features"):
        np.testing.assert_array_equal(aged[name], np.repeat(source[name], 2, 0))
    for name in ("zones", "second_zones"):
        np.testing.assert_array_equal(aged[name], np.repeat(source[name], 2, 0))
    for name in ("background_l1", "background_share_of_change", "l1", "backdrop_changed"):
        np.testing.assert_array_equal(aged[name], [0, 0])
    np.testing.assert_array_equal(aged["psnr"], [np.inf, np.inf])
    np.testing.assert_array_equal(aged["ssim"], [1, 1])
    zoned = rows.of_kind("zone")
    np.testing.assert_array_equal(zoned["zones"], np.repeat(source["zones"], len(zoned), 0))
    assert zoned["background_share_of_change"].tolist() == [0] * len(zoned)


def test_ageing_is_measured_by_the_judges(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("prototype", before_backdrop, judges)
    source, (younger, older) = rows.of_kind("source"), (rows.at(30), rows.at(75))
    assert older["years"][0] > source["years"][0] + 5
    assert older["second_years"][0] > younger["second_years"][0] + 8
    assert 0.02 < np.linalg.norm(older["identity"] - source["identity"]) < 0.6
    assert 0 < older["backdrop_changed"][0] < 0.03
    assert older["l1"][0] > 0.01
    assert older["seconds"][0] > 0
    assert np.nanmean(older["zones"]) > np.nanmean(younger["zones"])


def test_a_zone_is_moved_inside_itself(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("prototype", before_backdrop, judges, zone_scores=(0.0, 1.0), zone_every=1)
    moved = rows.pick(rows["zone"] == "nasolabial.left")
    assert moved["zones"][1, ZONES.index("nasolabial.left")] > moved["zones"][0, ZONES.index("nasolabial.left")]
    assert moved["background_share_of_change"].max() < 0.02
    assert np.isnan(moved["years"]).all()
