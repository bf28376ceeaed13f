"""Fits the `exemplar` engine: how energy of detail, colour and shape depend on age, and the donors of lines."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, astuple, dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.shards import Portraits
from reage.engines.exemplar.covariates import ODD_TERMS, design_row
from reage.engines.exemplar.donors import MIRRORED_PATCHES
from reage.engines.exemplar.view import FaceView, view_face
from reage.errors import ReageError
from reage.faces.common_face import COMMON_UNITS, align_mesh, common_points, mirrored_points
from reage.faces.common_view import shrink_skin
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.segmentation import FaceParser
from reage.faces.skin_detail import (
    BAND_SIGMAS,
    NUM_BANDS,
    PATCHES,
    fill_unusable,
    log_luminance,
    measure_energy,
    measure_sharpness,
    split_bands,
    to_log,
)
from reage.images import geometry
from reage.measure.age import AgeEstimator
from reage.mesh_points import measure_pose
from reage.training.runner import RunContext, Weights


@dataclass(frozen=True, kw_only=True)
class ExemplarFitConfig:
    """Everything that determines the weights.

    Args:
        side_px: side of the common face in which donors are stored.
        model_px: side of the model of colour.
        colour_sigma: blur of the colours, face units.
        ridge: weight of the penalty on all terms but the constant, in portraits.
        rounds: of reweighting.
        cauchy: residual, in robust standard deviations, at which a portrait has half its weight.
        max_yaw_degrees: largest yaw of a portrait that is learned from.
        min_age_years: least age of a portrait that the models are fitted to.
        min_sigma_px: blur, px of the photo, below which a band does not count: the photo does not resolve it.
        sharp_scale: least px of the photo for a px of the crop of a photo that shows how sharp photos are.
        donor_from_years: least age of a donor.
        donor_min_scale: least px of the photo for a px of the crop of a donor.
        donor_max_yaw_degrees: largest yaw of a donor.
        donor_step: log luminance of one step of the stored detail.
        rejected_donors: people who are no donors: glasses, spots of sun.
        bearded_donors: people whose lower face is not used.
        query_ages: see `reage.training.measures.age_estimator.AgeTrainingConfig`.
    """

    side_px: int = 640
    model_px: int = 96
    colour_sigma: float = 0.04
    ridge: float = 3.0
    rounds: int = 4
    cauchy: float = 1.5
    max_yaw_degrees: float = 28.0
    min_age_years: float = 3.0
    min_sigma_px: float = 0.8
    sharp_scale: float = 0.9
    donor_from_years: float = 52.0
    donor_min_scale: float = 0.75
    donor_max_yaw_degrees: float = 12.0
    donor_step: float = 0.01
    rejected_donors: tuple[str, ...] = ("male-95", "male-28", "female-14")
    bearded_donors: tuple[str, ...] = ("male-59", "male-20", "male-67", "male-73")
    query_ages: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True)
class Measured:
    """What was measured on N portraits.

    Args:
        energy: (N, Q, B) see `measure_energy`; NaN where it is unknown or the photo does not resolve the band.
        colour: (N, M, M, 3) low-pass log intensity.
        usable: (N, M, M) share of usable skin.
        shape: (N, 478, 2) places of the mesh in the common face, sides, less the mean ones.
        design: (N, P).
        age_years: (N,).
        collection: (N,) number of the collection.
        traits: (N, T).
        yaw_degrees: (N,).
        grey: (N,) whether the photo has no colour.
        sharpness: (N, B), see `measure_sharpness`.
    """

    energy: NDArray[np.float32]
    colour: NDArray[np.float16]
    usable: NDArray[np.float16]
    shape: NDArray[np.float32]
    design: NDArray[np.float64]
    age_years: NDArray[np.float32]
    collection: NDArray[np.int64]
    traits: NDArray[np.float32]
    yaw_degrees: NDArray[np.float32]
    grey: NDArray[np.bool_]
    sharpness: NDArray[np.float32]


def exemplar() -> ExemplarFitConfig:
    """The shipped engine."""
    return ExemplarFitConfig(query_ages=QUERY_AGES)


def run(config: ExemplarFitConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Fits the engine of a recipe; returns its tensors by name and the config of the weights file."""
    del context
    training = with_taught_ages(portraits.pick(portraits.split == "train"), dict(config.query_ages))
    parser, estimator = FaceParser.load(), AgeEstimator.load()

    def view(row: int) -> FaceView:
        return _view(training, row, parser, estimator, config)

    measured = measure_portraits(training, view, config)
    tensors = {
        **fit_models(pick(measured, config), config),
        **make_donors(training, view, measured, config),
        "sharpness": find_sharpness(training, measured, config),
    }
    return tensors, {"recipe": asdict(config), "donor_step": config.donor_step, "num_portraits": len(training)}


def _view(
    portraits: Portraits, row: int, parser: FaceParser, estimator: AgeEstimator, config: ExemplarFitConfig
) -> FaceView:
    crop, mesh, sex = portraits.crops[row], portraits.mesh[row], portraits.sex[row]
    segmentation = parser.parse(crop, mesh)
    bare = np.minimum(segmentation.bare, 1 - segmentation.hair)
    masculinity = float(sex == "M") if sex else estimator.measure_crops(crop[None])[0].masculinity
    return view_face(crop, mesh, shrink_skin(bare), masculinity, config.side_px)


def measure_portraits(portraits: Portraits, view: Callable[[int], FaceView], config: ExemplarFitConfig) -> Measured:
    """What is measured on each portrait, seen by its row; see `Measured`."""
    unit = config.side_px / COMMON_UNITS
    energies, colours, usable, sharpness, traits = [], [], [], [], []
    for row in range(len(portraits)):
        own = view(row)
        light = log_luminance(own.levels)
        energies.append(measure_energy(split_bands(fill_unusable(light, own.usable)), own.usable))
        sharpness.append(measure_sharpness(light))
        low = geometry.blur(to_log(own.levels), config.colour_sigma * unit)
        colours.append(geometry.resize(low, config.model_px, config.model_px).astype(np.float16))
        usable.append(geometry.resize(own.usable, config.model_px, config.model_px).astype(np.float16))
        traits.append(own.traits)
    energy = np.stack(energies).astype(np.float32)
    unknown_bands(energy, portraits.crops.shape[1] / FACE_PER_CROP * portraits.image_px_per_crop_px, config)
    return Measured(
        energy=energy,
        colour=np.stack(colours),
        usable=np.stack(usable),
        shape=np.stack([align_mesh(mesh) - common_points() for mesh in portraits.mesh]).astype(np.float32),
        design=np.stack([design_row(age, own) for age, own in zip(portraits.age_years, traits, strict=True)]),
        age_years=portraits.age_years,
        collection=np.unique(collection_of(portraits), return_inverse=True)[1],
        traits=np.array([astuple(own) for own in traits], np.float32),
        yaw_degrees=np.array([measure_pose(mesh)[0] for mesh in portraits.mesh], np.float32),
        grey=portraits.grey,
        sharpness=np.stack(sharpness).astype(np.float32),
    )


def find_sharpness(portraits: Portraits, measured: Measured, config: ExemplarFitConfig) -> NDArray[np.float32]:
    """(B,) median of `measure_sharpness` over large photos, which are sharp."""
    large = (collection_of(portraits) == "asked") & (portraits.image_px_per_crop_px >= config.sharp_scale)
    return np.median(measured.sharpness[large], axis=0).astype(np.float32)


def collection_of(portraits: Portraits) -> NDArray[np.str_]:
    """(N,) a name of the kind of photo: known age, asked age, or known query."""
    asked = np.where(np.isnan(portraits.age_prompted_years), "known", "asked")
    return np.where(portraits.query == "", asked, "query")


def pick(measured: Measured, config: ExemplarFitConfig) -> Measured:
    """The portraits that models are fitted to."""
    rows = (np.abs(measured.yaw_degrees) < config.max_yaw_degrees) & (measured.age_years >= config.min_age_years)
    rows &= ~measured.grey
    return Measured(**{column.name: getattr(measured, column.name)[rows] for column in fields(measured)})


def make_donors(
    portraits: Portraits, view: Callable[[int], FaceView], measured: Measured, config: ExemplarFitConfig
) -> dict[str, NDArray[Any]]:
    """The tensors of `reage.engines.exemplar.donors.Donors`.

    Raises:
        ReageError: when no portrait can be a donor.
    """
    suitable = (measured.age_years >= config.donor_from_years) & ~measured.grey & (collection_of(portraits) == "asked")
    suitable &= np.abs(measured.yaw_degrees) < config.donor_max_yaw_degrees
    suitable &= portraits.image_px_per_crop_px >= config.donor_min_scale
    suitable &= ~np.isin(portraits.person, config.rejected_donors)
    rows = np.flatnonzero(suitable)
    if not len(rows):
        raise ReageError(
            f"No large photo of a face of {config.donor_from_years:g} years or more, seen from the front and of known "
            "asked age, is among the portraits; add older people."
        )
    details, energies, usable = [], [], []
    for row in rows:
        own = view(int(row))
        bands = split_bands(fill_unusable(log_luminance(own.levels), own.usable))
        soft = geometry.blur(own.usable, 0.02 * config.side_px / COMMON_UNITS)
        stored = np.rint(sum(bands) * soft / config.donor_step)
        details.append(np.clip(stored, -127, 127).astype(np.int8))
        energy = measure_energy(bands, own.usable)
        energies.append(np.where(np.isfinite(energy), energy, np.nanmean(energy, 0)))
        usable.append(geometry.resize(own.usable, 96, 96))
    return {
        "donor_detail": np.stack(details),
        "donor_energy": np.stack(energies).astype(np.float32),
        "donor_usable": np.stack(usable).astype(np.float32),
        "donor_traits": measured.traits[rows],
        "donor_age": measured.age_years[rows].astype(np.float32),
        "donor_bearded": np.isin(portraits.person[rows], config.bearded_donors).astype(np.int8),
    }


def robust_fit(
    design: NDArray[np.float64], values: NDArray[np.floating], weights: NDArray[np.floating], config: ExemplarFitConfig
) -> NDArray[np.float64]:
    """Linear models (P, K) of the columns of values (N, K), by ridge regression, iteratively reweighted (Cauchy).

    Args:
        design: (N, P); its first column is 1 and is hardly penalised.
        values: (N, K).
        weights: (N, K) of each value; models of columns with a small weight shrink to 0.
        config: of the fit.
    """
    terms = design.shape[1]
    penalty = np.eye(terms) * config.ridge
    penalty[0, 0] = 1e-3
    values, weights = values.astype(np.float64), weights.astype(np.float64)
    robust = weights
    for iteration in range(config.rounds + 1):
        normal = np.einsum("np,nk,nq->kpq", design, robust, design, optimize=True) + penalty
        right = np.einsum("np,nk->kp", design, robust * values, optimize=True)
        model = np.linalg.solve(normal, right[..., None])[..., 0].T
        if iteration < config.rounds:
            residual = np.where(weights > 0, values - design @ model, np.nan)
            spread = 1.48 * np.nanmedian(np.abs(residual), 0) + 1e-4
            robust = weights / (1 + (np.nan_to_num(residual) / (config.cauchy * spread)) ** 2)
    found: NDArray[np.float64] = model
    return found


def age_weights(age_years: NDArray[np.floating]) -> NDArray[np.float64]:
    """(N,) weights, one on average, that give each decade of age about the same total weight."""
    decade = np.clip(age_years // 10, 0, 8).astype(int)
    weights = 1 / (np.bincount(decade, minlength=9)[decade] + 25.0)
    return weights / weights.mean()


def fit_models(measured: Measured, config: ExemplarFitConfig) -> dict[str, NDArray[np.float32]]:
    """The models of energy (P, Q, B), colour (P, M, M, 3) and shape (P, 478, 2)."""
    weight = age_weights(measured.age_years)
    terms = measured.design.shape[1]
    dummies = (measured.collection[:, None] == np.unique(measured.collection)[1:]).astype(float)
    wide = np.hstack([measured.design, dummies])
    count = len(measured.energy)
    log_energy = np.log(measured.energy.reshape(count, -1) + 1e-5)
    known = np.isfinite(log_energy)
    energy = robust_fit(wide, np.where(known, log_energy, 0), known * weight[:, None], config)[:terms]
    side = measured.colour.shape[1]
    usable = measured.usable.reshape(count, -1)
    colour = np.zeros((terms, side * side, 3))
    for pixels in np.array_split(np.arange(side * side), 24):
        own = np.maximum(usable[:, pixels], 0.02) * weight[:, None]
        for channel in range(3):
            values = measured.colour.reshape(count, -1, 3)[:, pixels, channel]
            colour[:, pixels, channel] = robust_fit(wide, values, own, config)[:terms]
    shape = robust_fit(wide, measured.shape.reshape(count, -1), np.repeat(weight[:, None], 478 * 2, 1), config)[:terms]
    energy = energy.reshape(terms, len(PATCHES), NUM_BANDS)
    colour = colour.reshape(terms, side, side, 3)
    shape = shape.reshape(terms, 478, 2)
    models = {
        "energy": _symmetric(energy, energy[:, MIRRORED_PATCHES]),
        "colour": _symmetric(colour, colour[:, :, ::-1]),
        "shape": _symmetric(shape, shape[:, mirrored_points()] * [-1, 1]),
    }
    return {name: model.astype(np.float32) for name, model in models.items()}


def _symmetric(model: NDArray[np.float64], mirrored: NDArray[np.float64]) -> NDArray[np.float64]:
    """Models (P, ...) of mirrored and unmirrored faces together; turned and side-lit faces change to the other side."""
    parity = np.where(ODD_TERMS, -1, 1).reshape(-1, *[1] * (model.ndim - 1))
    return (model + parity * mirrored) / 2


def unknown_bands(energy: NDArray[np.float32], unit_px: NDArray[np.floating], config: ExemplarFitConfig) -> None:
    """Makes the bands (N, Q, B) NaN that photos with so many px (N,) to a face unit do not resolve."""
    for index, sigma in enumerate(BAND_SIGMAS):
        energy[sigma * unit_px < config.min_sigma_px, :, index] = np.nan
