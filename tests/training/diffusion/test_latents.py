"""Latents, their noise and their captions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch

from reage.faces.patches import FACE, PATCHES_OF_ZONE
from reage.nets.diffusion import DiffusionBase
from reage.prompts import NEUTRAL
from reage.training.diffusion.dataset import CROP_KINDS, SKIN, CropDataset
from reage.training.diffusion.latents import add_noise, caption, encode_crops, noise_for_x0, predict_x0, zone_rows
from reage.zones import ZONES


def test_latents_are_those_of_all_crops_but_hidden_zones(base: DiffusionBase, crops: CropDataset) -> None:
    latents = encode_crops(base, crops, 1)
    num_hidden = sum(
        np.isnan(column).sum() * len(PATCHES_OF_ZONE[zone]) for zone, column in zip(ZONES, crops.scores.T, strict=True)
    )
    assert len(latents) == 2 * len(CROP_KINDS) - num_hidden
    assert not np.isnan(latents.scores[zone_rows(latents)]).any()
    assert set(latents.kinds.tolist()) == set(range(len(CROP_KINDS)))
    assert set(latents.age_years.tolist()) == {30.0, 70.0}
    assert (crops.age_years[latents.rows] == latents.age_years).all()


def test_a_fraction_of_a_version_is_a_share_of_the_crops(base: DiffusionBase, crops: CropDataset) -> None:
    one, some = (len(encode_crops(base, crops, num)) for num in (1, 1.5))
    assert one < some < 2 * one
    faces = encode_crops(base, crops, 0, num_extra_faces=3)
    assert faces.kinds.tolist() == [CROP_KINDS.index(FACE)] * 6


def test_captions_name_what_a_crop_shows() -> None:
    forehead = CROP_KINDS.index(PATCHES_OF_ZONE["forehead"][1])
    face, skin = CROP_KINDS.index(FACE), CROP_KINDS.index(SKIN)
    assert caption(forehead, 0.4, 50, 0.4) == "photo of the face of a person with forehead wrinkle score 40"
    assert caption(forehead, 0.4, 50, 0.6) == "close-up photo of the forehead, wrinkle score 40"
    assert caption(face, np.nan, 71.2, 0.6) == "photo of the face of a 71 year old person"
    assert caption(face, np.nan, 71.2, 0.2) == "A photo of a old"
    assert caption(face, np.nan, 71.2, 0.3) == "photo of a person as old"
    assert caption(face, np.nan, 71.2, 0.6, label_share=0.9) == "photo of a person as old"
    assert caption(skin, np.nan, 71.2, 0.6) == NEUTRAL


@pytest.fixture
def draw() -> Callable[[int], torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return lambda num: torch.randn(num, 2, 4, 8, 8, generator=generator)


def test_the_true_noise_predicts_the_clean_latents(draw: Callable[[int], torch.Tensor]) -> None:
    values, noise = draw(2)
    sqrt_alpha_bar = torch.tensor([0.99, 0.6])
    noisy = add_noise(values, noise, sqrt_alpha_bar)
    torch.testing.assert_close(predict_x0(noisy, noise, sqrt_alpha_bar), values)


def test_noise_for_x0_predicts_any_other_latents(draw: Callable[[int], torch.Tensor]) -> None:
    values, target, noise = draw(3)
    sqrt_alpha_bar = torch.tensor([0.99, 0.6])
    noisy = add_noise(values, noise, sqrt_alpha_bar)
    noise_pred = noise_for_x0(noisy, target, sqrt_alpha_bar)
    torch.testing.assert_close(predict_x0(noisy, noise_pred, sqrt_alpha_bar), target)
    torch.testing.assert_close(noise_for_x0(noisy, values, sqrt_alpha_bar), noise, atol=1e-4, rtol=1e-4)
