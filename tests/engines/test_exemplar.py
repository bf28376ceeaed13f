"""The `exemplar` engine: lines grow with age, stay where they are asked for, and keep to skin and hair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.composite import composite
from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.covariates import ODD_TERMS, Traits, design_row
from reage.engines.exemplar.donors import REGIONS, choose_donors, region_weights
from reage.engines.exemplar.hair import brows_and_stubble, greyness, hair_change
from reage.engines.exemplar.hair_mask import WIDE, find_hair
from reage.engines.exemplar.view import FaceView, view_face
from reage.face_classes import CLASSES
from reage.faces.common_view import shrink_skin
from reage.faces.geometry import zone_masks
from reage.faces.segmentation import FaceParser
from reage.faces.skin_detail import PATCHES, fill_unusable, log_luminance, measure_energy, split_bands
from reage.faces.window import cut_window, mesh_in_window
from reage.images import geometry
from reage.plan import complete
from reage.types import Aged, CompletePlan, Face, Plan, Reading
from reage.zones import ZONES

FACE = Traits(masculinity=0.2, smile=0.5, mouth=0.1, yaw=0.2, tone=-0.3, redness=0.1, side_light=0.4)


@pytest.fixture(scope="module")
def engine() -> ExemplarEngine:
    return ExemplarEngine.load()


@pytest.fixture(scope="module")
def scored(reading: Reading) -> Reading:
    return replace(reading, zones=dict.fromkeys(ZONES, 0.4))


def view(face: Face, aged: Aged | None = None) -> FaceView:
    crop = aged.crop if aged else face.crop
    bare = shrink_skin(np.minimum(face.bare, 1 - face.hair))
    return view_face(crop, face.to_crop(face.mesh), bare, 0.1, 400)


def energy(face: Face, aged: Aged | None = None) -> np.ndarray:
    seen = view(face, aged)
    return measure_energy(split_bands(fill_unusable(log_luminance(seen.levels), seen.usable)), seen.usable)


def to_age(engine: ExemplarEngine, face: Face, reading: Reading, age: float) -> Aged:
    return engine.render(face, reading, CompletePlan(age=age, age_from=reading.age_years))


def test_lines_grow_with_age(engine: ExemplarEngine, face: Face, reading: Reading) -> None:
    own = energy(face)
    ages = [to_age(engine, face, reading, age) for age in (25, 50, 65, 80)]
    cheeks = [PATCHES.index(name) for name in ("cheek.left", "cheek.right", "crows_feet.right", "forehead")]
    means = [np.nanmean(np.log(energy(face, aged) / own)[cheeks][:, 1:4]) for aged in ages]
    assert means == sorted(means)
    assert means[0] < -0.05
    assert means[-1] > 0.12


def test_eyes_and_what_is_around_the_head_stay(engine: ExemplarEngine, face: Face, reading: Reading) -> None:
    for age in (20, 80):
        aged = to_age(engine, face, reading, age)
        assert aged.shift is not None
        places = geometry.pixel_grid(512, 512) + aged.shift
        change = np.abs(aged.crop.astype(int) - geometry.sample(face.crop, places)).max(-1)
        for x, y in face.to_crop(face.mesh)[[468, 473], :2].astype(int):
            assert change[y - 2 : y + 3, x - 2 : x + 3].mean() < 6
        outside = geometry.sample(np.maximum(face.skin, face.hair), places) < 0.01
        assert (change[outside] > 3).mean() < 0.05
        assert not aged.shift[0].any()


def test_a_zone_changes_alone(engine: ExemplarEngine, face: Face, scored: Reading) -> None:
    masks = zone_masks(face)
    for zone in ("forehead", "crows_feet.right"):
        changes = []
        for score in (0.6, 1.0):
            aged = engine.render(face, scored, complete(Plan(zones={zone: score}), scored))
            assert aged.shift is None
            changes.append(np.abs(aged.crop.astype(int) - face.crop).mean(-1))
        inside, outside = masks[zone] > 0.8, masks[zone] == 0
        far = outside & (np.max([masks[other] for other in ZONES if other != zone], axis=0) > 0.9)
        assert 0 < changes[0][inside].mean() < changes[1][inside].mean()
        assert changes[1][far].mean() < 0.25 * changes[1][inside].mean()


def test_donors_do_not_depend_on_the_age_and_mirror_with_the_face(
    engine: ExemplarEngine, face: Face, reading: Reading
) -> None:
    seen = view(face)
    chosen = choose_donors(engine.donors, seen)
    assert len(chosen) == len(REGIONS)
    assert chosen == choose_donors(engine.donors, view(face, to_age(engine, face, reading, 40)))
    np.testing.assert_allclose(region_weights(64).sum(0), 1, atol=1e-6)
    mirrored = replace(
        seen,
        usable=np.ascontiguousarray(seen.usable[:, ::-1]),
        traits=replace(seen.traits, yaw=-seen.traits.yaw, side_light=-seen.traits.side_light),
    )
    rows = [row for row, _ in chosen]
    turned = choose_donors(engine.donors, mirrored)
    assert [row for row, _ in turned] == rows
    assert all(a != b for (_, a), (_, b) in zip(chosen, turned, strict=True))


def test_the_gain_is_as_fine_as_the_photo(engine: ExemplarEngine, face: Face, reading: Reading) -> None:
    assert face.photo is not None
    aged = to_age(engine, face, reading, 75)
    assert {gain.crops for gain in aged.gains} == {1.0, 2.0}
    result = composite(face.photo, face, aged)
    changed = np.abs(result.astype(int) - face.photo).max(-1) > 0
    assert 0.05 < changed.mean() < 0.6
    assert len(aged.gains[0].log_ratio) == max(192, round(len(face.crop) * face.image_px_per_crop_px))


def test_a_grey_photo_stays_grey(engine: ExemplarEngine, face: Face, reading: Reading) -> None:
    assert face.photo is not None
    light = face.crop.mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
    photo = face.photo.mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
    for age in (20, 80):
        aged = to_age(engine, replace(face, crop=light, photo=photo), reading, age)
        assert np.ptp(aged.crop.astype(int), axis=-1).max() <= 1


def test_covariates_of_a_mirrored_face() -> None:
    mirrored = replace(FACE, yaw=-FACE.yaw, side_light=-FACE.side_light)
    parity = np.where(ODD_TERMS, -1, 1)
    np.testing.assert_allclose(design_row(60.0, mirrored), parity * design_row(60.0, FACE))
    assert design_row(np.array([20.0, 60.0]), FACE).shape == (2, len(ODD_TERMS))


def test_hair_greys_strand_by_strand_and_gets_its_colour_back() -> None:
    random = np.random.default_rng(0)
    brown = np.clip(np.array([0.3, 0.2, 0.12]) * np.exp(0.3 * random.standard_normal((60, 60, 1))), 0, 1)
    hair = np.ones((60, 60), np.float32)
    brown = brown.astype(np.float32)
    grey = (brown + 0.03) * np.exp(hair_change(brown, hair, 40, 30, 85)) - 0.03
    assert grey.mean() > 1.5 * brown.mean()
    assert np.median(np.ptp(grey, -1) / grey.max(-1)) < 0.2 * np.median(np.ptp(brown, -1) / brown.max(-1))
    assert np.corrcoef(grey.mean(-1).ravel(), brown.mean(-1).ravel())[0, 1] > 0.8
    back = (grey + 0.03) * np.exp(hair_change(grey.astype(np.float32), hair, 40, 85, 30)) - 0.03
    assert back.mean() < 0.7 * grey.mean()
    assert (back[..., 0] > back[..., 2]).mean() > 0.95
    for before, after in ((20, 30), (50, 50)):
        assert not hair_change(brown, hair, 40, before, after).any()
    assert not hair_change(brown, 0 * hair, 40, 30, 85).any()
    assert greyness(20) == 0
    assert greyness(90) == 1


def test_brows_are_dark_and_women_have_no_stubble(face: Face) -> None:
    seen = view(face)
    light = log_luminance(seen.levels)
    brows, stubble = brows_and_stubble(light, float(np.median(light[seen.usable > 0.9])), 100.0, 0.1)
    assert brows.max() > 0.5
    assert not stubble.any()
    assert light[brows > 0.5].mean() < light[seen.usable > 0.9].mean() - 0.3


def test_what_must_not_change_stays_and_skin_does_not_fold(
    engine: ExemplarEngine, face: Face, reading: Reading
) -> None:
    shift = to_age(engine, face, reading, 85).shift
    assert shift is not None
    assert np.abs(shift).max() > 1
    assert np.abs(shift[face.matte < 0.3]).max() < 0.02
    down, right = np.gradient(shift, axis=0), np.gradient(shift, axis=1)
    stretch = (1 + right[..., 0]) * (1 + down[..., 1]) - right[..., 1] * down[..., 0]
    assert stretch.min() > 0.1


def test_donors_are_told_and_stay_the_same_at_every_older_age(
    engine: ExemplarEngine, face: Face, reading: Reading
) -> None:
    older = [to_age(engine, face, reading, age).details["donors"] for age in (65, 80)]
    assert older[0] == older[1]
    assert list(older[0]) == list(REGIONS)
    assert all(donor["age_years"] > 50 for donor in older[0].values())
    assert not to_age(engine, face, reading, 25).details


def test_colour_decides_at_the_border_of_hair(face: Face) -> None:
    window = cut_window(face, 512, WIDE)
    shares = np.zeros((len(CLASSES), 256, 256), np.float32)
    sure = face.hair > 0.9
    beside = (geometry.grow(sure.astype(np.float32), 0.012 * len(face.hair)) > 0.5) & (face.hair + face.skin < 0.05)
    wrong = replace(face, hair=np.maximum(face.hair, beside.astype(np.float32)))
    middle = np.s_[128:384, 128:384]
    found = geometry.resize(np.ascontiguousarray(find_hair(wrong, window, shares)[middle]), *face.hair.shape)
    assert beside.sum() > 500
    assert found[sure].mean() > 0.9
    assert found[beside].mean() < 0.4


def test_a_hat_in_the_window_that_is_hair_in_the_crop_is_hair(face: Face) -> None:
    window = cut_window(face, 512, WIDE)
    shares = FaceParser.load().measure_shares(window, mesh_in_window(face, 512, WIDE), WIDE)
    hair, hat = CLASSES.index("hair"), CLASSES.index("hat")
    both = shares[hair] + shares[hat]
    found = []
    for place in (hair, hat):
        other = shares.copy()
        other[[hair, hat]] = 0
        other[place] = both
        found.append(find_hair(face, window, other))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    bald = replace(face, hair=np.zeros_like(face.hair))
    assert find_hair(bald, window, other).max() < 0.05
