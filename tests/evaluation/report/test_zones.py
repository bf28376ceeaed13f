"""Zones that get the score that was asked for, and zones that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from reage.evaluation.metrics.controllability import overlapping_zones
from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.zones import cross_talk_table, neighbouring_zones, zone_request_table, zone_target_table
from reage.faces.geometry import FIVE_POINTS, ellipse_mask, face_grid, template_points
from reage.zones import ZONE_SHAPES, ZONES


def requests(response: float, cross_talk: float = 0.0) -> list[dict[str, Any]]:
    """Six faces with zones at 0.5: each zone is asked for 0, 0.5 and 1, and moves by a share of it, as others do."""
    made = []
    for face in range(6):
        for index, zone in enumerate(ZONES):
            for score in (0.0, 0.5, 1.0):
                scores = [0.5 + cross_talk * (score - 0.5)] * len(ZONES)
                scores[index] = 0.5 + response * (score - 0.5)
                made.append(
                    {
                        "file": f"{face}.jpg",
                        "person": f"P{face}",
                        "kind": "zone",
                        "zone": zone,
                        "score": score,
                        "zones": scores,
                        "background_share_of_change": 0.25,
                    }
                )
    return made


@pytest.fixture
def with_requests(make_rows: Callable) -> Callable[..., MeasuredFaces]:
    def make(*args: float) -> MeasuredFaces:
        return MeasuredFaces(make_rows([{75.0: 20.0}] * 6, [{75.0: 0.3}] * 6, extra=requests(*args)))

    return make


def test_slope_and_error_of_zones_that_move_half_as_far(with_requests: Callable, reference: Reference) -> None:
    table = zone_request_table(with_requests(0.5), reference)
    assert table is not None
    people, slope, r_squared, error, direction, rising, noise, outside = table.rows["glabella"]
    assert (people, slope.value, r_squared.value) == ("6", pytest.approx(0.5), pytest.approx(1))
    assert error.value == pytest.approx((0.25 + 0 + 0.25) / 3)
    assert (direction.value, rising.value) == (1, 1)
    assert (noise.value, outside.value) == (pytest.approx(0.1), pytest.approx(0.25))


def test_zones_that_move_the_wrong_way_have_no_direction(with_requests: Callable, reference: Reference) -> None:
    table = zone_request_table(with_requests(-1.0), reference)
    assert table is not None
    assert table.rows["forehead"][1].value == pytest.approx(-1)
    assert table.rows["forehead"][4].value == 0
    assert table.rows["forehead"][5].value == 0


def test_cross_talk_is_what_the_others_do(with_requests: Callable) -> None:
    faces = with_requests(0.8, 0.2)
    table = cross_talk_table(faces.rows)
    assert table is not None
    first = [cell.value for cell in table.rows[ZONES[0]]]
    assert first == pytest.approx([0.8, *[0.2] * 11])
    assert "divided by that of the moved one: 0.25" in table.note
    assert "N=6" in table.note


def test_without_requests_there_are_no_tables(make_rows: Callable, reference: Reference) -> None:
    faces = MeasuredFaces(make_rows([{75.0: 20.0}] * 6, [{75.0: 0.3}] * 6))
    assert zone_request_table(faces, reference) is None
    assert cross_talk_table(faces.rows) is None
    table = zone_target_table(faces)
    assert list(table.headers) == ["before", "75"]
    assert table.rows["upper_lip"][0].value == pytest.approx(0.5)


@pytest.mark.parametrize("side_px", [128, 256])
def test_neighbours_in_the_zone_table_are_the_zones_whose_masks_overlap(side_px: int) -> None:
    grid = face_grid(side_px, template_points(FIVE_POINTS, side_px))
    masks = np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES])
    np.testing.assert_array_equal(neighbouring_zones(), overlapping_zones(masks))
