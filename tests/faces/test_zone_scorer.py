"""Scores of zones: shipped weights, the demo face, refused weights."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from reage.errors import WeightsError
from reage.faces.zone_scorer import TONES, ZoneScorer, share_below, tone_of
from reage.images import geometry
from reage.mesh_points import LANDMARK_POINTS
from reage.types import Face
from reage.weights import find_weights, load_weights, save_weights, weights_hash
from reage.zones import MIRRORED_ZONES, ZONES

SCORERS = ("zones-a", "zones-b")


@pytest.mark.parametrize("weights", SCORERS)
def test_every_visible_zone_has_a_score(weights: str, face: Face) -> None:
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


def mirror(face: Face) -> Face:
    flip = np.array([[-1.0, 0, len(face.crop) - 1], [0, 1, 0]])
    mesh = face.mesh.copy()
    mesh[list(LANDMARK_POINTS)] = mesh[[LANDMARK_POINTS[number] for number in (3, 2, 1, 0, 4)]]
    return replace(
        face,
        mesh=mesh,
        crop_from_image=flip @ np.vstack([face.crop_from_image, [0, 0, 1]]),
        **{
            name: np.ascontiguousarray(getattr(face, name)[:, ::-1])
            for name in ("crop", "matte", "skin", "bare", "hair")
        },
    )


def synthetic(face: Face, seed: int) -> Face:
    """The face's places, with a picture of nothing but uneven light, lines and noise."""
    random = np.random.default_rng(seed)
    noise = random.normal(0, 1, (8, *face.skin.shape)).astype(np.float32)
    light = 150 + sum(2**i * 12 * geometry.blur(noise[i], 2.0**i) for i in range(1, 6)) + 4 * noise[0]
    crop = np.clip(np.rint(light[..., None] * (1.0, 0.8, 0.7)), 0, 255).astype(np.uint8)
    return replace(face, crop=crop, bare=np.ones_like(face.bare), hair=np.zeros_like(face.hair))


@pytest.mark.parametrize("weights", SCORERS)
@pytest.mark.parametrize("seed", [None, 0, 1, 2])
def test_a_mirrored_face_has_mirrored_scores(weights: str, face: Face, seed: int | None) -> None:
    shown = face if seed is None else synthetic(face, seed)
    scorer = ZoneScorer.load(weights)
    here, there = scorer.measure(shown), scorer.measure(mirror(shown))
    assert {ZONES[MIRRORED_ZONES[ZONES.index(zone)]] for zone in here} == set(there)
    assert here != there
    for zone, score in here.items():
        assert there[ZONES[MIRRORED_ZONES[ZONES.index(zone)]]] == pytest.approx(score, abs=2e-3)


@pytest.mark.parametrize("weights", SCORERS)
def test_both_sides_are_ranked_among_the_same_people(weights: str) -> None:
    tensors, _ = load_weights(find_weights(weights))
    for name in ("wrinkle_levels", "age_levels", "score_levels"):
        np.testing.assert_array_equal(tensors[name], tensors[name][:, list(MIRRORED_ZONES)])
    for name in ("wrinkle_shares", "typical_scores"):
        np.testing.assert_array_equal(tensors[name], tensors[name][list(MIRRORED_ZONES)])


def test_a_hidden_zone_has_no_score(face: Face) -> None:
    covered = replace(face, hair=np.ones_like(face.hair))
    assert ZoneScorer.load().measure(covered) == {}


def test_a_score_is_a_share_of_people() -> None:
    shares = share_below(np.array([5.0, 10, 15, 20, 99]), np.tile(np.linspace(10, 20, 101), (5, 1)))
    assert shares.tolist() == pytest.approx([0, 0, 0.5, 1, 1])


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
        ZoneScorer.load("exemplar")
    tensors, config = load_weights(find_weights("zones-a"))
    save_weights(tmp_path / "cut.safetensors", {**tensors, "slopes": tensors["slopes"][:, :3]}, config)
    with pytest.raises(WeightsError, match="not made for a scorer of zones"):
        ZoneScorer.load(tmp_path / "cut.safetensors")


@pytest.mark.parametrize(("beyond_px", "scored"), [(-12, True), (12, False)])
def test_a_zone_of_which_half_is_hidden_has_no_score(face: Face, beyond_px: int, scored: bool) -> None:
    """Hair falls over the face from one side, to a little before or beyond the middle of the lip."""
    hair = face.hair.copy()
    hair[:, : round(face.to_crop(face.landmarks)[4, 0]) + beyond_px] = 1
    assert ("upper_lip" in ZoneScorer.load().measure(replace(face, hair=hair))) == scored
