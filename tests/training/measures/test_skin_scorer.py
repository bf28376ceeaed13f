"""Fit of the scorer of skin, on synthetic values."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.errors import ReageError
from reage.faces.skin_scorer import RANKED_TONES, SkinScorer
from reage.training.measures.skin_scorer import SkinScorerTrainingConfig, fit_skin_scorer


@pytest.fixture(scope="module")
def crowd(make_portrait: Callable[..., Portrait], to_columns: Callable[[Sequence[Portrait]], Portraits]) -> Portraits:
    small = np.zeros((8, 8, 3), np.uint8)
    return to_columns([make_portrait(small, person=f"P{n}", age_years=25 + n % 55, side_px=8) for n in range(300)])


def test_scores_are_shares_of_a_tone_and_rise_with_age(crowd: Portraits) -> None:
    tones = np.arange(300) % 3
    noise = np.random.default_rng(0).normal(0, 5, (300, 2))
    values = crowd.age_years[:, None] + noise + 100 * tones[:, None]
    values[:10] = np.nan
    tensors, config = fit_skin_scorer(SkinScorerTrainingConfig(), values, tones, crowd)
    scorer = SkinScorer(tensors)
    assert scorer.score("redness", 52, 0) == pytest.approx(0.5, abs=0.1)
    assert scorer.score("redness", 152, 1) == pytest.approx(0.5, abs=0.1)
    assert scorer.score("dark_spots", 100, 0) == 1
    assert scorer.typical_score("dark_spots", 75) > scorer.typical_score("dark_spots", 35) + 0.4
    assert set(config["num_people"]["redness"]) == set(RANKED_TONES)
    assert sum(config["num_people"]["redness"].values()) == 290


def test_a_tone_without_people_is_refused(crowd: Portraits) -> None:
    with pytest.raises(ReageError, match="dark_spots"):
        fit_skin_scorer(SkinScorerTrainingConfig(), np.zeros((300, 2)), np.zeros(300, int), crowd)
