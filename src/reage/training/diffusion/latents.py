"""Latents of an album's pictures, encoded once, and the prompts that go with them.

Convention:
    latents (M, c, h, w); kinds are places in `reage.training.diffusion.dataset.KINDS`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

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
from reage.training.diffusion.dataset import KINDS, SKIN, CropDataset, CropDatasetConfig
from reage.training.trainer import bf16


@dataclass(frozen=True, kw_only=True)
class Latents:
    """What there is to learn.

    Args:
        values: (M, c, h, w) float16.
        kinds: (M,) int64.
        scores: (M,) float32 of the zone, NaN where none is shown.
        years: (M,) float32 age of the person.
    """

    values: NDArray[np.float16]
    kinds: NDArray[np.int64]
    scores: NDArray[np.float32]
    years: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class LatentBatch:
    """A few of them, (B, ...) each."""

    values: Tensor
    kinds: Tensor
    scores: Tensor
    years: Tensor


@torch.no_grad()
def encode_crops(
    base: DiffusionBase,
    album: CropDataset,
    versions: int,
    faces: int = 0,
    seed: int = 0,
    track: Callable[[range], Iterable[int]] = iter,
) -> Latents:
    """Every kind of picture of every portrait, each in so many versions; zones that are hidden are left out.

    Args:
        base: that encodes.
        album: of the portraits.
        versions: of each picture, in other light and place.
        faces: how many more of the whole face.
        seed: of light and place.
        track: wraps the rows in a progress bar.
    """
    generator, config = Generator().manual_seed(seed), CropDatasetConfig(picture_px=base.picture_px)
    kinds = torch.cat([torch.arange(len(KINDS)).repeat(versions), torch.tensor([KINDS.index(FACE)] * faces).long()])
    found: list[LatentBatch] = []
    for row in track(range(len(album))):
        cut = album.cut(torch.full_like(kinds, row), kinds, config, generator)
        kept = (cut.kinds >= len(ZONE_PATCHES)) | ~cut.scores.isnan()
        with bf16(base.device):
            values = base.encode(cut.x[kept].to(base.device)).cpu()
        found.append(LatentBatch(values.half(), cut.kinds[kept], cut.scores[kept], cut.years[kept]))
    return Latents(
        values=torch.cat([one.values for one in found]).numpy(),
        kinds=torch.cat([one.kinds for one in found]).numpy(),
        scores=torch.cat([one.scores for one in found]).numpy(),
        years=torch.cat([one.years for one in found]).numpy(),
    )


def draw_latents(latents: Latents, rows: NDArray[np.int64], num: int, generator: Generator) -> LatentBatch:
    """A batch from among these rows."""
    chosen = rows[torch.randint(len(rows), (num,), generator=generator).numpy()]
    return LatentBatch(
        values=torch.from_numpy(latents.values[chosen]).float(),
        kinds=torch.from_numpy(latents.kinds[chosen]),
        scores=torch.from_numpy(latents.scores[chosen]),
        years=torch.from_numpy(latents.years[chosen]),
    )


def add_noise(values: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """Latents (B, c, h, w) of which a share (B,) of the amplitude is left, and noise in place of the rest."""
    signal = signal[:, None, None, None]
    return signal * values + (1 - signal**2).sqrt() * noise


def predict_x0(noisy: Tensor, noise: Tensor, signal: Tensor) -> Tensor:
    """The latents (B, c, h, w) in one step, if that is the noise; the other way round than `add_noise`."""
    signal = signal[:, None, None, None]
    return (noisy - (1 - signal**2).sqrt() * noise) / signal


def caption(kind: int, score: float, years: float, coin: float, labels: float = 0.5) -> str:
    """What a picture shows.

    Args:
        kind: of it.
        score: of a zone, which is called by one template or the other.
        years: of a face, which is called by them, by its label, or as one person is asked for under that label.
        coin: 0 to 1; decides.
        labels: share of faces that are called by their label, in either way.
    """
    name = KINDS[kind]
    if name in ZONE_PATCHES:
        return (whole_prompt if coin < 0.5 else zone_prompt)(zone_of_patch(name), score)
    if name == SKIN:
        return NEUTRAL
    if coin >= labels:
        return face_prompt(years)
    label = label_of(years)
    return label_prompt(label) if coin < labels / 2 else person_prompt("", CLASS_WORD, label)


def zone_rows(latents: Latents) -> NDArray[np.int64]:
    """The rows that show zones."""
    return np.flatnonzero(latents.kinds < len(ZONE_PATCHES))
