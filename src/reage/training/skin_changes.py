"""The skin changes that `exemplar` makes of training faces, seen in the common face: what AMGAN and LDLA learn from.

Convention:
    N faces, A changes of each; planes of the common face of P px, see `reage.faces.common_face`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from reage.composite import apply_to_crop
from reage.data.augment import AugmentConfig
from reage.data.faces import portrait_to_face, resize_portrait
from reage.data.shards import Portraits
from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.view import view_photo
from reage.errors import ImageError
from reage.faces.common_face import fit_common_face
from reage.faces.skin_detail import LUMINANCE, skin_region
from reage.faces.skin_features import NUM_COLOUR_FEATURES, features_a, make_skin_view, skin_tone
from reage.faces.zone_scorer import ZoneScorer, tone_of
from reage.images import geometry
from reage.plan import complete
from reage.training.distillation import Teacher, map_rows
from reage.training.runner import RunContext
from reage.types import Face, Gain, Pixels, Plan, Plane, Reading
from reage.zones import ZONES

_PLACES_PX = 64
"""Side at which the places of the pixels of crops are stored; they change slowly."""
_COLOUR_SHARE = 4
"""Colour is stored at a quarter of the side of the planes."""
YOUNGER, OLDER, ANY_AGE, OWN_AGE = range(4)
"""The A changes: to a younger age, to an older one, to any age with zones of other scores, and zones at its own age."""
NUM_CHANGES = 4
LIGHT_STEP = 0.006
"""Log ratio of one step of what is stored."""
LIGHT_AUGMENT = AugmentConfig(max_brightness=0.08, max_channel_shift=0.02, side_light_prob=0.0)
"""Augmentation of the light of pictures alone; in the common face no face has another place."""
AGES_YEARS = (18.0, 90.0)
"""Youngest and oldest age, of the faces and of the targets."""
_LEAST_YEARS = 5.0
"""By which the first two changes differ from the face's own age, where there is room."""
_OLD_YEARS = 55.0
_LEAST_USABLE = 0.35
"""Share of the skin that must be seen."""


@dataclass(frozen=True, kw_only=True)
class SkinChangeConfig:
    """Size and seed of a set.

    Args:
        seed: of the plans.
        plane_px: P, a multiple of 4.
        crop_px: Q, side of the crops.
    """

    seed: int = 0
    plane_px: int = 512
    crop_px: int = 256


@dataclass(frozen=True, kw_only=True)
class SkinChangeDataset:
    """Training faces in the common face, and the changes of their skin.

    Args:
        levels: (N, P, P, 3) uint8 RGB.
        usable: (N, P, P) uint8 share of visible skin, times 255.
        native_px: (N,) int64 side of the plane at which it is as sharp as the photo, Q to P.
        light: (N, A, P, P) int8 change of the log luminance, in steps of `LIGHT_STEP`.
        colour: (N, A, C, C, 3) int8 the rest of the change of log colour, likewise.
        crops: (N, Q, Q, 3) uint8 aligned as `Face.crop`.
        places: (N, K, K, 2) float32 where the pixels of a crop lie in the plane, 0 to 1, at K places a side.
        on_skin: (N, Q, Q) uint8 share of skin that changes in the crop, times 255.
        years: (N,) float32 ages as the estimator reads them, which is what an engine gets.
        target_years: (N, A) float32.
        zone_scores: (N, 12) float32 measured scores of the faces, NaN where a zone is hidden.
        changed_zone_scores: (N, A, 12) float32 measured scores of the changed faces.
        skin_weights: (N, 12, H, W) uint8, `reage.faces.skin_features.SkinView.weights` at half its size, times 255.
        colour_features: (N, 12, F) float32 the colour features of family "a".
        tones: (N,) skin tones, places in `reage.faces.zone_scorer.TONES`.
    """

    levels: Pixels
    usable: NDArray[np.uint8]
    native_px: NDArray[np.int64]
    light: NDArray[np.int8]
    colour: NDArray[np.int8]
    crops: Pixels
    places: NDArray[np.float32]
    on_skin: NDArray[np.uint8]
    years: NDArray[np.float32]
    target_years: NDArray[np.float32]
    zone_scores: NDArray[np.float32]
    changed_zone_scores: NDArray[np.float32]
    skin_weights: NDArray[np.uint8]
    colour_features: NDArray[np.float32]
    tones: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.levels)


def make_skin_change_dataset(
    portraits: Portraits,
    config: SkinChangeConfig,
    *,
    workers: int = 1,
    progress: Callable[[Iterable[Any]], Iterable[Any]] = iter,
) -> SkinChangeDataset:
    """Every adult whose skin is seen, and `NUM_CHANGES` changes of it.

    Args:
        portraits: of training people only.
        config: size and seed.
        workers: processes that age faces; the result does not depend on their number.
        progress: wraps the rows in a progress bar.

    Raises:
        ImageError: when nobody is left.
    """
    rows = [row for row in progress(map_rows(_make_row, portraits, config, workers)) if row is not None]
    if not rows:
        raise ImageError("There is no adult whose skin is seen in these portraits; use others.")
    return SkinChangeDataset(**{name: np.stack([row[name] for row in rows]) for name in rows[0]})


def cached_skin_changes(config: SkinChangeConfig, portraits: Portraits, context: RunContext) -> SkinChangeDataset:
    """The set of the training people among these portraits; made once for a run."""

    def make() -> SkinChangeDataset:
        training = portraits.pick(portraits.split == "train")
        bar = partial(track, description="skin changes", total=len(training))
        return make_skin_change_dataset(training, config, progress=bar)

    return context.cached(".skin_changes.npz", SkinChangeDataset, make)


def choose_plans(years: float, generator: np.random.Generator) -> list[Plan]:
    """The plans of a face of that age, in the order of the constants above."""
    youngest, oldest = AGES_YEARS
    younger = generator.uniform(youngest, max(years - _LEAST_YEARS, youngest + 1))
    older = generator.uniform(min(max(years + _LEAST_YEARS, _OLD_YEARS), oldest - 1), oldest)
    some = generator.random(len(ZONES)) < 0.5
    few = generator.permutation(len(ZONES))[: generator.integers(1, 5)]
    scores = generator.random(len(ZONES))
    return [
        Plan(age=younger),
        Plan(age=older),
        Plan(age=generator.uniform(*AGES_YEARS), zones=_pick(np.flatnonzero(some), scores)),
        Plan(zones=_pick(few, scores)),
    ]


def _pick(rows: NDArray[np.int64], scores: NDArray[np.float64]) -> dict[str, float]:
    return {ZONES[row]: float(scores[row]) for row in rows}


def _make_row(portraits: Portraits, config: SkinChangeConfig, row: int) -> dict[str, NDArray[Any]] | None:
    """One face; None where it is a child's, or too little of its skin is seen."""
    teacher = _load_teacher()
    portrait = portraits.pick(np.array([row]))
    sharp_px = portraits.crops.shape[1] * min(1.0, float(portrait.image_px_per_crop_px[0]))
    face = portrait_to_face(resize_portrait(portrait, round(max(sharp_px, config.crop_px))), 0, teacher.parser)
    reading = teacher.read(face)
    view, side = view_photo(face, reading.masculinity), config.plane_px
    usable = geometry.resize(view.usable, side, side)
    if reading.age_years < AGES_YEARS[0] or usable.sum() < _LEAST_USABLE * skin_region(side).sum():
        return None
    plans = choose_plans(reading.age_years, np.random.default_rng((config.seed, row)))
    changes = np.stack([_change_of(face, reading, plan, side) for plan in plans])
    light, small = changes @ LUMINANCE, side // _COLOUR_SHARE
    return {
        "levels": geometry.resize(view.levels, side, side),
        "usable": _to_bytes(usable),
        "native_px": np.array(np.clip(len(view.levels), config.crop_px, side)),
        "light": _to_steps(light),
        "colour": np.stack([_to_steps(geometry.resize(one, small, small)) for one in changes - light[..., None]]),
        "years": np.array(reading.age_years, np.float32),
        "target_years": np.array([plan.age or reading.age_years for plan in plans], np.float32),
        **_see_in_crop(face, changes, teacher.zone_scorer, config.crop_px),
    }


def _change_of(face: Face, reading: Reading, plan: Plan, side_px: int) -> Plane:
    """(P, P, 3) the teacher's change of log colour of skin."""
    engine = _load_teacher().engine
    assert isinstance(engine, ExemplarEngine)
    return geometry.resize(engine.learn_change(face, reading, complete(plan, reading)).skin, side_px, side_px)


def _see_in_crop(face: Face, changes: Plane, zone_scorer: ZoneScorer, side_px: int) -> dict[str, NDArray[Any]]:
    """What a face and its changes (A, P, P, 3) look like in a crop, and the scores of their zones."""
    crop = geometry.resize(face.crop, side_px, side_px)
    to_small = geometry.resize_matrix(len(face.crop), side_px)
    places = fit_common_face(geometry.move_points(face.to_crop(face.mesh), to_small)).unroll(side_px)
    on_skin = np.minimum(face.matte, np.minimum(face.bare, 1 - face.hair))
    on_skin = np.clip(geometry.resize(on_skin, side_px, side_px), 0, 1)
    at = (places * changes.shape[1] - 0.5).astype(np.float32)
    gains = [Gain(geometry.sample(change, at) * on_skin[..., None]) for change in changes]
    points = geometry.move_points(face.to_crop(face.landmarks), to_small)
    pictures = [crop, *(apply_to_crop(crop, [gain]) for gain in gains)]
    views = [make_skin_view(picture, points, face.bare, face.hair) for picture in pictures]
    measured = [zone_scorer.measure_view(view) for view in views]
    scores = np.array([[by_zone.get(zone, np.nan) for zone in ZONES] for by_zone in measured], np.float32)
    return {
        "crops": crop,
        "places": geometry.resize(places, _PLACES_PX, _PLACES_PX),
        "on_skin": _to_bytes(on_skin),
        "zone_scores": scores[0],
        "changed_zone_scores": scores[1:],
        "skin_weights": _to_half_size(views[0].weights),
        "colour_features": features_a(views[0])[:, -NUM_COLOUR_FEATURES:],
        "tones": np.array(tone_of(skin_tone(views[0]))),
    }


@cache
def _load_teacher() -> Teacher:
    """One for each process."""
    return Teacher.load(ExemplarEngine.load())


def _to_bytes(share: Plane) -> NDArray[np.uint8]:
    return np.rint(255 * np.clip(share, 0, 1)).astype(np.uint8)


def _to_steps(log_ratio: Plane) -> NDArray[np.int8]:
    return np.clip(np.rint(log_ratio / LIGHT_STEP), -127, 127).astype(np.int8)


def _to_half_size(weights: Plane) -> NDArray[np.uint8]:
    """(12, H, W) in [0, 1] -> (12, H / 2, W / 2) in [0, 255]."""
    return _to_bytes(weights.reshape(len(weights), weights.shape[1] // 2, 2, weights.shape[2] // 2, 2).mean((2, 4)))
