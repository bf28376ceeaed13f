"""The fit of the `prototype` engine recovers changes with age that were planted in its portraits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from reage.data.shards import Portrait, Portraits
from reage.engines import load_engine
from reage.engines.prototype.frame import to_frame_px
from reage.errors import ReageError
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.mesh import IBUG_POINTS
from reage.images import geometry
from reage.training.prototype import MIRRORED, fit_prototype, prototype, robust_fit
from reage.types import CompletePlan, Face, Pixels, Plane, Reading
from reage.weights import save_weights

SIDE = 256
AGES = np.linspace(24, 80, 12)
JAW_DROP = 0.066
"""Face units by which the jaws of the planted portraits drop and widen between 24 and 80."""
AGE_UNIT_YEARS = 15.0


def all_skin(crop: Pixels, mesh: Plane) -> Plane:
    return np.ones(crop.shape[:2], np.float32)


@pytest.fixture(scope="module")
def portraits(
    face: Face, ibug: Plane, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> Portraits:
    """Twelve variants of the demo photo: with age noses darken, cheeks grow coarse, jaws drop and widen."""
    grid = geometry.pixel_grid(512, 512)
    noise = geometry.blur(np.random.default_rng(0).normal(0, 20, (512, 512)).astype(np.float32), 1.2)

    def spot(landmarks: list[int], radius_px: float) -> Plane:
        distance = np.linalg.norm(grid - ibug[landmarks].mean(0), axis=-1)
        return np.exp(-0.5 * (distance / radius_px) ** 2)[..., None]

    rows = []
    for number, age in enumerate(AGES):
        older = (age - AGES[0]) / np.ptp(AGES)
        crop = face.crop * (0.9 + 0.02 * (number * 5 % 12)) * np.exp(-0.5 * older * spot([30], 14))
        crop = crop + noise[..., None] * older * (spot([31, 2], 16) + spot([35, 14], 16))
        row = make_portrait(
            np.clip(crop, 0, 255).astype(np.uint8), person=f"P{number}", age_years=float(age), sex="MF"[number % 2]
        )
        moved, drop_px = row.mesh.copy(), older * JAW_DROP * SIDE / FACE_PER_CROP
        moved[list(IBUG_POINTS[6:11]), 1] += drop_px
        moved[IBUG_POINTS[2], 0] -= drop_px
        moved[IBUG_POINTS[14], 0] += drop_px
        rows.append(replace(row, mesh=moved))
    return to_columns(rows)


@pytest.fixture(scope="module")
def fitted(portraits: Portraits) -> tuple[dict[str, Any], dict[str, Any]]:
    return fit_prototype(portraits, all_skin, prototype())


# The robust fit


@pytest.fixture(scope="module")
def spoiled() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Values (300, 5) of a linear model in 9 terms, a fifth of them far off; the design, and the true model."""
    generator = torch.Generator().manual_seed(0)
    design = torch.randn(300, 9, generator=generator)
    design[:, 0] = 1
    true = torch.randn(9, 5, generator=generator)
    values = design @ true + 0.05 * torch.randn(300, 5, generator=generator)
    spoilt = torch.rand(300, 5, generator=generator) < 0.2
    return torch.where(spoilt, values + 4, values), design, true


def test_outliers_lose_their_weight(spoiled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    values, design, true = spoiled
    weight = torch.ones(300, 1)
    plain = robust_fit(values, design, weight, 1e-5, 0, 1.3)
    robust = robust_fit(values, design, weight, 1e-5, 6, 1.3)
    assert (plain - true).abs().max() > 0.5
    assert (robust - true).abs().max() < 0.06


def test_values_count_by_their_weights(spoiled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    values, design, true = spoiled
    good = ((values - design @ true).abs() < 1).float()
    found = robust_fit(values, design, good, 1e-6, 0, 1.3)
    assert (found - true).abs().max() < 0.05


def test_ridge_shrinks_all_but_the_constant(spoiled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    values, design, _ = spoiled
    weight = torch.ones(300, 1)
    loose, tight = (robust_fit(values, design, weight, ridge, 0, 1.3) for ridge in (1e-4, 100.0))
    assert tight[1:].abs().max() < 0.05
    assert loose[1:].abs().max() > 0.5
    np.testing.assert_allclose(tight[0], values.mean(0), atol=0.02)


def test_many_columns_are_fitted_like_one(spoiled: tuple[torch.Tensor, torch.Tensor, torch.Tensor]) -> None:
    values, design, _ = spoiled
    weight = torch.ones(300, 1)
    wide = robust_fit(values.repeat(1, 900), design, weight, 0.01, 2, 1.3)
    narrow = robust_fit(values, design, weight, 0.01, 2, 1.3)
    assert wide.shape == (9, 4500)
    np.testing.assert_allclose(wide[:, -5:], narrow, atol=1e-4)


# The mirror


def test_mirrored_numbers_are_the_other_sides() -> None:
    np.testing.assert_array_equal(np.sort(MIRRORED), np.arange(68))
    np.testing.assert_array_equal(MIRRORED[MIRRORED], np.arange(68))
    for first, second in ((0, 16), (8, 8), (17, 26), (36, 45), (39, 42), (31, 35), (48, 54), (60, 64), (58, 56)):
        assert MIRRORED[first] == second


# The fit


def test_mean_face_is_even(fitted: tuple[dict[str, Any], dict[str, Any]]) -> None:
    mean = fitted[0]["mean"]
    np.testing.assert_allclose(mean[MIRRORED] * [-1, 1], mean, atol=1e-5)
    eyes = mean[36:48].reshape(2, 6, 2).mean(1)
    np.testing.assert_allclose(eyes, [(-0.5, 0), (0.5, 0)], atol=0.12)


def test_planted_changes_are_found_where_they_were_planted(fitted: tuple[dict[str, Any], dict[str, Any]]) -> None:
    tensors, _ = fitted
    mean = tensors["mean"]

    def at(name: str, landmarks: list[int]) -> np.ndarray:
        x, y = np.rint(to_frame_px(mean[landmarks].mean(0)) / 2).astype(int)
        return tensors[name][1, y, x]

    planted = -0.5 * AGE_UNIT_YEARS / np.ptp(AGES)
    nose = at("colour", [30])
    assert (nose < 0.4 * planted).all()
    assert (nose > 1.1 * planted).all()
    for landmarks in ([8, 57], [21, 22], [31, 2]):
        assert np.abs(at("colour", landmarks)).max() < 0.02
    for landmarks in ([31, 2], [35, 14]):
        assert at("detail", landmarks)[0] > 0.03
    assert np.abs(at("detail", [21, 22])).max() < 0.03


def test_planted_shape_is_found(fitted: tuple[dict[str, Any], dict[str, Any]]) -> None:
    by_age = fitted[0]["shape"][0]
    planted = pytest.approx(JAW_DROP * AGE_UNIT_YEARS / np.ptp(AGES), rel=0.2)
    assert by_age[8, 1] == planted
    assert (-by_age[2, 0], by_age[14, 0]) == (planted, planted)
    assert np.abs(by_age[8, 0]) < 0.002
    assert np.abs(by_age[[0, 16, 27, 36, 45]]).max() < 0.002


def test_donors_are_the_oldest_first(fitted: tuple[dict[str, Any], dict[str, Any]]) -> None:
    tensors, _ = fitted
    ages = tensors["donor_age_years"]
    np.testing.assert_allclose(ages, AGES[AGES >= 58][::-1], atol=1e-3)
    assert tensors["donor_layers"].shape == (len(ages), 256, 256)
    assert tensors["donor_layers"].dtype == np.int8
    assert tensors["donor_layers"].std() > 1
    assert np.isfinite(tensors["donor_traits"]).all()


def test_what_was_fitted_is_an_engine(
    fitted: tuple[dict[str, Any], dict[str, Any]], face: Face, ibug: Plane, reading: Reading, tmp_path: Path
) -> None:
    tensors, config = fitted
    assert config["num_portraits"] == len(AGES)
    path = tmp_path / "prototype.safetensors"
    save_weights(path, tensors, config)
    engine = load_engine("prototype", weights=path)
    aged = engine.render(face, reading, CompletePlan(age=75, age_from=38)).crop

    def light(crop: Pixels, landmark: int) -> float:
        x, y = np.rint(ibug[landmark]).astype(int)
        return float(crop[y - 6 : y + 7, x - 6 : x + 7].mean())

    assert light(aged, 30) < light(face.crop, 30) - 4
    younger = engine.render(face, reading, CompletePlan(age=25, age_from=38)).crop
    assert light(younger, 30) > light(face.crop, 30) + 1


def test_grey_and_small_portraits_are_left_out(portraits: Portraits, fitted: tuple[dict, dict]) -> None:
    count = len(portraits)
    both = portraits.pick(np.r_[np.arange(count), [0, 1]])
    grey, fine = both.grey.copy(), both.image_px_per_crop_px.copy()
    grey[count], fine[count + 1] = True, 0.4
    spoiled = replace(both, grey=grey, image_px_per_crop_px=fine)
    spoiled.crops[count:] = 0
    tensors, config = fit_prototype(spoiled, all_skin, prototype())
    assert config == fitted[1]
    np.testing.assert_array_equal(tensors["colour"], fitted[0]["colour"])


def test_skin_is_looked_for_in_each_crop_with_its_mesh(
    portraits: Portraits, fitted: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    """Where no face shows skin, the models of colour shrink to nothing."""
    seen: list[tuple[Pixels, Plane]] = []

    def without_nose(crop: Pixels, mesh: Plane) -> Plane:
        seen.append((crop, mesh))
        skin = all_skin(crop, mesh)
        x, y = np.rint(mesh[IBUG_POINTS[30], :2]).astype(int)
        skin[y - 12 : y + 13, x - 12 : x + 13] = 0
        return skin

    tensors, _ = fit_prototype(portraits, without_nose, replace(prototype(), donor_skin=0.5))
    for (crop, mesh), own, points in zip(seen, portraits.crops, portraits.mesh, strict=True):
        np.testing.assert_array_equal(crop, own)
        np.testing.assert_array_equal(mesh, points)
    x, y = np.rint(to_frame_px(tensors["mean"][30]) / 2).astype(int)
    assert np.abs(tensors["colour"][:, y, x]).max() < 0.1 * np.abs(fitted[0]["colour"][:, y, x]).max()
    away = np.rint(to_frame_px(tensors["mean"][[31, 2]].mean(0)) / 2).astype(int)
    np.testing.assert_allclose(*(own["colour"][:, away[1], away[0]] for own in (tensors, fitted[0])), atol=1e-3)


def test_portraits_without_an_old_face_are_refused_in_a_sentence(portraits: Portraits) -> None:
    young = portraits.pick(portraits.age_years < 55)
    with pytest.raises(ReageError, match=r"\.$"):
        fit_prototype(young, all_skin, prototype())
