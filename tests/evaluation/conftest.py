"""Rows made by hand, so that every figure can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from reage.evaluation.metrics.verification import GroupThreshold, Spread
from reage.evaluation.reference import AGES, AgeLines, IdentityLines, Reference, Threshold, gap_names
from reage.evaluation.rows import Rows, to_table
from reage.zones import ZONES


def turned(distance: float) -> list[float]:
    """An identity that lies so far from (1, 0, ...), on the unit circle."""
    angle = 2 * np.arcsin(distance / 2)
    return [float(np.cos(angle)), float(np.sin(angle))]


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., Rows]:
    """Sources of 40 that read 42, and pictures at targets with given gains (years) and identity distances.

    `gains[i]` and `distances[i]` map targets to numbers for the i-th face; two faces may share a person.
    """

    def make(
        gains: Sequence[Mapping[float, float]],
        distances: Sequence[Mapping[float, float]],
        *,
        people: Sequence[str] = (),
        known: Sequence[Mapping[str, Any]] = (),
        extra: Sequence[Mapping[str, Any]] = (),
    ) -> Rows:
        rows: list[dict[str, Any]] = []
        for place, (gain, distance) in enumerate(zip(gains, distances, strict=True)):
            face = {
                "file": f"{place}.jpg",
                "person": people[place] if people else f"P{place}",
                "true_years": 40.0,
                "sex": "FM"[place % 2],
                "grey": False,
                "tone_degrees": 10.0 * place,
                **(known[place] if known else {}),
            }
            same = {"features": [0.0, 1.0], "zones": [0.5] * len(ZONES), "background_psnr": np.inf}
            rows.append({**face, **same, "kind": "source", "years": 42.0, "reader_years": 41.0, "identity": turned(0)})
            rows += [
                {
                    **face,
                    **same,
                    "kind": "aged",
                    "target": target,
                    "years": 42.0 + gain[target],
                    "reader_years": 43.0 + gain[target],
                    "identity": turned(distance[target]),
                    "leak": 0.0,
                    "background_l1": 0.0,
                }
                for target in gain
            ]
        return Rows(to_table([*rows, *extra]))

    return make


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Real people: ten years cost 0.3, strangers are 0.8 apart, the border is 0.5; the judge reads all 1 too much."""
    genuine, impostors = (
        Spread(num=20, num_missing=0, mean=-mean, low=-mean - 0.1, median=-mean, high=-mean + 0.1)
        for mean in (0.3, 0.8)
    )

    def threshold(rate: float, score: float) -> Threshold:
        return Threshold(
            false_match_rate=rate,
            score=score,
            num_impostors=1000,
            held_out_rate=rate,
            num_held_out=500,
            missed=0.05,
            missed_low=0.0,
            missed_high=0.1,
            num_genuine=20,
        )

    borders = dict(zip(gap_names(), (-0.5, -0.52, -0.54, -0.56, np.nan), strict=True))
    return Reference(
        people="20 made-up people",
        identity=IdentityLines(
            matcher="made up",
            genuine=genuine,
            genuine_years=10.0,
            impostors=impostors,
            cosines=genuine,
            impostor_cosines=impostors,
            thresholds=(threshold(0.001, -0.5), threshold(0.0001, np.nan)),
            by_gap={
                name: GroupThreshold(score=score, num_impostors=1000, groups=(name,)) for name, score in borders.items()
            },
        ),
        ages=AgeLines(
            judge="age-b 0123456789ab",
            bias=tuple(1.0 if 40 <= age <= 80 else np.nan for age in AGES),
            counts=tuple(20 if 40 <= age <= 80 else 0 for age in AGES),
            mean_error=5.0,
            apart=1.5,
            correlation=0.9,
            num=100,
        ),
        zones_apart=dict.fromkeys(ZONES, 0.1),
    )
