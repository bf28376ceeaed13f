"""Sampling from a tiny base with random weights: noise, guidance, and pictures from noise."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.errors import EngineError
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.sampling import FROM_NOISE, SamplingConfig, denoise, draw_noise, draw_sheet_of_prompts

QUICK = SamplingConfig(noise_strength=0.1, num_inference_steps=2, added_noise=1.0)


@pytest.fixture(scope="module")
def base(save_tiny_base: Callable[..., Path]) -> DiffusionBase:
    return load_base(save_tiny_base(gain=1.5))


def test_the_noise_of_a_place_is_its_own_and_repeats(base: DiffusionBase) -> None:
    noise = draw_noise(base, 3, 12, 8)
    assert noise.shape == (12, base.latent_channels, 8, 8)
    assert len({float(one.sum()) for one in noise}) == 12
    torch.testing.assert_close(draw_noise(base, 3, 12, 8), noise, rtol=0, atol=0)


def test_guidance_steps_and_added_noise_count(base: DiffusionBase) -> None:
    latents, noise = torch.zeros(1, base.latent_channels, 8, 8), draw_noise(base, 0, 1, 8)
    text, uncond = base.embed(["forehead"]), base.embed([""])
    others = ({"guidance_scale": 1.0}, {"num_inference_steps": 4}, {"added_noise": 0.5})
    first, *rest = (
        denoise(base, latents, noise, text, uncond, config)
        for config in (QUICK, *(replace(QUICK, **values) for values in others))
    )
    assert all((one - first).abs().max() > 1e-4 for one in rest)


def test_guidance_does_not_overshoot_at_the_last_step(base: DiffusionBase) -> None:
    latents, noise = torch.zeros(1, base.latent_channels, 8, 8), draw_noise(base, 0, 1, 8)
    text, uncond = base.embed(["forehead"]), base.embed([""])
    limited = replace(QUICK, num_inference_steps=1, max_guidance_step=1.0, guidance_scale=12.0)
    others = ({"guidance_scale": 8.0}, {"guidance_scale": 0.5}, {"max_guidance_step": 2.0})
    first, same, *rest = (
        denoise(base, latents, noise, text, uncond, config)
        for config in (limited, *(replace(limited, **values) for values in others))
    )
    torch.testing.assert_close(first, same)
    assert all((one - first).abs().max() > 1e-4 for one in rest)


def test_little_noise_leaves_latents_almost_unchanged(base: DiffusionBase) -> None:
    latents = torch.randn(1, base.latent_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    text, uncond = base.embed(["forehead"]), base.embed([""])
    config = SamplingConfig(noise_strength=0.002, num_inference_steps=2, guidance_scale=1.0, added_noise=1.0)
    denoised = denoise(base, latents, draw_noise(base, 0, 1, 8), text, uncond, config)
    assert (denoised - latents).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("noise_strength", 0.0, "noise strength is 0"),
        ("noise_strength", 1.2, "noise strength is 1.2"),
        ("num_inference_steps", 0, "0 denoising steps"),
        ("num_inference_steps", 900, "1 to 20"),
        ("guidance_scale", -1.0, "guidance scale is -1"),
        ("added_noise", 1.5, "added noise is 1.5"),
        ("max_guidance_step", 0.0, "largest guided step is 0"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: float, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        SamplingConfig(**{setting: value})  # type: ignore[arg-type]


def test_a_sheet_has_a_row_for_each_prompt(base: DiffusionBase) -> None:
    quick, prompts = replace(FROM_NOISE, num_inference_steps=2), ["A photo of a child", "A photo of a old"]
    sheet = draw_sheet_of_prompts(base, prompts, 3, config=quick)
    side = base.picture_px
    assert sheet.shape == (2 * side, 3 * side, 3)
    np.testing.assert_array_equal(draw_sheet_of_prompts(base, prompts, 3, config=quick), sheet)
    assert (draw_sheet_of_prompts(base, prompts[:1], 3, seed=1, config=quick) != sheet[:side]).any()
