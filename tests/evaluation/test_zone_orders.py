"""Zones that do as they are told, and zones that do not."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import Faces
from reage.evaluation.report.zones import cross_talk_table, zone_responses, zones_by_target
from reage.zones import ZONES


def orders(obedience: float, spill: float = 0.0) -> list[dict[str, Any]]:
    """Every zone of six faces moved from its 0.5 to 0, 0.5 and 1, a share of which is done, some of it to others."""
    made = []
    for face in range(6):
        for place, zone in enumerate(ZONES):
            for score in (0.0, 0.5, 1.0):
                scores = [0.5 + spill * (score - 0.5)] * len(ZONES)
                scores[place] = 0.5 + obedience * (score - 0.5)
                made.append(
                    {
                        "file": f"{face}.jpg",
                        "person": f"P{face}",
                        "kind": "zone",
                        "zone": zone,
                        "score": score,
                        "zones": scores,
                        "leak": 0.25,
                    }
                )
    return made


@pytest.fixture
def with_orders(make_rows: Callable) -> Callable[..., Faces]:
    def make(*args: float) -> Faces:
        return Faces(make_rows([{75.0: 20.0}] * 6, [{75.0: 0.3}] * 6, extra=orders(*args)))

    return make


def test_slope_and_error_of_zones_that_half_obey(with_orders: Callable, reference: Reference) -> None:
    table = zone_responses(with_orders(0.5), reference)
    assert table is not None
    people, slope, explained, error, direction, rising, noise, leak = table.rows["glabella"]
    assert (people, slope.value, explained.value) == ("6", pytest.approx(0.5), pytest.approx(1))
    assert error.value == pytest.approx((0.25 + 0 + 0.25) / 3)
    assert (direction.value, rising.value) == (1, 1)
    assert (noise.value, leak.value) == (pytest.approx(0.1), pytest.approx(0.25))


def test_disobedient_zones_have_no_direction(with_orders: Callable, reference: Reference) -> None:
    table = zone_responses(with_orders(-1.0), reference)
    assert table is not None
    assert table.rows["forehead"][1].value == pytest.approx(-1)
    assert table.rows["forehead"][4].value == 0
    assert table.rows["forehead"][5].value == 0


def test_cross_talk_is_what_the_others_do(with_orders: Callable) -> None:
    faces = with_orders(0.8, 0.2)
    table = cross_talk_table(faces.rows)
    assert table is not None
    first = [cell.value for cell in table.rows[ZONES[0]]]
    assert first == pytest.approx([0.8, *[0.2] * 11])
    assert "Others by moved: 0.25" in table.note
    assert "N=6" in table.note


def test_without_orders_there_is_nothing_to_tell(make_rows: Callable, reference: Reference) -> None:
    faces = Faces(make_rows([{75.0: 20.0}] * 6, [{75.0: 0.3}] * 6))
    assert zone_responses(faces, reference) is None
    assert cross_talk_table(faces.rows) is None
    table = zones_by_target(faces)
    assert list(table.headers) == ["before", "75"]
    assert table.rows["upper_lip"][0].value == pytest.approx(0.5)
