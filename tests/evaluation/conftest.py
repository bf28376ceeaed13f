"""Rows made by hand, so that every figure can be worked out on paper."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from reage.evaluation.metrics.verification import GroupThreshold, ScoreSummary
from reage.evaluation.reference import AGES, AgeReference, IdentityReference, Reference, Threshold, age_gap_names
from reage.evaluation.rows import Rows, to_table
from reage.zones import ZONES


def identity_at(distance: float) -> list[float]:
    """An identity on the unit circle, so far from (1, 0)."""
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
        for index, (gain, distance) in enumerate(zip(gains, distances, strict=True)):
            face = {
                "file": f"{index}.jpg",
                "person": people[index] if people else f"P{index}",
                "true_years": 40.0,
                "sex": "FM"[index % 2],
                "grey": False,
                "tone_degrees": 10.0 * index,
                **(known[index] if known else {}),
            }
            same = {"features": [0.0, 1.0], "zones": [0.5] * len(ZONES), "background_psnr": np.inf}
            rows.append(
                {**face, **same, "kind": "source", "years": 42.0, "second_years": 41.0, "identity": identity_at(0)}
            )
            rows += [
                {
                    **face,
                    **same,
                    "kind": "aged",
                    "target": target,
                    "years": 42.0 + gain[target],
                    "second_years": 43.0 + gain[target],
                    "identity": identity_at(distance[target]),
                    "background_share_of_change": 0.0,
                    "background_l1": 0.0,
                }
                for target in gain
            ]
        return Rows(to_table([*rows, *extra]))

    return make


@pytest.fixture(scope="session")
def reference() -> Reference:
    """Real people: ten years cost 0.3, strangers are 0.8 apart, the threshold is 0.5, every age is read 1 too old."""
    genuine, impostors = (
        ScoreSummary(
            num=20,
            num_missing=0,
            mean=-mean,
            quantile_05=-mean - 0.1,
            median=-mean,
            quantile_95=-mean + 0.1,
        )
        for mean in (0.3, 0.8)
    )

    def threshold(rate: float, score: float) -> Threshold:
        return Threshold(
            false_match_rate=rate,
            score=score,
            num_impostors=1000,
            held_out_match_rate=rate,
            num_held_out=500,
            non_match_rate=0.05,
            non_match_low=0.0,
            non_match_high=0.1,
            num_genuine=20,
        )

    gap_scores = dict(zip(age_gap_names(), (-0.5, -0.52, -0.54, -0.56, np.nan), strict=True))
    return Reference(
        people="20 made-up people",
        identity=IdentityReference(
            recognizer="made up",
            genuine=genuine,
            genuine_years=10.0,
            impostors=impostors,
            genuine_cosines=genuine,
            impostor_cosines=impostors,
            thresholds=(threshold(0.001, -0.5), threshold(0.0001, np.nan)),
            thresholds_by_age_gap={
                name: GroupThreshold(score=score, num_impostors=1000, groups=(name,))
                for name, score in gap_scores.items()
            },
        ),
        ages=AgeReference(
            judge="age-b 0123456789ab",
            bias=tuple(1.0 if 40 <= age <= 80 else np.nan for age in AGES),
            counts=tuple(20 if 40 <= age <= 80 else 0 for age in AGES),
            mean_error=5.0,
            mean_difference=1.5,
            correlation=0.9,
            num=100,
        ),
        zone_differences=dict.fromkeys(ZONES, 0.1),
    )
