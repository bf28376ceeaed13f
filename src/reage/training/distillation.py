"""DistillationDataset for engines that learn from `prototype`: each training face at several ages, with its maps.

Convention:
    N faces, A ages, crops of P px.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.composite import composite
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.engines import Engine
from reage.faces.aging_map import make_aging_map
from reage.faces.segmentation import FaceParser
from reage.faces.skin_features import NUM_COLOUR_FEATURES, features_a, make_skin_view, skin_tone
from reage.faces.zone_scorer import ZoneScorer, tone_of
from reage.images import geometry
from reage.measure.age import AgeEstimator
from reage.plan import complete
from reage.types import Face, Pixels, Plan, Plane, Reading
from reage.zones import ZONES

AGES = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 80.0)
DISTILLATION_PX, MAP_PX = 256, 64
YOUNGEST, OLDEST = 18.0, 80.0
"""Ages at which the fill of an aging map has its least and its most."""


@dataclass(frozen=True, kw_only=True)
class DistillationDataset:
    """What there is to learn.

    Args:
        crops: (N, P, P, 3) uint8 faces as they are.
        aged: (N, A, P, P, 3) uint8 the same at each of `AGES`.
        years: (N,) float32 true ages.
        read_years: (N,) float32 as the reader reads them, which is what an engine gets at run time.
        scores: (N, 12) float32 measured scores of the zones, NaN where hidden.
        aged_scores: (N, A, 12) float32 the same of the aged pictures.
        skins: (N, 12, H, W) uint8 share of 255 that each place shows of a zone's skin: `reage.faces.skin_features.SkinView.weights` at
            half its size.
        colours: (N, 12, C) float32 signs of colour, the last of family "a".
        tones: (N,) places in `reage.faces.zone_scorer.TONES`.
        landmarks: (N, 5, 2) float32 in shares of the crop's side.
        hair: (N, MAP_PX, MAP_PX) float16 share of hair.
        grey: (N,) bool.
    """

    crops: Pixels
    aged: NDArray[np.uint8]
    years: NDArray[np.float32]
    read_years: NDArray[np.float32]
    scores: NDArray[np.float32]
    aged_scores: NDArray[np.float32]
    skins: NDArray[np.uint8]
    colours: NDArray[np.float32]
    tones: NDArray[np.int64]
    landmarks: NDArray[np.float32]
    hair: NDArray[np.float16]
    grey: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.crops)


@dataclass(frozen=True, kw_only=True)
class Teacher:
    """Everything that it takes to make a lesson."""

    engine: Engine
    reader: AgeEstimator
    scorer: ZoneScorer
    parser: FaceParser

    @classmethod
    def load(cls, engine: Engine) -> Teacher:
        """With the shipped weights that read; none that judge."""
        scorer, parser = ZoneScorer.load("zones-a"), FaceParser.load()
        return cls(engine=engine, reader=AgeEstimator.load("age-a"), scorer=scorer, parser=parser)

    def read(self, face: Face) -> Reading:
        """How old the face looks, with its zones."""
        return replace(self.reader.measure(face), zones=self.scorer.measure(face))

    def age(self, face: Face, reading: Reading, age_years: float) -> Pixels:
        """The face's crop at that age."""
        aged = self.engine.render(face, reading, complete(Plan(age=age_years), reading))
        return composite(face.crop, face, aged)


def make_distillation_dataset(
    portraits: Portraits,
    teacher: Teacher,
    crop_px: int,
    track: Callable[[range], Iterable[int]] = iter,
) -> DistillationDataset:
    """One lesson for each portrait; give training people only."""
    made = [
        _make_lesson(portrait_to_face(portraits, row, teacher.parser), teacher, crop_px)
        for row in track(range(len(portraits)))
    ]
    columns = {name: np.stack([one[name] for one in made]) for name in made[0]}
    side = portraits.crops.shape[1]
    return DistillationDataset(
        **columns,
        years=portraits.age_years.astype(np.float32),
        landmarks=((portraits.landmarks + 0.5) / side).astype(np.float32),
        grey=portraits.grey,
    )


def _make_lesson(face: Face, teacher: Teacher, crop_px: int) -> dict[str, NDArray[Any]]:
    reading = teacher.read(face)
    aged = [geometry.resize(teacher.age(face, reading, age), crop_px, crop_px) for age in AGES]
    crop = geometry.resize(face.crop, crop_px, crop_px)
    points = geometry.move_points(face.to_crop(face.landmarks), geometry.resize_matrix(len(face.crop), crop_px))
    views = [make_skin_view(one, points, face.bare, face.hair) for one in (crop, *aged)]
    scores = [teacher.scorer.measure_view(view) for view in views]
    values = np.array([[one.get(zone, np.nan) for zone in ZONES] for one in scores], np.float32)
    return {
        "crops": crop,
        "aged": np.stack(aged),
        "read_years": np.array(reading.age_years, np.float32),
        "hair": geometry.resize(face.hair, MAP_PX, MAP_PX).astype(np.float16),
        "scores": values[0],
        "aged_scores": values[1:],
        "skins": _halve(views[0].weights),
        "colours": features_a(views[0])[:, -NUM_COLOUR_FEATURES:],
        "tones": np.array(tone_of(skin_tone(views[0]))),
    }


def _halve(weights: Plane) -> NDArray[np.uint8]:
    """(12, H, W) in [0, 1] -> (12, H / 2, W / 2) in [0, 255]."""
    means = weights.reshape(len(weights), weights.shape[1] // 2, 2, weights.shape[2] // 2, 2).mean((2, 4))
    return np.rint(255 * means).astype(np.uint8)


def make_map_weights(landmarks: Plane, hair: NDArray[np.float16]) -> Plane:
    """(13, MAP_PX, MAP_PX) what the zones and, last, the age add to an aging map.

    Maps are linear in what is asked for: 0.1 + 0.9 times each score, and the share of the age, times these weights.

    Args:
        landmarks: (5, 2) in shares of the crop's side.
        hair: (MAP_PX, MAP_PX) share of hair.
    """
    points, covered = landmarks * MAP_PX - 0.5, hair.astype(np.float32)

    def draw(age_years: float, most: str = "") -> Plane:
        return make_aging_map(MAP_PX, points, age_years, {zone: float(zone == most) for zone in ZONES}, covered)

    least = draw(YOUNGEST)
    steps = [draw(YOUNGEST, zone) - least for zone in ZONES] + [draw(OLDEST) - least]
    return (np.stack(steps) / 0.9).astype(np.float32)
