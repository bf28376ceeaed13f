"""Zones that differ in their skin alone: a photo, and the same photo younger and older, made by an engine of ours.

Convention:
    V versions of a zone, of which the photo is the first; latents (M, V, c, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.faces.geometry import bare_masks
from reage.faces.patches import ZONE_PATCHES, zone_of_patch
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.dataset import CropDataset, CropDatasetConfig
from reage.training.distillation import Teacher
from reage.training.ldla.shading import ZoneShading, apply_shading
from reage.training.ldla.wrinkles import scale_wrinkles
from reage.training.trainer import bf16
from reage.types import Face, Pixels
from reage.zones import ZONES


@dataclass(frozen=True)
class Version:
    """How a photo is shown beside itself.

    Args:
        age_years: that the teacher makes it.
        lines: what then becomes of its lines, see `reage.training.ldla.wrinkles`.
        score: that the shades of its zones are to have, see `reage.training.ldla.shading`.
    """

    age_years: float
    lines: float
    score: float


_FINE: Mapping[str, float] = MappingProxyType(
    {"glabella": 0.5, "interocular": 1.0, "under_eye.left": 0.5, "under_eye.right": 0.5}
)
"""Zones of which the teacher's older versions keep this share of what is fine, and nothing that is broad: light between
the eyes and patches below them, which come with an age on average and look like plaster on a face."""
_BROAD = 0.02
"""Sigma of what is broad, crop sides."""
VERSIONS = (Version(20.0, -0.9, 0.0), Version(80.0, 1.7, 1.0))


@dataclass(frozen=True, kw_only=True)
class PairedLatents:
    """What there is to learn.

    Args:
        values: (M, V, c, h, w) float16 latents of a photo's zone and of its other versions.
        kinds: (M,) int64 places in `reage.zones.ZONES`.
        scores: (M, V) float32 as measured.
    """

    values: NDArray[np.float16]
    kinds: NDArray[np.int64]
    scores: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.values)


@dataclass(frozen=True)
class PairedLatentBatch:
    """A few of them, (B, ...) each: two versions of a zone, the second the first one's partner."""

    values: Tensor
    kinds: Tensor
    scores: Tensor
    partners: Tensor
    partner_scores: Tensor


def sample_pairs(pairs: PairedLatents, num: int, generator: Generator) -> PairedLatentBatch:
    """A batch: of each zone two different versions; every other time the first is the photo, as it is in use."""
    num_versions = pairs.scores.shape[1]
    rows = torch.randint(len(pairs), (num,), generator=generator).numpy()
    made, by, coin = (torch.randint(most, (num,), generator=generator).numpy() for most in [num_versions - 1] * 2 + [2])
    first = coin * (1 + made)
    second = (first + 1 + by) % num_versions
    return PairedLatentBatch(
        values=torch.from_numpy(pairs.values[rows, first]).float(),
        kinds=torch.from_numpy(pairs.kinds[rows]),
        scores=torch.from_numpy(pairs.scores[rows, first]),
        partners=torch.from_numpy(pairs.values[rows, second]).float(),
        partner_scores=torch.from_numpy(pairs.scores[rows, second]),
    )


@torch.no_grad()
def encode_pairs(
    base: DiffusionBase, albums: Sequence[CropDataset], track: Callable[[range], Iterable[int]] = iter
) -> PairedLatents:
    """Every zone of every portrait in all its versions, in the same place and light.

    Zones that are hidden in one of them are left out.

    Args:
        base: that encodes.
        albums: of the photos, and then of each version, row by row the same.
        track: wraps the rows in a progress bar.
    """
    squares, config, found = torch.arange(len(ZONE_PATCHES)), CropDatasetConfig(picture_px=base.picture_px), []
    zones = torch.tensor([ZONES.index(zone_of_patch(name)) for name in ZONE_PATCHES])
    for row in track(range(len(albums[0]))):
        rows = torch.full_like(squares, row)
        cut = [album.cut(rows, squares, config, Generator().manual_seed(row)) for album in albums]
        scores = torch.stack([one.scores for one in cut], 1)
        shown = ~scores.isnan().any(1)
        with bf16(base.device):
            values = base.encode(torch.cat([one.x[shown] for one in cut]).to(base.device)).cpu()
        values = torch.stack(values.chunk(len(cut)), 1).half()
        found.append((values.numpy(), zones[shown].numpy(), scores[shown].numpy()))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return PairedLatents(values=columns[0], kinds=columns[1], scores=columns[2])


def age_crop_dataset(
    portraits: Portraits,
    teacher: Teacher,
    shades: ZoneShading,
    version: Version,
    track: Callable[[range], Iterable[int]] = iter,
) -> CropDataset:
    """The portraits younger or older, in light alone, and the scores that their zones have then.

    Args:
        portraits: of training people.
        teacher: an engine that ages faces without changing their shape, with what reads ages and scores.
        shades: of other people's zones.
        version: how much so.
        track: wraps the rows in a progress bar.
    """
    crops, scores = [], []
    for row in track(range(len(portraits))):
        face = portrait_to_face(portraits, row, teacher.parser).in_crop_frame()
        reading = teacher.read(face)
        rises = {zone: version.score - now for zone, now in reading.zones.items()}
        light = _take_light(face, teacher.age(face, reading, version.age_years), rises)
        crops.append(apply_shading(scale_wrinkles(light, face, version.lines), face, shades, rises))
        measured = teacher.scorer.measure(replace(face, crop=crops[-1]))
        scores.append([measured.get(zone, np.nan) for zone in ZONES])
    return CropDataset(
        crops=np.stack(crops),
        landmarks=portraits.landmarks.astype(np.float32),
        years=portraits.age_years.astype(np.float32),
        scores=np.array(scores, np.float32),
    )


def _take_light(face: Face, aged: Pixels, rises: Mapping[str, float]) -> Pixels:
    """The crop with the light of an aged one, less what looks wrong; of colour, deep folds would keep streaks.

    Args:
        face: whose crop it is.
        aged: (S, S, 3) the same older or younger.
        rises: by how much the score of each zone is to rise.
    """
    change = (aged.astype(np.float32) - face.crop).mean(-1)
    fine = change - geometry.blur(change, _BROAD * len(change))
    masks = bare_masks(face, [zone for zone in _FINE if rises.get(zone, 0) > 0])
    for zone, mask in masks.items():
        change = change + mask * (_FINE[zone] * fine - change)
    return to_pixels(face.crop + change[..., None])
