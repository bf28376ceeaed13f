"""Fits the `prototype` engine: how shape, colour and detail of a face go with age, from portraits of known age."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from reage.data.shards import Portraits
from reage.engines.prototype.frame import UNIT_PX, crop_places, to_face_units, to_frame_px
from reage.engines.prototype.texture import (
    BAND_SIGMAS_PX,
    NUM_COVARIATES,
    covariates,
    log_luminance,
    skin_colour,
    split_bands,
    to_log,
)
from reage.engines.prototype.wrinkles import DETAIL_SIGMA_PX, DETAIL_STEP, traits
from reage.errors import ReageError
from reage.images import geometry
from reage.types import Pixels, Plane

MODEL_PX = 128
"""Side of the pixel models; the mean frame is twice as fine."""

_LIGHT_TIMES_AGE, _CAUTION = 6, 5.0
"""The term that few portraits speak for, and how much more it is penalised."""
_FEW_ROWS = 60.0
"""The ridge acts as if there were this many rows more."""

_MIRRORED_RUNS = ((16, 0), (26, 17), (27,), (28,), (29,), (30,), (35, 31), (45, 42), (47, 46), (39, 36), (41, 40))
_MIRRORED_MOUTH = ((54, 48), (59, 55), (64, 60), (67, 65))
MIRRORED = np.concatenate([np.arange(run[0], run[-1] - 1, -1) for run in (*_MIRRORED_RUNS, *_MIRRORED_MOUTH)])
"""Number of the landmark that each becomes in a mirrored face."""


@dataclass(frozen=True, kw_only=True)
class PrototypeFitConfig:
    """Everything the fit depends on.

    Args:
        least_image_px_per_crop_px: portraits that had to be enlarged more than this allows have no detail to learn.
        ridge: weight of the penalty on all terms but the constant.
        colour_rounds: rounds of reweighting for colour.
        detail_rounds: rounds of reweighting for detail.
        cauchy: residuals beyond this many robust spreads lose their weight: the fit follows the most usual faces,
            so that beards, glasses and shadows do not become part of an age.
        glasses_score: portraits with more unusual detail around the eyes are left out.
        beard_score: donors with more unusual detail at the chin are left out.
        donor_from_years: youngest donor.
        donor_skin: least share of bare skin between hairline and chin of a donor: no fringe, no hat.
        num_donors: most donors kept.
    """

    least_image_px_per_crop_px: float = 0.5
    ridge: float = 0.03
    colour_rounds: int = 2
    detail_rounds: int = 2
    cauchy: float = 1.3
    glasses_score: float = 0.5
    beard_score: float = 0.6
    donor_from_years: float = 58.0
    donor_skin: float = 0.97
    num_donors: int = 40


@dataclass(frozen=True)
class _Faces:
    """Training faces in the mean frame, each followed by its mirror image."""

    pixels: Pixels
    dense: NDArray[np.float64]
    age_years: Plane
    masculinity: Plane
    skin: Plane
    is_skin: Plane

    def pick(self, rows: NDArray[np.bool_]) -> _Faces:
        return _Faces(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


def fit_prototype(
    portraits: Portraits, find_skin: Callable[[Pixels], Plane], config: PrototypeFitConfig
) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """Tensors and config of the engine's weights.

    Args:
        portraits: training people only; grey portraits teach nothing here and are left out.
        find_skin: crop (S, S, 3) -> share of skin (S, S); other pixels have no say in the models.
        config: of the fit.

    Raises:
        ReageError: when no portrait can lend its wrinkles.
    """
    usable = portraits.pick(~portraits.grey & (portraits.image_px_per_crop_px >= config.least_image_px_per_crop_px))
    mean = _mean_shape(usable)
    faces = _to_mean_frame(usable, mean, find_skin)
    design = torch.from_numpy(_design(faces)).float()
    weight = _even_ages(faces.age_years)
    detail = _features(faces.pixels, _detail_energy)
    first = robust_fit(detail, design, weight[:, None], config.ridge, 1, config.cauchy)
    glasses, beard = _oddness(detail, design, first)
    bare = glasses < config.glasses_score
    faces, design = faces.pick(bare), design[bare]
    weight = _even_ages(faces.age_years)[:, None] * torch.from_numpy(faces.is_skin.reshape(len(faces.is_skin), -1))

    def maps(values: Tensor, rounds: int, channels: int) -> NDArray[np.float32]:
        models = robust_fit(values, design, weight.repeat_interleave(channels, 1), config.ridge, rounds, config.cauchy)
        return models.reshape(NUM_COVARIATES, MODEL_PX, MODEL_PX, channels).numpy()

    tensors: dict[str, NDArray[Any]] = {
        "mean": mean.astype(np.float32),
        "colour": maps(_features(faces.pixels, _low_colour), config.colour_rounds, 3),
        "detail": maps(detail[bare], config.detail_rounds, len(BAND_SIGMAS_PX)),
        "shape": _fit_shape(faces, mean),
        **_donors(faces, beard[bare], config),
    }
    return tensors, {"fit": asdict(config), "num_portraits": len(faces.age_years) // 2}


def _mean_shape(portraits: Portraits) -> NDArray[np.float64]:
    side = portraits.crops.shape[1]
    mean = np.mean([to_face_units(dense, side) for dense in portraits.dense_landmarks], axis=0)
    return (mean + mean[MIRRORED] * [-1, 1]) / 2


def _to_mean_frame(portraits: Portraits, mean: NDArray[np.float64], find_skin: Callable[[Pixels], Plane]) -> _Faces:
    side = portraits.crops.shape[1]
    pixels, dense, is_skin = [], [], []
    for crop, points in zip(portraits.crops, portraits.dense_landmarks, strict=True):
        units = to_face_units(points, side)
        places = crop_places(units, mean, side)
        straight = geometry.sample(crop, places)
        skin = geometry.resize(geometry.sample(find_skin(crop), places), MODEL_PX, MODEL_PX)
        is_skin += [skin, skin[:, ::-1]]
        pixels += [straight, np.ascontiguousarray(straight[:, ::-1])]
        dense += [units, units[MIRRORED] * [-1, 1]]
    return _Faces(
        pixels=np.stack(pixels),
        dense=np.stack(dense),
        age_years=np.repeat(portraits.age_years, 2),
        masculinity=np.repeat((portraits.sex == "M").astype(np.float32), 2),
        skin=np.stack([skin_colour(face) for face in pixels]),
        is_skin=np.stack(is_skin).astype(np.float32),
    )


def _design(faces: _Faces) -> NDArray[np.float64]:
    return np.stack([covariates(*row) for row in zip(faces.age_years, faces.masculinity, faces.skin, strict=True)])


def _even_ages(age_years: Plane) -> Tensor:
    """Weights that give each decade of age a like say."""
    decade = np.clip((age_years - 20) // 10, 0, 6).astype(int)
    return torch.from_numpy(1 / (np.bincount(decade, minlength=7)[decade] + 20.0)).float()


def _low_colour(pixels: Pixels) -> Plane:
    return geometry.resize(geometry.blur(to_log(pixels), 1.0), MODEL_PX, MODEL_PX).astype(np.float32)


def _detail_energy(pixels: Pixels) -> Plane:
    bands = split_bands(log_luminance(pixels), UNIT_PX)
    energies = [np.log(geometry.blur(band * band, 4.0) + np.float32(3e-5)) for band in bands]
    return geometry.resize(np.stack(energies, -1), MODEL_PX, MODEL_PX).astype(np.float32)


def _features(pixels: Pixels, feature: Callable[[Pixels], Plane]) -> Tensor:
    return torch.from_numpy(np.stack([feature(face).reshape(-1) for face in pixels]))


def robust_fit(values: Tensor, design: Tensor, weight: Tensor, ridge: float, rounds: int, cauchy: float) -> Tensor:
    """Linear models (P, K) of each column of values (N, K), by ridge regression reweighted with Cauchy's function.

    Args:
        values: (N, K).
        design: (N, P); its first column is 1 and is not penalised.
        weight: (N, K) of each value, or (N, 1) of each row; columns of little weight are drawn to 0.
        ridge: weight of the penalty.
        rounds: of reweighting; 0 is plain ridge regression.
        cauchy: residual, in robust spreads, at which a row has half its weight.
    """
    penalty = torch.eye(design.shape[1]) * ridge
    penalty[0, 0] = 1e-6
    penalty[_LIGHT_TIMES_AGE, _LIGHT_TIMES_AGE] *= _CAUTION
    few = _FEW_ROWS * weight.max()
    found = torch.zeros(design.shape[1], values.shape[1])
    for column in torch.split(torch.arange(values.shape[1]), 4096):
        y, say = values[:, column], weight[:, column] if weight.shape[1] > 1 else weight.expand(-1, len(column))
        trust = say
        for turn in range(rounds + 1):
            normal = (
                torch.einsum("np,nk,nq->kpq", design, trust, design) + penalty * (trust.sum(0) + few)[:, None, None]
            )
            model = torch.linalg.solve(normal, torch.einsum("np,nk->kp", design, trust * y)).T
            if turn < rounds:
                residual = y - design @ model
                spread = residual.abs().median(0).values * 1.4826 + 1e-3
                trust = say / (1 + (residual / (cauchy * spread)) ** 2)
        found[:, column] = model
    return found


def _box(x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice]:
    """Rows and columns of the pixel models between face units."""
    (left, top), (right, bottom) = (to_frame_px(np.array([(x0, y0), (x1, y1)])) / 2).astype(int)
    return slice(top, bottom), slice(left, right)


_GLASSES = [
    (-0.16, 0.16, -0.12, 0.2),
    (-0.75, -0.25, 0.2, 0.45),
    (0.25, 0.75, 0.2, 0.45),
    (-1.1, -0.8, -0.1, 0.15),
    (0.8, 1.1, -0.1, 0.15),
]
_BARE_SKIN = (-0.7, 0.7, -0.85, 1.4)
_BEARD = [(-0.5, 0.5, 1.35, 1.7), (-0.9, -0.6, 0.9, 1.3), (0.6, 0.9, 0.9, 1.3)]


def _oddness(detail: Tensor, design: Tensor, models: Tensor) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """How much more detail than usual each face has where glasses sit, and where beards grow, in robust spreads."""
    residual = detail - design @ models
    spread = residual.abs().median(0).values * 1.4826 + 0.1
    excess = (residual / spread).clamp(0, 4).reshape(len(detail), MODEL_PX, MODEL_PX, -1).numpy()

    def mean_over(boxes: list[tuple[float, float, float, float]], bands: int) -> NDArray[np.float32]:
        mask = np.zeros((MODEL_PX, MODEL_PX), bool)
        for box in boxes:
            mask[_box(*box)] = True
        score = excess[..., :bands][:, mask].mean((1, 2)).reshape(-1, 2).mean(1)
        return np.repeat(score, 2)

    return mean_over(_GLASSES, 3), mean_over(_BEARD, 2)


def _fit_shape(faces: _Faces, mean: NDArray[np.float64]) -> NDArray[np.float32]:
    """(3, 68, 2) face units for each unit of the covariates age, old age, and sex x age.

    Expression and turn of the head are covariates here, so that an old smile does not become a wide jaw.
    """
    design = _design(faces)
    points = faces.dense
    pose = np.stack(
        [
            (points[:, 66, 1] - points[:, 62, 1]) / 0.08,
            (points[:, 54, 0] - points[:, 48, 0]) / 0.12,
            ((points[:, 0, 0] + points[:, 16, 0]) / 2 - points[:, 27, 0]) / 0.06,
        ],
        1,
    )
    used = np.hstack([design[:, :5], pose - pose.mean(0)])
    weight = _even_ages(faces.age_years).numpy()
    normal = (used * weight[:, None]).T @ used + np.diag([1e-6, 0.03, 0.03, 0.03, 0.3, 0.03, 0.03, 0.03]) * weight.sum()
    found = np.linalg.solve(normal, (used * weight[:, None]).T @ (points - mean).reshape(len(points), -1))
    return found[[1, 2, 4]].reshape(3, 68, 2).astype(np.float32)


def _donors(faces: _Faces, beard: NDArray[np.float32], config: PrototypeFitConfig) -> dict[str, NDArray[Any]]:
    """Detail layers of older faces without beard, the oldest and most marked of both sexes and all skin tones."""
    shown = faces.is_skin[:, *_box(*_BARE_SKIN)].mean((1, 2))
    fit = (faces.age_years >= config.donor_from_years) & (beard < config.beard_score) & (shown > config.donor_skin)
    rows = np.flatnonzero(fit)
    rows = rows[rows % 2 == 0]
    if not len(rows):
        raise ReageError(
            f"No bare face of {config.donor_from_years:g} years or more is among the portraits; add older people."
        )
    order = rows[np.argsort(-faces.age_years[rows])][: config.num_donors]
    layers, known = [], []
    for row in order:
        light = log_luminance(faces.pixels[row])
        fine = geometry.blur(light - geometry.blur(light, DETAIL_SIGMA_PX), 0.5)
        skin = geometry.blur(geometry.grow(faces.is_skin[row], -3), 1.5)
        fine = np.clip(fine, -0.45, 0.35) * geometry.resize(skin, *fine.shape)
        layers.append(np.clip(np.rint(fine / DETAIL_STEP), -127, 127).astype(np.int8))
        known.append(traits(faces.dense[row], float(faces.masculinity[row]), faces.skin[row]))
    return {
        "donor_layers": np.stack(layers),
        "donor_traits": np.stack(known).astype(np.float32),
        "donor_age_years": faces.age_years[order].astype(np.float32),
    }
