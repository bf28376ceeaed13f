"""Plots: text that any browser draws, the same for the same rows, without what is not known."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
import pytest

from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.plots import (
    COLOURS,
    MAX_POINTS,
    age_plot,
    cost_plot,
    draw_plots,
    evenly_spaced,
    shown_targets,
    target_colours,
    zone_request_plot,
)
from reage.evaluation.rows import Rows
from reage.zones import ZONES

TARGETS = (30.0, 50.0, 75.0)
MakeRows = Callable[..., Rows]


def gains(num: int, targets: tuple[float, ...] = TARGETS) -> list[dict[float, float]]:
    return [{target: (target - 42) * 0.9 + index for target in targets} for index in range(num)]


def distances(num: int, targets: tuple[float, ...] = TARGETS) -> list[dict[float, float]]:
    return [dict.fromkeys(targets, 0.1 + 0.001 * index) for index in range(num)]


def requests(num: int) -> list[dict[str, Any]]:
    return [
        {
            "file": f"{index}.jpg",
            "person": f"P{index}",
            "kind": "zone",
            "zone": zone,
            "score": score,
            "zones": [0.2 + 0.5 * score] * len(ZONES),
        }
        for index in range(num)
        for zone in ZONES
        for score in (0.0, 1.0)
    ]


@pytest.fixture(scope="module")
def faces(make_rows: MakeRows) -> MeasuredFaces:
    return MeasuredFaces(make_rows(gains(6), distances(6), extra=requests(6)))


def test_every_plot_is_an_element_without_anything_from_elsewhere(faces: MeasuredFaces, reference: Reference) -> None:
    plots = draw_plots(faces, reference)
    assert len({plot.title for plot in plots}) == 5
    for plot in plots:
        assert ElementTree.fromstring(plot.svg).tag.endswith("svg")
        assert not re.search(r"\bnan\b|<image|<script|<style|href=.http|url\(http|<metadata", plot.svg)
        assert "currentColor" in plot.svg
        assert plot.note


def test_same_rows_same_bytes(faces: MeasuredFaces, reference: Reference) -> None:
    first, second = draw_plots(faces, reference), draw_plots(faces, reference)
    assert [plot.svg for plot in first] == [plot.svg for plot in second]


def test_ids_of_one_plot_mean_the_same_in_every_other(faces: MeasuredFaces, reference: Reference) -> None:
    """They stand in one page together."""
    found: dict[str, str] = {}
    for plot in draw_plots(faces, reference):
        for element in ElementTree.fromstring(plot.svg).iter():
            if name := element.get("id"):
                assert found.setdefault(name, ElementTree.tostring(element).decode().strip()) == (
                    ElementTree.tostring(element).decode().strip()
                )


def test_one_target_is_drawn(make_rows: MakeRows, reference: Reference) -> None:
    one = MeasuredFaces(make_rows(gains(3, (75.0,)), distances(3, (75.0,))))
    plots = draw_plots(one, reference)
    assert len(plots) == 4
    assert not any(re.search(r"\bnan\b", plot.svg) for plot in plots)


def test_pictures_without_a_face_leave_a_gap(make_rows: MakeRows, reference: Reference) -> None:
    missing = gains(3)
    for gain in missing:
        gain[50.0] = math.nan
    svg = age_plot(MeasuredFaces(make_rows(missing, distances(3))), reference).svg
    assert not re.search(r"\bnan\b", svg)
    assert draw_plots(MeasuredFaces(make_rows([{75.0: math.nan}] * 3, distances(3, (75.0,)))), reference) == []


def test_unknown_reference_lines_are_left_out(make_rows: MakeRows, reference: Reference) -> None:
    rows = make_rows(gains(3), distances(3))
    unknown = replace(
        reference.identity.genuine, mean=math.nan, quantile_05=math.nan, median=math.nan, quantile_95=math.nan
    )
    identity = replace(reference.identity, genuine=unknown, genuine_years=math.nan)
    for plot in draw_plots(MeasuredFaces(rows), replace(reference, identity=identity)):
        assert not re.search(r"\bnan\b", plot.svg)
        assert "real pairs" not in plot.svg
        assert "real years" not in plot.svg


def test_without_zone_requests_there_is_no_plot_of_them(make_rows: MakeRows) -> None:
    assert zone_request_plot(MeasuredFaces(make_rows(gains(2), distances(2)))) is None


def test_points_stay_few(make_rows: MakeRows, reference: Reference) -> None:
    many = MeasuredFaces(make_rows(gains(400), distances(400)))
    points = cost_plot(many, reference).svg.count("<use")
    assert MAX_POINTS * 0.9 < points < MAX_POINTS + 60


# Which targets


def test_shown_targets_hold_the_ends_and_those_of_the_summary() -> None:
    eight = [20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0]
    assert shown_targets(eight) == [20.0, 30.0, 50.0, 75.0, 80.0]
    assert shown_targets(eight, 8) == eight
    assert shown_targets([75.0]) == [75.0]


def test_colours_of_few_targets_lie_far_apart() -> None:
    assert target_colours(2) == [COLOURS["sky"], COLOURS["orange"]]
    assert len(set(target_colours(5))) == 5


@pytest.mark.parametrize(("num", "max_num"), [(1, 12), (5, 12), (24, 12), (270, 12), (400, 200)])
def test_indices_are_evenly_spaced_and_hold_the_ends(num: int, max_num: int) -> None:
    indices = evenly_spaced(num, max_num)
    assert len(indices) == min(num, max_num)
    assert (indices[0], indices[-1]) == (0, num - 1)
    assert np.ptp(np.diff(indices)) <= 1 if len(indices) > 2 else True
