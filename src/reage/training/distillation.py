"""The distillation set: each training face as a teacher engine ages it, with all that a student needs beside it.

Convention:
    N faces, A ages, crops of P px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.composite import composite
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.engines import Engine
from reage.faces.aging_map import MAP_AGES_YEARS, make_aging_map
from reage.faces.segmentation import FaceParser
from reage.faces.skin_features import NUM_COLOUR_FEATURES, features_a, make_skin_view, skin_tone
from reage.faces.zone_scorer import ZoneScorer, tone_of
from reage.images import geometry
from reage.measure import measure_face
from reage.measure.age import AgeEstimator
from reage.plan import complete
from reage.types import Face, Pixels, Plan, Plane, Reading
from reage.zones import ZONES

AGES = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
"""Ages in years at which the teacher shows each face."""

DISTILLATION_PX, MAP_PX = 256, 64
"""Side of the crops, and of what is stored for aging maps."""

MAP_LEVELS = (0.1, 0.9)
"""A score or share s of an age has the level 0.1 + 0.9 s in an aging map."""


@dataclass(frozen=True, kw_only=True)
class DistillationDataset:
    """Training faces, the teacher's pictures of them, and their measurements.

    Args:
        crops: (N, P, P, 3) uint8 source faces.
        aged: (N, A, P, P, 3) uint8 the teacher's pictures at each of `AGES`.
        age_years: (N,) float32 true ages.
        estimated_years: (N,) float32 ages as the estimator sees them, which is what an engine gets at run time.
        zone_scores: (N, 12) float32 measured scores of the source faces, NaN where a zone is hidden.
        aged_zone_scores: (N, A, 12) float32 measured scores of the teacher's pictures.
        skin_weights: (N, 12, H, W) uint8, `reage.faces.skin_features.SkinView.weights` at half its size, times 255.
        colour_features: (N, 12, C) float32 the colour features of family "a".
        tones: (N,) skin tones, places in `reage.faces.zone_scorer.TONES`.
        landmarks: (N, 5, 2) float32 in crop sides.
        hair: (N, MAP_PX, MAP_PX) float16 share of hair.
        grey: (N,) bool, the photo has no colour.
    """

    crops: Pixels
    aged: NDArray[np.uint8]
    age_years: NDArray[np.float32]
    estimated_years: NDArray[np.float32]
    zone_scores: NDArray[np.float32]
    aged_zone_scores: NDArray[np.float32]
    skin_weights: NDArray[np.uint8]
    colour_features: NDArray[np.float32]
    tones: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    hair: NDArray[np.float16]
    grey: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.crops)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """An engine to learn from, and what measures and parses its faces.

    Args:
        engine: ages the faces.
        age_estimator: measures apparent ages.
        zone_scorer: measures zone scores.
        parser: finds skin and hair.
    """

    engine: Engine
    age_estimator: AgeEstimator
    zone_scorer: ZoneScorer
    parser: FaceParser

    @classmethod
    def load(cls, engine: Engine) -> Teacher:
        """The engine with the shipped weights "age-a", "zones-a" and "face-parser", none of which judge evaluations."""
        return cls(
            engine=engine,
            age_estimator=AgeEstimator.load("age-a"),
            zone_scorer=ZoneScorer.load("zones-a"),
            parser=FaceParser.load(),
        )

    def read(self, face: Face) -> Reading:
        """Apparent age, sex and zone scores of a face."""
        return measure_face(face, self.age_estimator, self.zone_scorer)

    def age(self, face: Face, reading: Reading, age_years: float) -> Pixels:
        """The face's crop (S, S, 3) at that age."""
        aged = self.engine.render(face, reading, complete(Plan(age=age_years), reading))
        return composite(face.crop, face, aged)


def make_distillation_dataset(
    portraits: Portraits,
    teacher: Teacher,
    crop_px: int,
    track: Callable[[range], Iterable[int]] = iter,
) -> DistillationDataset:
    """The teacher's pictures of every portrait.

    Args:
        portraits: of training people only.
        teacher: the engine to learn from.
        crop_px: side P of the crops.
        track: wraps the rows in a progress bar.
    """
    rows = [
        _make_row(portrait_to_face(portraits, row, teacher.parser), teacher, crop_px)
        for row in track(range(len(portraits)))
    ]
    columns = {name: np.stack([row[name] for row in rows]) for name in rows[0]}
    side = portraits.crops.shape[1]
    return DistillationDataset(
        **columns,
        age_years=portraits.age_years.astype(np.float32),
        landmarks=((portraits.landmarks + 0.5) / side).astype(np.float32),
        grey=portraits.grey,
    )


def _make_row(face: Face, teacher: Teacher, crop_px: int) -> dict[str, NDArray[Any]]:
    reading = teacher.read(face)
    aged = [geometry.resize(teacher.age(face, reading, age), crop_px, crop_px) for age in AGES]
    crop = geometry.resize(face.crop, crop_px, crop_px)
    points = geometry.move_points(face.to_crop(face.landmarks), geometry.resize_matrix(len(face.crop), crop_px))
    views = [make_skin_view(picture, points, face.bare, face.hair) for picture in (crop, *aged)]
    measured = [teacher.zone_scorer.measure_view(view) for view in views]
    scores = np.array([[by_zone.get(zone, np.nan) for zone in ZONES] for by_zone in measured], np.float32)
    return {
        "crops": crop,
        "aged": np.stack(aged),
        "estimated_years": np.array(reading.age_years, np.float32),
        "hair": geometry.resize(face.hair, MAP_PX, MAP_PX).astype(np.float16),
        "zone_scores": scores[0],
        "aged_zone_scores": scores[1:],
        "skin_weights": _to_half_size(views[0].weights),
        "colour_features": features_a(views[0])[:, -NUM_COLOUR_FEATURES:],
        "tones": np.array(tone_of(skin_tone(views[0]))),
    }


def _to_half_size(weights: Plane) -> NDArray[np.uint8]:
    """(12, H, W) in [0, 1] -> (12, H / 2, W / 2) in [0, 255]."""
    means = weights.reshape(len(weights), weights.shape[1] // 2, 2, weights.shape[2] // 2, 2).mean((2, 4))
    return np.rint(255 * means).astype(np.uint8)


def make_map_weights(landmarks: Plane, hair: NDArray[np.float16]) -> Plane:
    """What each zone and, last, the age add to an aging map, which is linear in both.

    A map is the sum of these weights, each times the level of its zone's score or of the age's share; see `MAP_LEVELS`.

    Args:
        landmarks: (5, 2) in crop sides.
        hair: (MAP_PX, MAP_PX) share of hair.

    Returns:
        (13, MAP_PX, MAP_PX).
    """
    points, hair_share = landmarks * MAP_PX - 0.5, hair.astype(np.float32)
    youngest, oldest = MAP_AGES_YEARS

    def draw(age_years: float, oldest_zone: str = "") -> Plane:
        scores = {zone: float(zone == oldest_zone) for zone in ZONES}
        return make_aging_map(MAP_PX, points, age_years, scores, hair_share)

    smallest = draw(youngest)
    additions = [draw(youngest, zone) - smallest for zone in ZONES] + [draw(oldest) - smallest]
    return (np.stack(additions) / MAP_LEVELS[1]).astype(np.float32)
