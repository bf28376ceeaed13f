"""Training pairs of LDLA: each zone of a photo beside the same zone made younger and older, which differ in skin alone.

Convention:
    V versions of a zone, of which the photo is the first; latents (M, V, c, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

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
from reage.training.ldla.shading import ShadingConfig, WrinkleConfig, ZoneShading, apply_shading, scale_wrinkles
from reage.training.trainer import autocast_bf16
from reage.types import Face, Pixels
from reage.zones import ZONES


@dataclass(frozen=True)
class AgedVersion:
    """How a younger or older version of a photo is made.

    Args:
        age_years: age that the teacher gives the face.
        wrinkle_change: how its own wrinkles are then changed, see `reage.training.ldla.shading.scale_wrinkles`.
        score: score of which its zones then get the shading, see `reage.training.ldla.shading.apply_shading`.
    """

    age_years: float
    wrinkle_change: float
    score: float


@dataclass(frozen=True, kw_only=True)
class PairedLatentsConfig:
    """How pairs are made.

    Args:
        crops: how patches are cut and augmented.
        versions: younger and older versions of each photo.
        detail_shares: zones of which an older version keeps only this share of the teacher's fine detail, and nothing
            of its coarse light: the average light between the eyes and below them looks like plaster on a face.
        coarse_blur: sigma above which light is coarse, crop sides.
        shading: how shading and wrinkles of other people are learned.
        wrinkles: how the wrinkles of the face itself are changed.
    """

    crops: CropDatasetConfig = field(default_factory=CropDatasetConfig)
    versions: tuple[AgedVersion, ...] = (AgedVersion(20.0, -0.9, 0.0), AgedVersion(80.0, 1.7, 1.0))
    detail_shares: tuple[tuple[str, float], ...] = (
        ("glabella", 0.5),
        ("interocular", 1.0),
        ("under_eye.left", 0.5),
        ("under_eye.right", 0.5),
    )
    coarse_blur: float = 0.02
    shading: ShadingConfig = field(default_factory=ShadingConfig)
    wrinkles: WrinkleConfig = field(default_factory=WrinkleConfig)


@dataclass(frozen=True, kw_only=True)
class PairedLatents:
    """The encoded zones of all photos in all versions.

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
    versions: Sequence[CropDataset],
    config: CropDatasetConfig | None = None,
    track: Callable[[range], Iterable[int]] = iter,
) -> PairedLatents:
    """The latents of every zone of every portrait in all versions, each with the same augmentation.

    Zones that are hidden in one version are left out.

    Args:
        base: that encodes; it decides on the side of the patches.
        versions: the photos, and then each aged version, with the same rows.
        config: how patches are cut and augmented; None for the defaults.
        track: wraps the rows in a progress bar.
    """
    config = replace(config or CropDatasetConfig(), picture_px=base.picture_px)
    patches, found = torch.arange(len(ZONE_PATCHES)), []
    zones = torch.tensor([ZONES.index(zone_of_patch(name)) for name in ZONE_PATCHES])
    for row in track(range(len(versions[0]))):
        rows = torch.full_like(patches, row)
        cut = [crops.cut(rows, patches, config, Generator().manual_seed(row)) for crops in versions]
        scores = torch.stack([one.scores for one in cut], 1)
        visible = ~scores.isnan().any(1)
        with autocast_bf16(base.device):
            values = base.encode(torch.cat([one.x[visible] for one in cut]).to(base.device)).cpu()
        values = torch.stack(values.chunk(len(cut)), 1).half()
        found.append((values.numpy(), zones[visible].numpy(), scores[visible].numpy()))
    columns = [np.concatenate(column) for column in zip(*found, strict=True)]
    return PairedLatents(values=columns[0], zones=columns[1], scores=columns[2])


def age_crop_dataset(
    portraits: Portraits,
    teacher: Teacher,
    shading: ZoneShading,
    version: AgedVersion,
    config: PairedLatentsConfig,
    track: Callable[[range], Iterable[int]] = iter,
) -> CropDataset:
    """A younger or older version of the portraits, changed in light alone, with the measured scores of its zones.

    Args:
        portraits: of training people.
        teacher: an engine that ages faces without changing their shape, with what measures ages and scores.
        shading: of other people's zones.
        version: how the portraits are aged.
        config: how pairs are made.
        track: wraps the rows in a progress bar.
    """
    crops, scores = [], []
    for row in track(range(len(portraits))):
        face = portrait_to_face(portraits, row, teacher.parser).in_crop_frame()
        reading = teacher.read(face)
        score_changes = {zone: version.score - score for zone, score in reading.zones.items()}
        crop = _take_light(face, teacher.age(face, reading, version.age_years), score_changes, config)
        crop = scale_wrinkles(crop, face, version.wrinkle_change, config.wrinkles)
        crops.append(apply_shading(crop, face, shading, score_changes, config.shading))
        measured = teacher.zone_scorer.measure(replace(face, crop=crops[-1]))
        scores.append([measured.get(zone, np.nan) for zone in ZONES])
    return CropDataset(
        crops=np.stack(crops),
        landmarks=portraits.landmarks.astype(np.float32),
        age_years=portraits.age_years.astype(np.float32),
        scores=np.array(scores, np.float32),
    )


def _take_light(face: Face, aged: Pixels, score_changes: Mapping[str, float], config: PairedLatentsConfig) -> Pixels:
    """The crop with the light, but not the colour, of an aged one: of colour, smoothed folds would keep streaks.

    Args:
        face: whose crop it is.
        aged: (S, S, 3) the crop, older or younger.
        score_changes: zone -> change of its score.
        config: which zones keep only fine detail.
    """
    change = (aged.astype(np.float32) - face.crop).mean(-1)
    fine = change - geometry.blur(change, config.coarse_blur * len(change))
    shares = {zone: share for zone, share in config.detail_shares if score_changes.get(zone, 0) > 0}
    for zone, mask in bare_masks(face, list(shares)).items():
        change = change + mask * (shares[zone] * fine - change)
    return to_pixels(face.crop + change[..., None])
