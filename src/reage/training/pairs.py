"""Pairs of one zone at two scores: a photo, and the same photo with smoother skin, made by an engine of ours.

Convention:
    of the two, the photo is first; latents (M, 2, c, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.composite import composite
from reage.evaluation.subjects import face_of, in_own_crop
from reage.images.regions import to_pixels
from reage.nets.diffusion import Base
from reage.plan import complete
from reage.portraits import Portraits
from reage.training.album import Album, AlbumConfig
from reage.training.lessons import Teacher
from reage.types import ZONES, Pixels, Plan

ENDS = 0.5
"""Share of zones that are asked for 0; the others for anything between that and the score there is."""


@dataclass(frozen=True, kw_only=True)
class Pairs:
    """What there is to learn.

    Args:
        values: (M, 2, c, h, w) float16 latents of a photo's zone and of its smoother self.
        kinds: (M,) int64 places in `reage.types.ZONES`.
        scores: (M, 2) float32 as measured.
    """

    values: NDArray[np.float16]
    kinds: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class PairBatch:
    """A few of them, (B, ...) each: one of the two, and the other one, its partner."""

    values: Tensor
    kinds: Tensor
    scores: Tensor
    partners: Tensor
    partner_scores: Tensor


def draw_pairs(pairs: Pairs, num: int, generator: Generator) -> PairBatch:
    """A batch; in half of it the photo comes first."""
    rows = torch.randint(len(pairs), (num,), generator=generator).numpy()
    first = torch.randint(2, (num,), generator=generator).numpy()
    return PairBatch(
        values=torch.from_numpy(pairs.values[rows, first]).float(),
        kinds=torch.from_numpy(pairs.kinds[rows]),
        scores=torch.from_numpy(pairs.scores[rows, first]),
        partners=torch.from_numpy(pairs.values[rows, 1 - first]).float(),
        partner_scores=torch.from_numpy(pairs.scores[rows, 1 - first]),
    )


@torch.no_grad()
def encode_pairs(
    base: Base, album: Album, smoother: Sequence[Album], track: Callable[[range], Iterable[int]] = iter
) -> Pairs:
    """Every zone of every portrait beside each smoother one, both in the same place and light.

    Zones that are hidden in one of the two are left out.

    Args:
        base: that encodes.
        album: of photos.
        smoother: the same, row by row, as `smooth_album` has made them; place and light are drawn anew for each.
        track: wraps the rows in a progress bar.
    """
    zones, config, found = torch.arange(len(ZONES)), AlbumConfig(picture_px=base.picture_px), []
    for row in track(range(len(album))):
        rows = torch.full_like(zones, row)
        for version, smooth in enumerate(smoother):
            seed = version * len(album) + row
            cut = [one.cut(rows, zones, config, Generator().manual_seed(seed)) for one in (album, smooth)]
            scores = torch.stack([one.scores for one in cut], 1)
            shown = ~scores.isnan().any(1)
            with torch.autocast(base.device.type, torch.bfloat16):
                values = base.encode(torch.cat([one.x[shown] for one in cut]).to(base.device)).cpu()
            found.append((torch.stack(values.chunk(2), 1).half().numpy(), zones[shown].numpy(), scores[shown].numpy()))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return Pairs(values=columns[0], kinds=columns[1], scores=columns[2])


def smooth_album(
    portraits: Portraits, teacher: Teacher, seed: int, track: Callable[[range], Iterable[int]] = iter
) -> Album:
    """The portraits with the skin of every zone younger by as much as chance has it, and the scores they have then.

    Younger, since smoothing is what our engines do well: the lines of the older picture are then those of a photo.

    Args:
        portraits: of training people.
        teacher: an engine that ages zones, with what reads ages and scores.
        seed: of the scores that are asked for.
        track: wraps the rows in a progress bar.
    """
    crops, scores = [], []
    for row in track(range(len(portraits))):
        face = in_own_crop(face_of(portraits, row, teacher.parser))
        reading = replace(teacher.reader.measure(face), zones=teacher.scorer.measure(face))
        shares = _draw_shares(np.random.default_rng((seed, row)))
        asked = {
            zone: reading.zones[zone] * share
            for zone, share in zip(ZONES, shares, strict=True)
            if zone in reading.zones
        }
        aged = teacher.engine.render(face, reading, complete(Plan(zones=asked), reading))
        crops.append(_keep_colour(face.crop, composite(face.crop, face, aged)))
        measured = teacher.scorer.measure(replace(face, crop=crops[-1]))
        scores.append([measured.get(zone, np.nan) for zone in ZONES])
    return Album(
        crops=np.stack(crops),
        landmarks=portraits.landmarks.astype(np.float32),
        years=portraits.age_years.astype(np.float32),
        scores=np.array(scores, np.float32),
    )


def _keep_colour(crop: Pixels, aged: Pixels) -> Pixels:
    """The crop with the light of an aged one: of colour, deep folds would keep streaks."""
    change = aged.astype(np.float32) - crop
    return to_pixels(crop + change.mean(-1, keepdims=True))


def _draw_shares(rng: np.random.Generator) -> list[float]:
    """(12,) in [0, 1], of which `ENDS` are 0."""
    return np.where(rng.random(len(ZONES)) < ENDS, 0.0, rng.random(len(ZONES))).tolist()
