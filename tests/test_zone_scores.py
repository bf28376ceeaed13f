"""Scores of zones: shipped weights, the demo face, and honest refusals."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.errors import WeightsError
from reage.images import geometry
from reage.signs import OTHER_SIDE
from reage.types import ZONES, Face
from reage.weights import find_weights, load_weights, save_weights, weights_hash
from reage.zone_scores import TONES, ZoneScorer, share_below, tone_of

SCORERS = ("zones-a", "zones-b")


@pytest.mark.parametrize("weights", SCORERS)
def test_every_shown_zone_has_a_score(weights: str, face: Face) -> None:
    scorer = ZoneScorer.load(weights)
    scores = scorer.measure(face)
    assert set(scores) <= set(ZONES)
    assert len(scores) >= 10
    assert all(0 <= score <= 1 for score in scores.values())
    assert scorer.measure(face) == scores
    assert scorer.weights_hash == weights_hash(find_weights(weights))


@pytest.mark.parametrize("weights", SCORERS)
def test_smooth_skin_is_younger(weights: str, face: Face) -> None:
    smooth = np.rint(geometry.blur(face.crop.astype(np.float32), 2.0)).astype(np.uint8)
    scorer = ZoneScorer.load(weights)
    before, after = (scorer.measure(one) for one in (face, replace(face, crop=smooth)))
    assert np.mean([after[zone] for zone in after]) < np.mean([before[zone] for zone in before])


@pytest.mark.parametrize("weights", SCORERS)
def test_a_mirrored_face_has_nearly_mirrored_scores(weights: str, face: Face) -> None:
    flip = np.array([[-1.0, 0, len(face.crop) - 1], [0, 1, 0]])
    mirrored = replace(
        face,
        landmarks=face.landmarks[[3, 2, 1, 0, 4]],
        crop_from_image=flip @ np.vstack([face.crop_from_image, [0, 0, 1]]),
        **{name: np.ascontiguousarray(getattr(face, name)[:, ::-1]) for name in ("crop", "matte", "skin", "hair")},
    )
    scorer = ZoneScorer.load(weights)
    here, there = scorer.measure(face), scorer.measure(mirrored)
    moved = [abs(there[ZONES[OTHER_SIDE[i]]] - here[zone]) for i, zone in enumerate(ZONES) if zone in here]
    assert np.mean(moved) < 0.1


def test_a_hidden_zone_has_no_score(face: Face) -> None:
    covered = replace(face, hair=np.ones_like(face.hair))
    assert ZoneScorer.load().measure(covered) == {}


def test_a_score_is_a_share_of_people() -> None:
    levels = np.linspace(10, 20, 101)
    assert [share_below(value, levels) for value in (5, 10, 15, 20, 99)] == pytest.approx([0, 0, 0.5, 1, 1])


def test_tones_are_named() -> None:
    assert [TONES[tone_of(degrees)] for degrees in (60.0, 25.0, -20.0, math.nan)] == list(TONES)


@pytest.mark.parametrize("weights", SCORERS)
def test_shipped_files_are_small_and_independent(weights: str) -> None:
    assert find_weights(weights).stat().st_size < 1e6
    (mine, config), (others, other) = (load_weights(find_weights(name)) for name in SCORERS)
    assert config["net"]["family"] != other["net"]["family"]
    assert config["recipe"]["folds"] != other["recipe"]["folds"]
    assert config["seed"] != other["seed"]
    assert mine["means"].shape != others["means"].shape


def test_other_weights_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="not made for a scorer of zones"):
        ZoneScorer.load("parts")
    tensors, config = load_weights(find_weights("zones-a"))
    save_weights(tmp_path / "cut.safetensors", {**tensors, "slopes": tensors["slopes"][:, :3]}, config)
    with pytest.raises(WeightsError, match="not made for a scorer of zones"):
        ZoneScorer.load(tmp_path / "cut.safetensors")
