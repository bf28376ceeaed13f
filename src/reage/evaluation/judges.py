"""The nets that judge, and what they say of one subject and the pictures made of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from reage.evaluation.generators import Picture
from reage.evaluation.metrics.image_similarity import (
    leak_ratio,
    make_background,
    mean_difference,
    peak_signal_to_noise,
    structural_similarity,
)
from reage.evaluation.metrics.inception import Inception
from reage.evaluation.metrics.statistics import backdrop_of, changed_share, individual_typology_angle
from reage.evaluation.subjects import Subject
from reage.faces.geometry import FACE_PER_CROP, zone_masks
from reage.faces.skin_features import make_skin_view
from reage.faces.zone_scorer import ZoneScorer
from reage.images.codec import encode_jpeg
from reage.images.geometry import grow, resize
from reage.images.tensors import to_net
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import DlibRecognizer
from reage.types import Face, Pixels
from reage.zones import ZONES

if TYPE_CHECKING:
    from reage.measure.recognizers import OnnxRecognizer

THUMBNAIL_PX = 160
ZONE_REACH = 0.1
"""A zone's order may change skin so far beyond the zone, in eye distances."""

Mask = NDArray[np.bool_]


@dataclass(frozen=True, kw_only=True)
class Judges:
    """The nets that judge; no engine may have learned from the estimator, the scorer or the recognizer.

    Args:
        estimator: reads the ages that are reported.
        reader: reads the source age for the engine; a second opinion on the rest.
        recognizer: tells how far apart two faces are.
        scorer: scores the zones that are reported.
        zone_reader: a second opinion on them.
        matcher: a second net for identity, or None.
        inception: features for the KID and FID of papers, or None.
    """

    estimator: AgeEstimator
    reader: AgeEstimator
    recognizer: DlibRecognizer
    scorer: ZoneScorer
    zone_reader: ZoneScorer
    matcher: OnnxRecognizer | None = None
    inception: Inception | None = None

    @classmethod
    def load(cls, matcher: OnnxRecognizer | None = None, inception: Path | None = None) -> Judges:
        """The shipped nets, and those given."""
        return cls(
            estimator=AgeEstimator.load("age-b"),
            reader=AgeEstimator.load("age-a"),
            recognizer=DlibRecognizer.load(),
            scorer=ZoneScorer.load("zones-b"),
            zone_reader=ZoneScorer.load("zones-a"),
            matcher=matcher,
            inception=Inception.load(inception) if inception else None,
        )

    @property
    def names(self) -> dict[str, str]:
        """Who judges what, with the hashes of their weights."""
        known = {
            "age": f"age-b {self.estimator.weights_hash}",
            "age, second opinion": f"age-a {self.reader.weights_hash}",
            "identity": "dlib face recognition ResNet",
            "zones": f"zones-b {self.scorer.weights_hash}",
            "zones, second opinion": f"zones-a {self.zone_reader.weights_hash}",
        }
        if self.matcher:
            known["identity, second matcher"] = self.matcher.name
        if self.inception:
            known["realism"] = self.inception.name
        return known

    def judge(self, subject: Subject, pictures: Iterable[Picture]) -> list[dict[str, Any]]:
        """A row of `reage.evaluation.rows.SCHEMA` for the subject itself, and one for each picture made of it."""
        face = subject.face
        source = Picture(kind="source", crop=face.crop, points=subject.points, in_frame=face.crop)
        made = list(pictures)
        whole = [source, *(one for one in made if one.kind != "zone")]
        zoned = [one for one in made if one.kind == "zone"]
        same = {
            "file": subject.file,
            "person": subject.person,
            "true_years": subject.age_years,
            "sex": subject.sex,
            "grey": subject.grey,
            "tone_degrees": np.nan if subject.grey else individual_typology_angle(_skin_colour(face)),
        }
        likeness = ImageSimilarity(face)
        rows = [{**same, **_order(one), **self._zones(one, face), **likeness.rows(one)} for one in whole + zoned]
        for row, own in zip(rows, self._readings(whole), strict=False):
            row.update(own)
        return rows

    def _readings(self, pictures: Sequence[Picture]) -> list[dict[str, Any]]:
        """Ages, identities and features of whole pictures; nothing for those without a face.

        What equals the first picture, the source, is not read again: nets round a little otherwise in another place of
        a batch, and no change shall read as exactly none.
        """
        source, *made = pictures
        changed = [one for one in made if one.crop is not None and not _same(one, source)]
        readings = self._read([source, *changed])
        later = iter(readings[1:])
        return [readings[0] if _same(one, source) else {} if one.crop is None else next(later) for one in pictures]

    def _read(self, found: Sequence[Picture]) -> list[dict[str, Any]]:
        crops = np.stack([one.crop for one in found if one.crop is not None])
        points = np.stack([one.points for one in found])
        years, second = self.estimator.measure_crops(crops), self.reader.measure_crops(crops)
        nothing: list[list[float]] = [[] for _ in found]
        columns = {
            "years": [reading.age_years for reading in years],
            "years_std": [reading.age_std_years for reading in years],
            "reader_years": [reading.age_years for reading in second],
            "identity": self.recognizer.embed_crops(crops, points).tolist(),
            "matcher": self.matcher.embed_crops(crops, points).tolist() if self.matcher else nothing,
            "features": features_of(self.estimator, crops).tolist(),
            "inception": self.inception.features(crops).tolist() if self.inception else nothing,
            "thumbnail": [encode_jpeg(resize(crop, THUMBNAIL_PX, THUMBNAIL_PX)) for crop in crops],
        }
        return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]

    def _zones(self, picture: Picture, face: Face) -> dict[str, list[float]]:
        """Scores by both scorers on the skin that the source shows, so that only what is in the picture differs."""
        if picture.in_frame is None:
            return {}
        view = make_skin_view(picture.in_frame, face.to_crop(face.landmarks), face.bare, face.hair)
        found = {"zones": self.scorer.measure_view(view), "reader_zones": self.zone_reader.measure_view(view)}
        return {name: [scores.get(zone, math.nan) for zone in ZONES] for name, scores in found.items()}


class ImageSimilarity:
    """What must not change beside a source's crop."""

    def __init__(self, face: Face) -> None:
        self._face = face
        self._backdrop = backdrop_of(face.crop)
        self._background = make_background(np.maximum(face.skin > 0.5, face.hair > 0.5).astype(np.float32))

    @cached_property
    def _zone_masks(self) -> dict[str, Mask]:
        reach_px = ZONE_REACH * len(self._face.crop) / FACE_PER_CROP
        return {zone: grow(mask, reach_px) < 0.02 for zone, mask in zone_masks(self._face).items()}

    def rows(self, picture: Picture) -> dict[str, float]:
        """Pixel by pixel; nothing without a picture of the same frame. A zone's background is all but the zone."""
        before, after = self._face.crop, picture.in_frame
        if after is None:
            return {}
        if picture.kind == "zone":
            return {"leak": leak_ratio(before, after, self._zone_masks[picture.zone])}
        backdrop = self._backdrop
        return {
            "backdrop_changed": math.nan if backdrop is None else changed_share(before, after, backdrop),
            "background_l1": mean_difference(before, after, self._background),
            "background_psnr": peak_signal_to_noise(before, after, self._background),
            "leak": leak_ratio(before, after, self._background),
            "ssim": structural_similarity(before, after),
            "psnr": peak_signal_to_noise(before, after),
            "changed": mean_difference(before, after),
        }


@torch.inference_mode()
def features_of(age_estimator: AgeEstimator, crops: Pixels) -> NDArray[np.float32]:
    """(N, S, S, 3) -> (N, D) what an estimator's head sees: texture and shape of faces, for a face-KID."""
    net = age_estimator.net
    found: NDArray[np.float32] = net.trunk.pooled(net.look(to_net(crops)), net.config.stages_read).float().numpy()
    return found


def _same(picture: Picture, source: Picture) -> bool:
    if picture.crop is None or source.crop is None:
        return False
    return np.array_equal(picture.crop, source.crop) and np.array_equal(picture.points, source.points)


def _order(picture: Picture) -> dict[str, Any]:
    return {name: getattr(picture, name) for name in ("kind", "target", "zone", "score", "seconds")}


def _skin_colour(face: Face) -> NDArray[np.floating]:
    """(3,) median RGB of the skin that may change; of the middle of the crop where hardly any shows."""
    skin = face.crop[face.matte * face.skin > 0.8]
    side = len(face.crop)
    if not len(skin):
        skin = face.crop[side // 2 - 8 : side // 2 + 8, side // 2 - 8 : side // 2 + 8].reshape(-1, 3)
    colour: NDArray[np.floating] = np.median(skin, 0) / 255
    return colour
