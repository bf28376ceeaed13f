"""Fits the `prototype` engine: how shape, colour and detail of a face depend on age, from portraits of known age."""

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
    NUM_COVARIATES,
    covariates,
    log_luminance,
    skin_colour,
    split_bands,
    to_log,
)
from reage.engines.prototype.wrinkles import DETAIL_SIGMA_PX, DETAIL_STEP, traits
from reage.errors import ReageError
from reage.faces.mesh import to_ibug
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.training.runner import RunContext, Weights
from reage.types import Pixels, Plane

MODEL_PX = 128
"""Side of the pixel models, half that of the mean frame."""

_LIGHTNESS_TIMES_AGE, _EXTRA_RIDGE = 6, 5.0
"""Index of a covariate that few portraits support, and the factor on its ridge penalty."""
_PRIOR_ROWS = 60.0
"""The ridge penalty grows as if there were this many more rows."""

_MIRRORED_FACE = ((16, 0), (26, 17), (27,), (28,), (29,), (30,), (35, 31), (45, 42), (47, 46), (39, 36), (41, 40))
_MIRRORED_MOUTH = ((54, 48), (59, 55), (64, 60), (67, 65))
MIRRORED = np.concatenate(
    [np.arange(numbers[0], numbers[-1] - 1, -1) for numbers in (*_MIRRORED_FACE, *_MIRRORED_MOUTH)]
)
"""Index of the point, see `to_ibug`, that each point becomes in a mirrored face."""


@dataclass(frozen=True, kw_only=True)
class PrototypeFitConfig:
    """Everything that determines the weights.

    Args:
        least_image_px_per_crop_px: smallest scale of a portrait; those enlarged more have no fine detail.
        ridge: weight of the penalty on all terms but the constant.
        colour_rounds: rounds of reweighting for colour.
        detail_rounds: rounds of reweighting for detail.
        cauchy: scale of the Cauchy weights in robust standard deviations of the residuals; they exclude beards, glasses
            and shadows from the change with age.
        glasses_score: largest excess of detail around the eyes; portraits above are left out.
        beard_score: largest excess of detail at the chin; donors above are left out.
        donor_from_years: smallest age of a donor.
        donor_skin: smallest share of skin between hairline and chin of a donor, which excludes fringes and hats.
        num_donors: largest number of donors.
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


def prototype() -> PrototypeFitConfig:
    """The shipped engine."""
    return PrototypeFitConfig()


def run(config: PrototypeFitConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Fits the engine of a recipe; returns its tensors by name and the config of the weights file."""
    parser, training = FaceParser.load(), portraits.pick(portraits.split == "train")
    return fit_prototype(training, lambda crop, mesh: parser.parse(crop, mesh).skin, config)


FindSkin = Callable[[Pixels, Plane], Plane]


@dataclass(frozen=True)
class _Faces:
    """Training faces in the mean frame, each followed by its mirror image."""

    pixels: Pixels
    points: NDArray[np.float64]
    age_years: Plane
    masculinity: Plane
    skin: Plane
    is_skin: Plane

    def pick(self, rows: NDArray[np.bool_]) -> _Faces:
        return _Faces(**{column.name: getattr(self, column.name)[rows] for column in fields(self)})


def fit_prototype(
    portraits: Portraits, find_skin: FindSkin, config: PrototypeFitConfig
) -> tuple[dict[str, NDArray[Any]], dict[str, object]]:
    """Tensors and config of the engine's weights file.

    Args:
        portraits: training people only; grey portraits are left out.
        find_skin: crop (S, S, 3) and its mesh -> share of skin (S, S), the weight of each pixel in the models.
        config: of the fit.

    Raises:
        ReageError: when no portrait can be a donor of wrinkles.
    """
    usable = portraits.pick(~portraits.grey & (portraits.image_px_per_crop_px >= config.least_image_px_per_crop_px))
    mean = _mean_shape(usable)
    faces = _to_mean_frame(usable, mean, find_skin)
    design = torch.from_numpy(_design(faces)).float()
    detail = _stack_features(faces.pixels, _detail_energy)
    glasses, beard = _excess_detail(faces, detail, design, config)
    bare = glasses < config.glasses_score
    faces, design = faces.pick(bare), design[bare]
    tensors: dict[str, NDArray[Any]] = {
        "mean": mean.astype(np.float32),
        "colour": _fit_maps(faces, _stack_features(faces.pixels, _low_colour), design, config, config.colour_rounds),
        "detail": _fit_maps(faces, detail[bare], design, config, config.detail_rounds),
        "shape": _fit_shape(faces, mean),
        **_donors(faces, beard[bare], config),
    }
    return tensors, {"recipe": asdict(config), "num_portraits": len(faces.age_years) // 2}


def _fit_maps(
    faces: _Faces, values: Tensor, design: Tensor, config: PrototypeFitConfig, rounds: int
) -> NDArray[np.float32]:
    """(P, M, M, C) linear models of the values (N, M * M * C) of each pixel, weighted by age and share of skin."""
    weight = _age_weights(faces.age_years)[:, None] * torch.from_numpy(faces.is_skin.reshape(len(faces.is_skin), -1))
    channels = values.shape[1] // weight.shape[1]
    weight = weight.repeat_interleave(channels, 1)
    models = robust_fit(values, design, weight, config.ridge, rounds, config.cauchy)
    return models.reshape(NUM_COVARIATES, MODEL_PX, MODEL_PX, channels).numpy()


def _mean_shape(portraits: Portraits) -> NDArray[np.float64]:
    side = portraits.crops.shape[1]
    mean = np.mean([to_face_units(to_ibug(mesh), side) for mesh in portraits.mesh], axis=0)
    return (mean + mean[MIRRORED] * [-1, 1]) / 2


def _to_mean_frame(portraits: Portraits, mean: NDArray[np.float64], find_skin: FindSkin) -> _Faces:
    side = portraits.crops.shape[1]
    pixels, points, is_skin = [], [], []
    for crop, mesh in zip(portraits.crops, portraits.mesh, strict=True):
        units = to_face_units(to_ibug(mesh), side)
        places = crop_places(units, mean, side)
        straight = geometry.sample(crop, places)
        skin = geometry.resize(geometry.sample(find_skin(crop, mesh), places), MODEL_PX, MODEL_PX)
        is_skin += [skin, skin[:, ::-1]]
        pixels += [straight, np.ascontiguousarray(straight[:, ::-1])]
        points += [units, units[MIRRORED] * [-1, 1]]
    return _Faces(
        pixels=np.stack(pixels),
        points=np.stack(points),
        age_years=np.repeat(portraits.age_years, 2),
        masculinity=np.repeat((portraits.sex == "M").astype(np.float32), 2),
        skin=np.stack([skin_colour(face) for face in pixels]),
        is_skin=np.stack(is_skin).astype(np.float32),
    )


def _design(faces: _Faces) -> NDArray[np.float64]:
    return np.stack([covariates(*row) for row in zip(faces.age_years, faces.masculinity, faces.skin, strict=True)])


def _age_weights(age_years: Plane) -> Tensor:
    """(N,) weights that give each decade of age about the same total weight."""
    decade = np.clip((age_years - 20) // 10, 0, 6).astype(int)
    return torch.from_numpy(1 / (np.bincount(decade, minlength=7)[decade] + 20.0)).float()


def _low_colour(pixels: Pixels) -> Plane:
    return geometry.resize(geometry.blur(to_log(pixels), 1.0), MODEL_PX, MODEL_PX).astype(np.float32)


def _detail_energy(pixels: Pixels) -> Plane:
    bands = split_bands(log_luminance(pixels), UNIT_PX)
    energies = [np.log(geometry.blur(band * band, 4.0) + np.float32(3e-5)) for band in bands]
    return geometry.resize(np.stack(energies, -1), MODEL_PX, MODEL_PX).astype(np.float32)


def _stack_features(pixels: Pixels, extract: Callable[[Pixels], Plane]) -> Tensor:
    return torch.from_numpy(np.stack([extract(face).reshape(-1) for face in pixels]))


def robust_fit(values: Tensor, design: Tensor, weight: Tensor, ridge: float, rounds: int, cauchy: float) -> Tensor:
    """Linear models (P, K) of the columns of values (N, K), by ridge regression, iteratively reweighted (Cauchy).

    Args:
        values: (N, K).
        design: (N, P); its first column is 1 and is not penalised.
        weight: (N, K) of each value, or (N, 1) of each row; models of columns with a small weight shrink to 0.
        ridge: weight of the penalty.
        rounds: of reweighting; 0 is plain ridge regression.
        cauchy: residual, in robust standard deviations, at which a row has half its weight.
    """
    penalty = torch.eye(design.shape[1]) * ridge
    penalty[0, 0] = 1e-6
    penalty[_LIGHTNESS_TIMES_AGE, _LIGHTNESS_TIMES_AGE] *= _EXTRA_RIDGE
    prior = _PRIOR_ROWS * weight.max()
    found = torch.zeros(design.shape[1], values.shape[1])
    for column in torch.split(torch.arange(values.shape[1]), 4096):
        y, given = values[:, column], weight[:, column] if weight.shape[1] > 1 else weight.expand(-1, len(column))
        robust = given
        for iteration in range(rounds + 1):
            normal = torch.einsum("np,nk,nq->kpq", design, robust, design)
            normal = normal + penalty * (robust.sum(0) + prior)[:, None, None]
            model = torch.linalg.solve(normal, torch.einsum("np,nk->kp", design, robust * y)).T
            if iteration < rounds:
                residual = y - design @ model
                spread = residual.abs().median(0).values * 1.4826 + 1e-3
                robust = given / (1 + (residual / (cauchy * spread)) ** 2)
        found[:, column] = model
    return found


def _box(x0: float, x1: float, y0: float, y1: float) -> tuple[slice, slice]:
    """Rows and columns of a box in the pixel models, given in face units."""
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


def _excess_detail(
    faces: _Faces, detail: Tensor, design: Tensor, config: PrototypeFitConfig
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(N,) and (N,) detail beyond the model where glasses sit, and where beards grow, in robust standard deviations."""
    models = robust_fit(detail, design, _age_weights(faces.age_years)[:, None], config.ridge, 1, config.cauchy)
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
    """(3, 68, 2) shift of the landmarks in face units per unit of the covariates age, old age, and sex x age.

    Expression and rotation of the head are further covariates, so that they do not become part of the change with age.
    """
    design = _design(faces)
    points = faces.points
    pose = np.stack(
        [
            (points[:, 66, 1] - points[:, 62, 1]) / 0.08,
            (points[:, 54, 0] - points[:, 48, 0]) / 0.12,
            ((points[:, 0, 0] + points[:, 16, 0]) / 2 - points[:, 27, 0]) / 0.06,
        ],
        1,
    )
    used = np.hstack([design[:, :5], pose - pose.mean(0)])
    weight = _age_weights(faces.age_years).numpy()
    normal = (used * weight[:, None]).T @ used + np.diag([1e-6, 0.03, 0.03, 0.03, 0.3, 0.03, 0.03, 0.03]) * weight.sum()
    found = np.linalg.solve(normal, (used * weight[:, None]).T @ (points - mean).reshape(len(points), -1))
    return found[[1, 2, 4]].reshape(3, 68, 2).astype(np.float32)


def _donors(faces: _Faces, beard: NDArray[np.float32], config: PrototypeFitConfig) -> dict[str, NDArray[Any]]:
    """Detail layers, traits and ages of the oldest faces without beard."""
    visible = faces.is_skin[:, *_box(*_BARE_SKIN)].mean((1, 2))
    suitable = (
        (faces.age_years >= config.donor_from_years) & (beard < config.beard_score) & (visible > config.donor_skin)
    )
    rows = np.flatnonzero(suitable)
    rows = rows[rows % 2 == 0]
    if not len(rows):
        raise ReageError(
            f"No bare face of {config.donor_from_years:g} years or more is among the portraits; add older people."
        )
    order = rows[np.argsort(-faces.age_years[rows])][: config.num_donors]
    layers, donor_traits = [], []
    for row in order:
        light = log_luminance(faces.pixels[row])
        fine = geometry.blur(light - geometry.blur(light, DETAIL_SIGMA_PX), 0.5)
        skin = geometry.blur(geometry.grow(faces.is_skin[row], -3), 1.5)
        fine = np.clip(fine, -0.45, 0.35) * geometry.resize(skin, *fine.shape)
        layers.append(np.clip(np.rint(fine / DETAIL_STEP), -127, 127).astype(np.int8))
        donor_traits.append(traits(faces.points[row], float(faces.masculinity[row]), faces.skin[row]))
    return {
        "donor_layers": np.stack(layers),
        "donor_traits": np.stack(donor_traits).astype(np.float32),
        "donor_age_years": faces.age_years[order].astype(np.float32),
    }
