"""An engine that changes nothing is judged so, exactly; one that ages is seen to."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.engines import load_engine
from reage.evaluation.report import describe, draw_faces_sheet, to_markdown, worst_of, write_report
from reage.evaluation.run import (
    OLDER,
    PROGRESSION,
    TARGETS,
    YOUNGER,
    Judges,
    Verdict,
    face_of,
    judge_portrait,
    summarise,
)
from reage.find import Finder
from reage.images import load_image
from reage.matte import Parser
from reage.measure import Identifier, Meter
from reage.portraits import Portraits
from reage.types import Face, Pixels, Plane


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges(
        reader=Meter.load("age-a"),
        estimator=Meter.load("age-b"),
        identifier=Identifier.load(),
        parser=Parser.load(),
    )


@pytest.fixture(scope="module")
def portraits(
    face: Face,
    before_blue: tuple[Pixels, Plane],
    make_portrait: Callable,
    to_columns: Callable,
) -> Portraits:
    """The demo photo's crop as it is, and before a blue backdrop."""
    return to_columns([make_portrait(face.crop), make_portrait(before_blue[0], person="P1", age_years=40)])


def make_verdict(number: int, years: float = 10.0, distance: float = 0.3, background: float | None = None) -> Verdict:
    """A face of 40 whose readings lie `years` above and below it at the headline targets."""
    readings = {target: target / 2 + 20 for target in TARGETS} | {OLDER: 40 + years, YOUNGER: 40 - years}
    return Verdict(
        file=f"{number}.jpg",
        person=f"P{number // 2}",
        age_years=41.0,
        tone_degrees=float(number * 10 - 30),
        source_years=40.0,
        readings=readings,
        distances=dict.fromkeys(TARGETS, distance),
        background=background,
    )


# One portrait


def test_targets_hold_the_progression_and_the_headlines() -> None:
    assert {*PROGRESSION, OLDER, YOUNGER} == set(TARGETS)
    assert list(TARGETS) == sorted(TARGETS)


def test_a_portrait_is_the_face_a_finder_cuts(portraits: Portraits, judges: Judges, face: Face) -> None:
    found = face_of(portraits, 0, judges.parser)
    np.testing.assert_allclose(found.crop_from_image, np.eye(2, 3), atol=0.02)
    np.testing.assert_array_equal(found.crop, portraits.crops[0])
    for name in ("matte", "skin", "hair"):
        assert np.abs(getattr(found, name) - getattr(face, name)[::2, ::2]).mean() < 0.03


@pytest.mark.parametrize("row", [0, 1])
def test_identity_changes_exactly_nothing(portraits: Portraits, judges: Judges, row: int) -> None:
    verdict, aged = judge_portrait(load_engine("identity"), portraits, row, judges)
    assert tuple(aged) == tuple(verdict.readings) == tuple(verdict.distances) == TARGETS
    for target in TARGETS:
        np.testing.assert_array_equal(aged[target], portraits.crops[row])
        assert verdict.readings[target] == pytest.approx(verdict.source_years, abs=1e-3)
        assert verdict.distances[target] == pytest.approx(0, abs=1e-4)
    assert (verdict.person, verdict.file, verdict.age_years) == (
        (portraits.person[row], portraits.file[row], portraits.age_years[row])
    )
    assert verdict.background == (None, 0.0)[row]
    assert 25 < verdict.tone_degrees < 70


def test_ageing_is_seen_by_the_judges(portraits: Portraits, judges: Judges) -> None:
    verdict, aged = judge_portrait(load_engine("prototype"), portraits, 1, judges)
    assert verdict.readings[OLDER] > verdict.source_years + 5
    assert verdict.readings[OLDER] > verdict.readings[YOUNGER] + 8
    assert 0.02 < verdict.distances[OLDER] < 0.6
    assert verdict.background is not None
    assert verdict.background < 0.02
    assert all((aged[target] != portraits.crops[1]).any() for target in (OLDER, YOUNGER))


def test_readings_of_the_judge_and_the_reader_are_apart(portraits: Portraits, judges: Judges) -> None:
    assert judges.reader.weights_hash != judges.estimator.weights_hash
    swapped = replace(judges, reader=judges.estimator)
    first, _ = judge_portrait(load_engine("identity"), portraits, 0, judges)
    second, _ = judge_portrait(load_engine("identity"), portraits, 0, swapped)
    assert first == second


# Summaries


def test_summary_is_worked_out_by_hand() -> None:
    verdicts = [
        make_verdict(n, years, distance) for n, (years, distance) in enumerate([(10, 0.2), (14, 0.3), (30, 0.9)])
    ]
    figures = summarise(verdicts)["all"]
    assert figures["num_portraits"] == 3
    assert figures["tone_degrees"] == [-30, -10]
    assert figures["years at 75"]["value"] == pytest.approx(18)
    assert figures["years at 30"]["value"] == pytest.approx(-18)
    assert figures["identity distance at 75"]["value"] == pytest.approx(0.3)
    low, high = figures["years at 75"]["interval"]
    assert 12 <= low < 18 < high <= 30
    assert figures["background changed"] is None


def test_summary_counts_faces_that_grow_older_step_by_step() -> None:
    steady = make_verdict(0, years=5.0)
    falling = replace(steady, readings=dict(steady.readings) | {80.0: 20.0})
    figures = summarise([steady, falling])["all"]
    assert figures["monotone faces"]["value"] == 0.5
    # 20..80 in steps of 10 read 30, 35, 40, 45, 50, 55, 20: the last has rank 1, so 1 - 6 * (6**2 + 6 * 1) / (7 * 48)
    assert figures["rank correlation"]["value"] == pytest.approx((1 + 0.25) / 2)


def test_summary_looks_at_each_third_of_skin_tone() -> None:
    summary = summarise([make_verdict(number, years=number) for number in range(9)])
    assert list(summary) == ["all", "darkest third", "middle third", "lightest third"]
    assert [summary[name]["num_portraits"] for name in summary] == [9, 3, 3, 3]
    assert [summary[name]["years at 75"]["value"] for name in summary] == pytest.approx([4, 1, 4, 7])


def test_background_is_that_of_portraits_with_a_backdrop() -> None:
    shares = (None, 0.01, 0.03)
    figures = summarise([make_verdict(n, background=share) for n, share in enumerate(shares)])["all"]
    assert figures["background changed"] == {"value": pytest.approx(0.02), "most": 0.03, "num": 2}


# Reports


def test_worst_faces_lost_most_for_what_they_gained() -> None:
    verdicts = [make_verdict(n, years, d) for n, (years, d) in enumerate([(10, 0.2), (10, 0.6), (2, 0.5), (20, 0.5)])]
    assert worst_of(verdicts) == [1, 2, 3, 0]


def test_report_is_written_whole(tmp_path: Path, face: Face) -> None:
    verdicts = [make_verdict(number, background=0.001 * number) for number in range(3)]
    summary = summarise(verdicts)
    crop = np.ascontiguousarray(face.crop[::4, ::4])
    sheet = draw_faces_sheet(verdicts, [dict.fromkeys(TARGETS, crop)] * 3, [crop] * 3)
    write_report(tmp_path / "new", "prototype", "0123456789ab", verdicts, summary, {"faces": sheet})
    assert {path.name for path in (tmp_path / "new").iterdir()} == {"report.json", "report.md", "faces.png"}
    story = json.loads((tmp_path / "new" / "report.json").read_text())
    assert (story["engine"], story["weights_hash"], len(story["faces"])) == ("prototype", "0123456789ab", 3)
    assert story["faces"][2]["readings"]["75.0"] == 50
    report = (tmp_path / "new" / "report.md").read_text()
    assert report == describe(verdicts, summary)
    assert f"| median distance | {' | '.join(['0.00', *['0.30'] * len(TARGETS)])} |" in report
    assert f"- {verdicts[0].file}, {verdicts[0].age_years:.0f}: reads" in report
    table = to_markdown(summary)
    assert report.startswith(table)
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows[:1] + rows[2:]}) == 1
    assert any("years at 75" in row and "10.00 [10.00, 10.00]" in row for row in rows)
    np.testing.assert_array_equal(load_image(tmp_path / "new" / "faces.png").pixels, sheet)


def test_table_has_a_row_for_a_missing_backdrop() -> None:
    assert "background changed" in to_markdown(summarise([make_verdict(0), make_verdict(1)]))


def test_plain_finder_and_portrait_agree(portraits: Portraits) -> None:
    """What is stored of a portrait is what a finder sees in it."""
    (found,) = Finder().find(portraits.crops[0])
    assert np.linalg.norm(found.landmarks - portraits.landmarks[0], axis=1).max() < 4
