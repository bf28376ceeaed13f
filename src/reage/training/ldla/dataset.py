"""Training pairs of LDLA: each zone of a face in the common face, beside the same zone as `exemplar` ages its skin.

Convention:
    V versions of a zone, of which the photo is the first; latents (M, V, c, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.composite import apply_to_crop
from reage.data.augment import AugmentConfig, relight
from reage.data.shards import Portraits
from reage.faces.geometry import smoothstep
from reage.faces.patches import ZONE_PATCHES, cut_squares, zone_of_patch
from reage.faces.skin_detail import coarser_than, fill_unusable, log_luminance, named_map, split_bands
from reage.images.tensors import to_net
from reage.nets.diffusion import DiffusionBase
from reage.training.skin_changes import LIGHT_AUGMENT, LIGHT_STEP, SkinChangeDataset
from reage.training.trainer import autocast_bf16
from reage.types import Gain, Pixels, Plane
from reage.zones import MIRRORED_ZONES, ZONES

_LINE_BANDS = slice(1, 5)
"""Bands of `reage.faces.skin_detail.split_bands` in which lines are: pores are finer, shading is coarser."""
_FAINT = (0.01, 0.04)
"""Log luminance of a dark place that is no line, and of one that is."""
_MOST_CHANGE = (-0.6, 0.3)


@dataclass(frozen=True, kw_only=True)
class PairedLatentsConfig:
    """How pairs are made of skin changes.

    Args:
        num_faces: faces that pairs are made of, at most: half of them the sharpest, half at random.
        deepening: how much deeper the lines of a face itself become in a zone whose score rises by 1, as a share of
            their depth: the lines of donors, which `exemplar` adds, cannot be foreseen from a face, its own can.
        coarsest_parts: a change loses what is coarser than the face divided by so many: the engine takes it from
            `exemplar`.
        augment: of the light of pictures alone; in the common face no zone has another place.
    """

    num_faces: int = 400
    deepening: float = 1.2
    coarsest_parts: int = 16
    augment: AugmentConfig = LIGHT_AUGMENT


@dataclass(frozen=True, kw_only=True)
class PairedLatents:
    """The encoded zones of all faces in all versions.

    Args:
        values: (M, V, c, h, w) float16 latents.
        zones: (M,) int64 places in `reage.zones.ZONES`.
        scores: (M, V) float32 measured scores.
    """

    values: NDArray[np.float16]
    zones: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class PairedLatentBatch:
    """A batch of pairs, (B, ...) each: two versions of a zone with their scores."""

    values: Tensor
    zones: Tensor
    scores: Tensor
    paired_values: Tensor
    paired_scores: Tensor


def sample_pairs(pairs: PairedLatents, num: int, generator: Generator) -> PairedLatentBatch:
    """A batch of two different versions of each zone; in half of them the first is the photo, as it is at inference."""
    num_versions = pairs.scores.shape[1]
    rows = torch.randint(len(pairs), (num,), generator=generator).numpy()
    first_aged, offset, is_aged = (
        torch.randint(most, (num,), generator=generator).numpy() for most in (num_versions - 1, num_versions - 1, 2)
    )
    first = is_aged * (1 + first_aged)
    second = (first + 1 + offset) % num_versions
    return PairedLatentBatch(
        values=torch.from_numpy(pairs.values[rows, first]).float(),
        zones=torch.from_numpy(pairs.zones[rows]),
        scores=torch.from_numpy(pairs.scores[rows, first]),
        paired_values=torch.from_numpy(pairs.values[rows, second]).float(),
        paired_scores=torch.from_numpy(pairs.scores[rows, second]),
    )


@torch.no_grad()
def encode_pairs(
    base: DiffusionBase,
    changes: SkinChangeDataset,
    config: PairedLatentsConfig,
    seed: int = 0,
    track: Callable[[range], Iterable[int]] = iter,
) -> PairedLatents:
    """The latents of every zone of every face in all versions, each under the same light; half are mirrored.

    Zones that are hidden are left out.

    Args:
        base: that encodes; it decides on the side of the squares.
        changes: of training faces.
        config: which pairs are made.
        seed: of light and mirroring.
        track: wraps the faces in a progress bar.
    """
    found = []
    for row in track(range(len(changes))):
        generator = Generator().manual_seed(seed + row)
        mirrored = bool(torch.rand(1, generator=generator) < 0.5)
        scores = np.vstack([changes.zone_scores[row], changes.changed_zone_scores[row]])
        patches = [name for name in ZONE_PATCHES if not np.isnan(scores[:, _zone_shown(name, mirrored)]).any()]
        if not patches:
            continue
        shown = [_zone_shown(name, mirrored) for name in patches]
        versions = make_versions(changes, row, config)
        cut = [cut_squares(_flip(one) if mirrored else one, patches, base.picture_px) for one in versions]
        num = len(versions)
        x = to_net(np.concatenate(cut))
        light = torch.stack([relight_alike(one, config.augment, seed + row) for one in x.unflatten(0, (num, -1))])
        with autocast_bf16(base.device):
            values = base.encode(light.flatten(0, 1).to(base.device)).cpu()
        values = values.unflatten(0, (num, -1)).transpose(0, 1).half()
        names = np.array([ZONES.index(zone_of_patch(name)) for name in patches])
        found.append((values.numpy(), names, scores[:, shown].T.astype(np.float32)))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return PairedLatents(values=columns[0], zones=columns[1], scores=columns[2])


def choose_faces(portraits: Portraits, num: int, seed: int) -> Portraits:
    """So many of these portraits, see `PairedLatentsConfig`."""
    sharpest_first = np.argsort(-portraits.image_px_per_crop_px, kind="stable")
    rest = np.random.default_rng(seed).permutation(sharpest_first[num // 2 :])
    return portraits.pick(np.sort(np.concatenate([sharpest_first[: num // 2], rest[: num - num // 2]])))


def make_versions(changes: SkinChangeDataset, row: int, config: PairedLatentsConfig) -> list[Pixels]:
    """A face of the set (P, P, 3) in the common face, and each change of it in light that is not coarse."""
    levels = changes.levels[row]
    lines = find_lines(levels, changes.usable[row].astype(np.float32) / 255)
    rises = np.nan_to_num(changes.changed_zone_scores[row] - changes.zone_scores[row]).clip(0)
    versions = [levels]
    for light, rise in zip(changes.light[row], rises, strict=True):
        deeper = named_map(dict(zip(ZONES, rise.tolist(), strict=True)), len(levels)) * lines
        change = LIGHT_STEP * light.astype(np.float32) + config.deepening * deeper
        change = np.clip(change - coarser_than(change, config.coarsest_parts), *_MOST_CHANGE)
        versions.append(apply_to_crop(levels, [Gain(np.repeat(change[..., None], 3, -1).astype(np.float32))]))
    return versions


def find_lines(levels: Pixels, usable: Plane) -> Plane:
    """(P, P) log luminance of dark lines of a face in the common face, 0 or below, relative to the skin beside them."""
    bands = split_bands(fill_unusable(log_luminance(levels), usable))[_LINE_BANDS]
    dark = [np.minimum(band, 0) * smoothstep(-band, *_FAINT) for band in bands]
    return (np.sum(dark, axis=0) * usable).astype(np.float32)


def relight_alike(x: Tensor, config: AugmentConfig, seed: int) -> Tensor:
    """Pictures (K, 3, P, P) of a face, each under a light that depends on the seed and its place alone."""
    return relight(x, config, Generator().manual_seed(seed)).clamp(-1, 1)


def _zone_shown(patch: str, mirrored: bool) -> int:
    """The place in `ZONES` of the zone that a square shows in a face, or in its mirror image."""
    zone = ZONES.index(zone_of_patch(patch))
    return MIRRORED_ZONES[zone] if mirrored else zone


def _flip(plane: Pixels) -> Pixels:
    return np.ascontiguousarray(plane[:, ::-1])
