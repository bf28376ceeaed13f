"""The fit of the `exemplar` engine recovers changes with age that were planted, and picks donors by what is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import astuple, replace

import numpy as np
import pytest

from reage.data.shards import Portrait, Portraits
from reage.engines.exemplar.covariates import Traits, design_row
from reage.engines.exemplar.view import FaceView, view_face
from reage.errors import ReageError
from reage.faces.skin_detail import BAND_SIGMAS, NUM_BANDS, PATCHES
from reage.training.exemplar import (
    ExemplarFitConfig,
    Measured,
    exemplar,
    fit_models,
    make_donors,
    measure_portraits,
    pick,
    unknown_bands,
)
from reage.types import Pixels

COUNT, MODEL_PX = 240, 6
CONFIG = ExemplarFitConfig(model_px=MODEL_PX, side_px=160, ridge=0.02)
MEAN = Traits(masculinity=0.5, smile=0.0, mouth=0.0, yaw=0.0, tone=0.0, redness=0.0, side_light=0.0)


def make_measured() -> Measured:
    """People whose energy doubles, whose colour darkens and whose chin drops from 30 to 60; some are outliers."""
    random = np.random.default_rng(0)
    ages = random.uniform(20, 85, COUNT).astype(np.float32)
    traits = [replace(MEAN, masculinity=float(sex), yaw=float(yaw)) for sex, yaw in random.uniform(0, 0.5, (COUNT, 2))]
    older = (np.clip(ages, 30, 60) - 30) / 30
    noise = random.normal(0, 0.05, (COUNT, len(PATCHES), NUM_BANDS))
    energy = np.exp(np.log(0.02) + np.log(2) * older[:, None, None] + noise)
    energy[::20] *= 8
    colour = np.full((COUNT, MODEL_PX, MODEL_PX, 3), -1.0) - 0.3 * older[:, None, None, None]
    shape = np.zeros((COUNT, 478, 2))
    shape[:, 152, 1] = 0.02 * older
    return Measured(
        energy=energy.astype(np.float32),
        colour=colour.astype(np.float16),
        usable=np.ones((COUNT, MODEL_PX, MODEL_PX), np.float16),
        shape=shape.astype(np.float32),
        design=np.stack([design_row(float(age), own) for age, own in zip(ages, traits, strict=True)]),
        age_years=ages,
        collection=np.arange(COUNT) % 2,
        traits=np.array([astuple(own) for own in traits], np.float32),
        yaw_degrees=np.zeros(COUNT, np.float32),
        grey=np.zeros(COUNT, bool),
        sharpness=np.ones((COUNT, NUM_BANDS), np.float32),
    )


@pytest.fixture(scope="module")
def models() -> dict[str, np.ndarray]:
    return fit_models(make_measured(), CONFIG)


def between(model: np.ndarray, old: float, new: float) -> np.ndarray:
    return np.tensordot(design_row(new, MEAN) - design_row(old, MEAN), model, 1)


def test_planted_changes_are_recovered_in_spite_of_outliers(models: dict[str, np.ndarray]) -> None:
    np.testing.assert_allclose(between(models["energy"], 30, 60), np.log(2), atol=0.12)
    np.testing.assert_allclose(between(models["colour"], 30, 60), -0.3, atol=0.06)
    chin = between(models["shape"], 30, 60)
    assert chin[152, 1] == pytest.approx(0.02, abs=0.004)
    assert np.abs(np.delete(chin, 152, 0)).max() < 1e-6


def test_models_are_symmetric(models: dict[str, np.ndarray]) -> None:
    same = between(models["colour"], 30, 60)
    np.testing.assert_allclose(same, same[:, ::-1], atol=1e-5)
    left, right = (PATCHES.index(f"cheek.{side}") for side in ("left", "right"))
    np.testing.assert_allclose(*between(models["energy"], 30, 60)[[left, right]], atol=1e-6)


def test_bands_that_a_photo_does_not_resolve_are_unknown() -> None:
    energy = np.ones((2, len(PATCHES), NUM_BANDS), np.float32)
    unknown_bands(energy, np.array([40.0, 1000.0]), CONFIG)
    resolved = np.array(BAND_SIGMAS) * 40 >= CONFIG.min_sigma_px
    np.testing.assert_array_equal(np.isfinite(energy[0]).all(0), resolved)
    assert 0 < resolved.sum() < NUM_BANDS
    assert np.isfinite(energy[1]).all()


def test_only_faces_from_the_front_in_colour_are_fitted() -> None:
    measured = make_measured()
    measured.yaw_degrees[:10] = 40
    measured.grey[10:15] = True
    measured.age_years[15:20] = 1
    assert len(pick(measured, CONFIG).age_years) == COUNT - 20


@pytest.fixture(scope="module")
def portraits(
    face_crop: Pixels, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> Portraits:
    """Four people whose age was asked for, 30 to 75 years old, the last rejected."""
    rows = []
    for number, age in enumerate((30.0, 60.0, 70.0, 75.0)):
        row = make_portrait(face_crop, person=f"P{number}", age_years=age, side_px=256)
        rows.append(replace(row, age_prompted_years=age, image_px_per_crop_px=1.0))
    return to_columns(rows)


@pytest.fixture(scope="module")
def face_crop(face: object) -> Pixels:
    return face.crop  # type: ignore[attr-defined,no-any-return]


def test_donors_are_old_sharp_and_not_rejected(portraits: Portraits) -> None:
    def view(row: int) -> FaceView:
        bare = np.ones((256, 256), np.float32)
        return view_face(portraits.crops[row], portraits.mesh[row], bare, 0.2, CONFIG.side_px)

    config = replace(CONFIG, rejected_donors=("P3",), bearded_donors=("P1",))
    measured = measure_portraits(portraits, view, config)
    donors = make_donors(portraits, view, measured, config)
    np.testing.assert_array_equal(donors["donor_age"], [60, 70])
    np.testing.assert_array_equal(donors["donor_bearded"], [1, 0])
    assert donors["donor_detail"].shape == (2, CONFIG.side_px, CONFIG.side_px)
    assert np.abs(donors["donor_detail"]).max() > 10
    assert np.isfinite(donors["donor_energy"]).all()
    with pytest.raises(ReageError, match=r"add older people\.$"):
        make_donors(portraits, view, measured, replace(config, donor_from_years=90))


def test_the_shipped_recipe_knows_what_queries_mean() -> None:
    assert dict(exemplar().query_ages)
