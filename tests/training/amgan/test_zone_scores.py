"""Scores of zones with gradients: those of the scorer, and rising with what it ranks."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.faces import skin_features
from reage.faces.skin_features import NUM_COLOUR_FEATURES, features_a, make_skin_view, skin_tone
from reage.faces.zone_scorer import ZoneScorer, tone_of
from reage.images import geometry
from reage.training.amgan.zone_scores import (
    DifferentiableZoneScorer,
    luminance_features,
    normalize_light,
    share_below,
)
from reage.types import Face


@pytest.mark.parametrize("sigma_px", [0.0, 1.0, 3.0])
@pytest.mark.parametrize("noise", [0, 6])
def test_scores_are_those_of_the_scorer(face: Face, sigma_px: float, noise: float) -> None:
    crop = face.crop.astype(np.float32) + np.random.default_rng(0).normal(0, noise, face.crop.shape)
    crop = geometry.blur(crop.astype(np.float32), sigma_px) if sigma_px else crop
    shown = replace(face, crop=np.clip(np.rint(crop), 0, 255).astype(np.uint8))
    scorer = ZoneScorer.load()
    view = make_skin_view(shown.crop, face.to_crop(face.landmarks), face.bare, face.hair)
    lines = luminance_features(torch.from_numpy(view.light)[None], torch.from_numpy(view.weights)[None])
    features = features_a(view)
    np.testing.assert_allclose(lines[0].numpy(), features[:, :-NUM_COLOUR_FEATURES], atol=2e-4)
    joined = torch.cat([lines, torch.from_numpy(features[:, -NUM_COLOUR_FEATURES:])[None]], -1).double()
    tones = np.array([tone_of(skin_tone(view))])
    scores = DifferentiableZoneScorer(scorer).score(joined, torch.from_numpy(tones))
    np.testing.assert_allclose(scores.numpy(), scorer.score(features.astype(float)[None], tones), atol=1e-4)


def test_light_is_that_of_the_view(face: Face) -> None:
    view = make_skin_view(face.crop, face.to_crop(face.landmarks), face.bare, face.hair)
    grey = np.random.default_rng(0).uniform(0, 1, view.light.shape).astype(np.float32)
    light = normalize_light(torch.from_numpy(grey)[None], torch.from_numpy(view.weights)[None])[0]
    np.testing.assert_allclose(light.numpy(), skin_features.normalize_light(grey, view.weights), rtol=1e-5)


def test_every_share_has_a_gradient() -> None:
    levels, values = torch.linspace(10, 20, 101), torch.tensor([5.0, 10, 15, 20, 99], requires_grad=True)
    shares = share_below(values, levels.expand(5, -1))
    assert shares.tolist() == pytest.approx([0, 0, 0.5, 1, 1])
    shares.sum().backward()
    assert (values.grad > 0).all()
