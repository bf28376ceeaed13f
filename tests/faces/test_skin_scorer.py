"""Scores of dark spots and redness: shipped weights, the demo face, photos that do not show them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.errors import WeightsError
from reage.faces.skin_scorer import RANKED_TONES, SkinScorer, find_tone
from reage.skin_scores import SKIN_SCORES
from reage.types import Face
from reage.weights import find_weights, weights_hash


@pytest.fixture(scope="module")
def scorer() -> SkinScorer:
    return SkinScorer.load()


@pytest.fixture(scope="module")
def large(face: Face) -> Face:
    """The demo face, as if its crop were a photo as large."""
    return face.in_crop_frame()


def test_a_large_face_has_both_scores(scorer: SkinScorer, large: Face) -> None:
    scores = scorer.measure(large)
    assert tuple(scores) == SKIN_SCORES
    assert all(0 <= score <= 1 for score in scores.values())
    assert scorer.measure(large) == scores
    assert scorer.weights_hash == weights_hash(find_weights("skin"))


def test_what_the_photo_does_not_show_is_left_out(scorer: SkinScorer, face: Face, large: Face) -> None:
    assert set(scorer.measure(face)) == {"redness"}  # its eyes are 42 px apart
    grey = np.repeat(large.crop.mean(-1, keepdims=True).astype(np.uint8), 3, -1)
    assert find_tone(replace(large, crop=grey)) is None
    assert scorer.measure(replace(large, crop=grey)) == {}
    assert scorer.measure(replace(large, bare=np.zeros_like(large.bare))) == {}
    turned = large.mesh.copy()
    turned[:, 2] += turned[:, 0] - turned[:, 0].mean()
    assert scorer.measure(replace(large, mesh=turned)) == {}


def test_a_score_is_a_share_of_people(scorer: SkinScorer) -> None:
    for name in SKIN_SCORES:
        for tone in range(len(RANKED_TONES)):
            shares = [scorer.score(name, scorer.value(name, share, tone), tone) for share in (0.2, 0.5, 0.9)]
            assert shares == pytest.approx([0.2, 0.5, 0.9], abs=0.02)
            assert scorer.score(name, -99, tone) == 0
            assert scorer.score(name, 99, tone) == 1


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="scorer of skin"):
        SkinScorer.load("zones-a")
    with pytest.raises(WeightsError, match="no weights 'nothing'"):
        SkinScorer.load("nothing")
