"""Latents of training crops, encoded once, with their captions; noise is added to them and removed here.

Convention:
    latents (M, c, h, w); kinds are places in `reage.training.diffusion.dataset.CROP_KINDS`; sqrt_alpha_bar (B,) is the
    square root of ᾱ_t at each sample's timestep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.faces.patches import FACE, ZONE_PATCHES, zone_of_patch
from reage.nets.diffusion import DiffusionBase
from reage.prompts import (
    CLASS_WORD,
    NEUTRAL,
    face_prompt,
    label_of,
    label_prompt,
    person_prompt,
    whole_prompt,
    zone_prompt,
)
from reage.training.diffusion.dataset import CROP_KINDS, SKIN, CropDataset, CropDatasetConfig
from reage.training.trainer import autocast_bf16


@dataclass(frozen=True, kw_only=True)
class Latents:
    """The encoded crops of a dataset.

    Args:
        values: (M, c, h, w) float16.
        rows: (M,) int64 of the portraits.
        kinds: (M,) int64.
        scores: (M,) float32 of the zone, NaN for a crop that shows no single zone.
        age_years: (M,) float32 age of the person.
    """

    values: NDArray[np.float16]
    rows: NDArray[np.int64]
    kinds: NDArray[np.int64]
    scores: NDArray[np.float32]
    age_years: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class LatentBatch:
    """A batch of `Latents`, (B, ...) each, the values in float32."""

    values: Tensor
    rows: Tensor
    kinds: Tensor
    scores: Tensor
    age_years: Tensor


COLUMNS = tuple(column.name for column in fields(LatentBatch))
"""Names of the columns of `Latents` and `LatentBatch`."""


@torch.no_grad()
def encode_crops(
    base: DiffusionBase,
    crops: CropDataset,
    num_versions: float,
    num_extra_faces: int = 0,
    seed: int = 0,
    config: CropDatasetConfig | None = None,
    track: Callable[[range], Iterable[int]] = iter,
) -> Latents:
    """The latents of every kind of crop of every portrait; zones that are hidden are left out.

    Args:
        base: that encodes; it decides on the side of the crops.
        crops: of the portraits.
        num_versions: of each crop, augmented differently; with a fraction, so many on average.
        num_extra_faces: further versions of the whole face.
        seed: of the augmentation.
        config: how crops are cut and augmented; None for the defaults.
        track: wraps the rows in a progress bar.
    """
    config = replace(config or CropDatasetConfig(), picture_px=base.picture_px)
    generator = Generator().manual_seed(seed)
    extra_faces = torch.tensor([CROP_KINDS.index(FACE)] * num_extra_faces).long()
    every_kind = torch.arange(len(CROP_KINDS)).repeat(int(num_versions) + 1)
    is_extra = torch.arange(len(every_kind)) >= int(num_versions) * len(CROP_KINDS)
    batches: list[LatentBatch] = []
    for row in track(range(len(crops))):
        wanted = ~is_extra | (torch.rand(len(every_kind), generator=generator) < num_versions % 1)
        kinds = torch.cat([every_kind[wanted], extra_faces])
        cut = crops.cut(torch.full_like(kinds, row), kinds, config, generator)
        kept = (cut.kinds >= len(ZONE_PATCHES)) | ~cut.scores.isnan()
        with autocast_bf16(base.device):
            values = base.encode(cut.x[kept].to(base.device)).cpu()
        rows = torch.full_like(kinds[kept], row)
        batches.append(LatentBatch(values.half(), rows, cut.kinds[kept], cut.scores[kept], cut.age_years[kept]))
    return Latents(**{name: torch.cat([getattr(one, name) for one in batches]).numpy() for name in COLUMNS})


def sample_latents(latents: Latents, rows: NDArray[np.int64], num: int, generator: Generator) -> LatentBatch:
    """A batch of `num` drawn with replacement from these rows."""
    chosen = rows[torch.randint(len(rows), (num,), generator=generator).numpy()]
    return LatentBatch(
        values=torch.from_numpy(latents.values[chosen]).float(),
        rows=torch.from_numpy(latents.rows[chosen]),
        kinds=torch.from_numpy(latents.kinds[chosen]),
        scores=torch.from_numpy(latents.scores[chosen]),
        age_years=torch.from_numpy(latents.age_years[chosen]),
    )


def zone_rows(latents: Latents) -> NDArray[np.int64]:
    """The rows that show zones."""
    return np.flatnonzero(latents.kinds < len(ZONE_PATCHES))


# Noise


def add_noise(values: Tensor, noise: Tensor, sqrt_alpha_bar: Tensor) -> Tensor:
    """`z_t = √ᾱ_t z_0 + √(1 - ᾱ_t) ε`, the noisy latents (B, c, h, w)."""
    sqrt_alpha_bar = sqrt_alpha_bar[:, None, None, None]
    return sqrt_alpha_bar * values + (1 - sqrt_alpha_bar**2).sqrt() * noise


def predict_x0(noisy: Tensor, noise_pred: Tensor, sqrt_alpha_bar: Tensor) -> Tensor:
    """`z̃_0 = (z_t - √(1 - ᾱ_t) ε_θ) / √ᾱ_t`, the clean latents (B, c, h, w) estimated in one step."""
    sqrt_alpha_bar = sqrt_alpha_bar[:, None, None, None]
    return (noisy - (1 - sqrt_alpha_bar**2).sqrt() * noise_pred) / sqrt_alpha_bar


def noise_for_x0(noisy: Tensor, x0: Tensor, sqrt_alpha_bar: Tensor) -> Tensor:
    """`(z_t - √ᾱ_t z_0) / √(1 - ᾱ_t)`, the noise prediction (B, c, h, w) for which `predict_x0` returns `x0`."""
    sqrt_alpha_bar = sqrt_alpha_bar[:, None, None, None]
    return (noisy - sqrt_alpha_bar * x0) / (1 - sqrt_alpha_bar**2).sqrt()


# Captions


def caption(kind: int, score: float, age_years: float, prompt_choice: float, label_share: float = 0.5) -> str:
    """The caption of a crop.

    A zone is named by the template of P_full or of P_zone, a face by its age, its age label, or as a person of that
    label.

    Args:
        kind: of the crop.
        score: of a zone.
        age_years: of a face.
        prompt_choice: number in [0, 1) that chooses the template.
        label_share: share of faces that are named by their label, half of them in either form.
    """
    name = CROP_KINDS[kind]
    if name in ZONE_PATCHES:
        return (whole_prompt if prompt_choice < 0.5 else zone_prompt)(zone_of_patch(name), score)
    if name == SKIN:
        return NEUTRAL
    if prompt_choice >= label_share:
        return face_prompt(age_years)
    label = label_of(age_years)
    return label_prompt(label) if prompt_choice < label_share / 2 else person_prompt("", CLASS_WORD, label)
