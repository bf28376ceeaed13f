"""The held-out nets that measure a subject and the pictures made of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from reage.evaluation.generators import Picture
from reage.evaluation.metrics.distribution import Inception
from reage.evaluation.metrics.image_similarity import (
    background_share_of_change,
    changed_share,
    find_backdrop,
    make_background,
    mean_absolute_difference,
    peak_signal_to_noise_ratio,
    structural_similarity,
)
from reage.evaluation.metrics.skin import hue_shift
from reage.evaluation.metrics.statistics import individual_typology_angle
from reage.evaluation.subjects import Subject
from reage.faces.common_face import COMMON_UNITS
from reage.faces.common_view import CommonView, shrink_skin, view_in_common_face
from reage.faces.geometry import FACE_PER_CROP, zone_masks
from reage.faces.segmentation import brow_mask
from reage.faces.skin_detail import fill_unusable, log_luminance, measure_energy, split_bands
from reage.faces.skin_features import make_skin_view
from reage.faces.zone_scorer import ZoneScorer
from reage.images.codec import encode_jpeg
from reage.images.geometry import grow, resize, sample
from reage.images.tensors import to_net
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import DlibRecognizer, FaceRecognizer
from reage.nets.age import AgeNet, load_age_net
from reage.types import Face, Pixels
from reage.zones import ZONES

THUMBNAIL_PX = 160
FINE_CROP_PX = 512
"""Side of the crops of which `fine_features` are taken, which show skin texture; smaller crops are enlarged."""
OUTSIDE_LEVELS = 2
"""Pixels outside the person's skin and hair changed when a level differs by more than this, of 255."""
ZONE_MARGIN = 0.1
"""The background of a zone request begins so far beyond the zone, in eye distances."""

_OUTSIDE_SHARE = 0.1
"""A pixel is outside the person's skin and hair when less of it than this shows them."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The nets that measure pictures.

    No engine may have learned from `age_estimator`, `zone_scorer` or `recognizer`, whose numbers are the main results.

    Args:
        age_estimator: reads the ages that are reported.
        second_age_estimator: reads them too, to see whether both agree; engines get the source's age from it.
        age_net: the first estimator's net, which gives features for a face-KID.
        recognizer: gives identities.
        zone_scorer: gives the zone scores that are reported.
        second_zone_scorer: gives them too; engines get the source's scores from it.
        second_recognizer: a second net for identity, or None.
        inception: gives features for the KID and FID of papers, or None.
    """

    age_estimator: AgeEstimator
    second_age_estimator: AgeEstimator
    age_net: AgeNet
    recognizer: DlibRecognizer
    zone_scorer: ZoneScorer
    second_zone_scorer: ZoneScorer
    second_recognizer: FaceRecognizer | None = None
    inception: Inception | None = None

    @classmethod
    def load(cls, second_recognizer: FaceRecognizer | None = None, inception: Path | None = None) -> Judges:
        """The shipped nets, and those given."""
        return cls(
            age_estimator=AgeEstimator.load("age-b"),
            second_age_estimator=AgeEstimator.load("age-a"),
            age_net=load_age_net("age-b"),
            recognizer=DlibRecognizer.load(),
            zone_scorer=ZoneScorer.load("zones-b"),
            second_zone_scorer=ZoneScorer.load("zones-a"),
            second_recognizer=second_recognizer,
            inception=Inception.load(inception) if inception else None,
        )

    @property
    def names(self) -> dict[str, str]:
        """What is measured -> the net that measures it, with the hash of its weights."""
        names = {
            "age": f"age-b {self.age_estimator.weights_hash}",
            "age, second estimator": f"age-a {self.second_age_estimator.weights_hash}",
            "identity": "dlib face recognition ResNet",
            "zones": f"zones-b {self.zone_scorer.weights_hash}",
            "zones, second scorer": f"zones-a {self.second_zone_scorer.weights_hash}",
        }
        if self.second_recognizer:
            names["identity, second recognizer"] = self.second_recognizer.name
        if self.inception:
            names["realism"] = self.inception.name
        return names

    def judge(self, subject: Subject, pictures: Iterable[Picture]) -> list[dict[str, Any]]:
        """A row of `reage.evaluation.rows.SCHEMA` for the subject itself, and one for each picture made of it."""
        face = subject.face
        source = Picture(kind="source", crop=face.crop, points=subject.points, in_source_frame=face.crop)
        generated = list(pictures)
        whole = [source, *(picture for picture in generated if picture.kind != "zone")]
        zoned = [picture for picture in generated if picture.kind == "zone"]
        subject_columns = _describe_subject(subject)
        comparison = SourceComparison(face)
        rows = [
            {
                **subject_columns,
                **_describe_request(picture),
                **self._score_zones(picture, face),
                **comparison.columns(picture),
            }
            for picture in whole + zoned
        ]
        for row, measured in zip(rows, self._measure_changed(whole), strict=False):
            row.update(measured)
        return rows

    def _measure_changed(self, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
        """Ages, identities and features of whole pictures; nothing for those without a face.

        A picture equal to the first one, the source, gets the source's numbers and is not measured again: a net rounds
        a little differently at another place of a batch, and an unchanged picture must differ by exactly 0.
        """
        source, *generated = pictures
        changed = [picture for picture in generated if picture.crop is not None and not _equal(picture, source)]
        measured = self._measure([source, *changed])
        others = iter(measured[1:])
        return [
            measured[0] if _equal(picture, source) else {} if picture.crop is None else next(others)
            for picture in pictures
        ]

    def _measure(self, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
        crops = np.stack([picture.crop for picture in pictures if picture.crop is not None])
        points = np.stack([picture.points for picture in pictures])
        first, second = self.age_estimator.measure_crops(crops), self.second_age_estimator.measure_crops(crops)
        empty: list[list[float]] = [[] for _ in pictures]
        columns = {
            "years": [reading.age_years for reading in first],
            "years_std": [reading.age_std_years for reading in first],
            "second_years": [reading.age_years for reading in second],
            "identity": self.recognizer.embed_crops(crops, points).tolist(),
            "second_identity": self.second_recognizer.embed_crops(crops, points).tolist()
            if self.second_recognizer
            else empty,
            "features": age_features(self.age_net, crops).tolist(),
            "fine_features": age_features(self.age_net, crops, FINE_CROP_PX).tolist(),
            "inception": self.inception.features(crops).tolist() if self.inception else empty,
            "thumbnail": [encode_jpeg(resize(crop, THUMBNAIL_PX, THUMBNAIL_PX)) for crop in crops],
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _score_zones(self, picture: Picture, face: Face) -> dict[str, list[float]]:
        """Scores by both scorers, always on the skin that the source shows, so that only the skin's look counts."""
        if picture.in_source_frame is None:
            return {}
        view = make_skin_view(picture.in_source_frame, face.to_crop(face.landmarks), face.bare, face.hair)
        found = {
            "zones": self.zone_scorer.measure_view(view),
            "second_zones": self.second_zone_scorer.measure_view(view),
        }
        return {name: [scores.get(zone, math.nan) for zone in ZONES] for name, scores in found.items()}


class SourceComparison:
    """Compares pictures with the source's crop, pixel by pixel.

    Args:
        face: of the source.
    """

    def __init__(self, face: Face) -> None:
        self._face = face
        self._backdrop = find_backdrop(face.crop)
        self._background = make_background(np.maximum(face.skin > 0.5, face.hair > 0.5).astype(np.float32))
        self._skin = np.minimum(face.bare, 1 - face.hair)
        brows = brow_mask(len(face.crop), face.to_crop(face.mesh))
        self._outside = np.maximum.reduce([face.bare, face.hair, brows]) < _OUTSIDE_SHARE

    @cached_property
    def _zone_backgrounds(self) -> dict[str, Mask]:
        margin_px = ZONE_MARGIN * len(self._face.crop) / FACE_PER_CROP
        return {zone: grow(mask, margin_px) < 0.02 for zone, mask in zone_masks(self._face).items()}

    @cached_property
    def _view(self) -> CommonView:
        """The source in the common face, at the resolution of the crop."""
        face, side_px = self._face, round(len(self._face.crop) / FACE_PER_CROP * COMMON_UNITS)
        return view_in_common_face(face.crop, face.to_crop(face.mesh), shrink_skin(self._skin), side_px)

    def _band_energy(self, crop: Pixels) -> list[float]:
        """Energies of `PATCHES` by band, always on the skin that the source shows."""
        usable = self._view.usable
        levels = sample(crop, self._view.common.straighten(len(usable)))
        bands = split_bands(fill_unusable(log_luminance(levels), usable))
        energies: list[float] = measure_energy(bands, usable).ravel().tolist()
        return energies

    def columns(self, picture: Picture) -> dict[str, Any]:
        """Columns of a row; none without a picture of the same frame. A zone's background is all but the zone."""
        before, after = self._face.crop, picture.in_source_frame
        if after is None:
            return {}
        if picture.kind == "zone":
            background = self._zone_backgrounds[picture.zone]
            return {"background_share_of_change": background_share_of_change(before, after, background)}
        backdrop = self._backdrop
        return {
            "backdrop_changed": math.nan if backdrop is None else changed_share(before, after, backdrop),
            "background_l1": mean_absolute_difference(before, after, self._background),
            "background_psnr": peak_signal_to_noise_ratio(before, after, self._background),
            "background_share_of_change": background_share_of_change(before, after, self._background),
            "outside_changed": changed_share(before, after, self._outside, OUTSIDE_LEVELS),
            "hue_shift_degrees": hue_shift(before, after, self._skin > 0.5),
            "band_energy": self._band_energy(after),
            "ssim": structural_similarity(before, after),
            "psnr": peak_signal_to_noise_ratio(before, after),
            "l1": mean_absolute_difference(before, after),
        }


@torch.inference_mode()
def age_features(net: AgeNet, crops: Pixels, crop_px: int | None = None) -> NDArray[np.float32]:
    """(N, S, S, 3) -> (N, D) input of the estimator's last layer, which describes texture and shape, for a face-KID.

    Args:
        net: of the estimator; its convolutions take a picture of any size.
        crops: aligned as `Face.crop`.
        crop_px: side to which the crops are resampled first; by default the net sees them as when it estimates age.
    """
    px = None
    if crop_px is not None:
        crops = np.stack([resize(crop, crop_px, crop_px) for crop in crops])
        px = round(net.config.input_crops[0][0] * crop_px)
    features: NDArray[np.float32] = (
        net.trunk.pooled(net.input_crop(to_net(crops), px=px), net.config.feature_stages).float().numpy()
    )
    return features


def _equal(picture: Picture, source: Picture) -> bool:
    if picture.crop is None or source.crop is None:
        return False
    return np.array_equal(picture.crop, source.crop) and np.array_equal(picture.points, source.points)


def _describe_subject(subject: Subject) -> dict[str, Any]:
    return {
        "file": subject.file,
        "person": subject.person,
        "true_years": subject.age_years,
        "sex": subject.sex,
        "grey": subject.grey,
        "px_per_face_unit": len(subject.face.crop) * min(subject.image_px_per_crop_px, 1.0) / FACE_PER_CROP,
        "tone_degrees": np.nan if subject.grey else individual_typology_angle(_skin_colour(subject.face)),
    }


def _describe_request(picture: Picture) -> dict[str, Any]:
    return {name: getattr(picture, name) for name in ("kind", "target", "zone", "score", "seconds")}


def _skin_colour(face: Face) -> NDArray[np.floating]:
    """(3,) median RGB of the skin that may change; of the middle of the crop where hardly any shows."""
    skin = face.crop[face.matte * face.skin > 0.8]
    side = len(face.crop)
    if not len(skin):
        skin = face.crop[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8].reshape(-1, 3)
    colour: NDArray[np.floating] = np.median(skin, 0) / 255
    return colour
