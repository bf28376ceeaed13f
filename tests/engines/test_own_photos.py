"""The person's own photos: energies go over into those of a reference, steadily, and other zones are left alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.own_photos import (
    Deviation,
    OwnChange,
    OwnPhoto,
    measure_hair,
    near,
    resolved_bands,
    see_reference,
    steady,
    way_age,
    without_broad_light,
)
from reage.faces.common_face import common_grid
from reage.faces.skin_detail import NUM_BANDS, PATCHES, split_bands
from reage.images import geometry
from reage.types import CompletePlan, Face, Reading, ReferenceFace
from reage.zones import ZONES

SIDE = 64
_BELOW_EYES = 118
"""A mesh point under the left eye."""
_CHEEKS = [PATCHES.index(name) for name in ("cheek.left", "cheek.right", "nasolabial.left", "nasolabial.right")]


@pytest.fixture(scope="module")
def engine() -> ExemplarEngine:
    return ExemplarEngine.load()


@pytest.fixture(scope="module")
def smooth(face: Face, reading: Reading) -> ReferenceFace:
    """The person at 20, smooth below the eyes."""
    soft = geometry.blur(face.crop.astype(np.float32), 6.0)
    rows = np.arange(512) > face.to_crop(face.mesh)[_BELOW_EYES, 1]
    crop = np.where(rows[:, None, None], soft, face.crop).astype(np.uint8)
    return ReferenceFace(face=replace(face, crop=crop, photo=None), reading=replace(reading, age_years=20.0))


def deviation(
    age_years: float, energy: float = 0.0, light: float = 0.0, move: float = 0.0, hair: float = 0.0
) -> Deviation:
    energies = np.full((len(PATCHES), NUM_BANDS), 0.0)
    energies[0] = energy
    return Deviation(
        age_years=age_years,
        energy=energies,
        light=np.full((SIDE, SIDE), light, np.float32),
        seen=np.ones((SIDE, SIDE), np.float32),
        shape=np.full((478, 2), move),
        hair=hair,
    )


def own_photo(own: Deviation) -> OwnPhoto:
    noise = np.random.default_rng(0).normal(0, 0.1, (SIDE, SIDE)).astype(np.float32)
    energy = np.full((len(PATCHES), NUM_BANDS), 0.02)
    return OwnPhoto(deviation=own, detail=noise, usable=np.ones((SIDE, SIDE), np.float32), energy=energy)


def change(*photos: Deviation, new: float = 20.0) -> OwnChange:
    return OwnChange(photos=[own_photo(one) for one in photos], deviation=deviation(60.0), new=new)


def test_a_patch_that_was_smoother_in_the_reference_loses_more() -> None:
    usual = model = np.full((len(PATCHES), NUM_BANDS), -0.2)
    growth = change(deviation(20.0, energy=-0.5)).energy_growth(20.0, usual, model, 1.0)
    assert (growth[0] < -0.5).all()
    np.testing.assert_allclose(growth[1:], growth[1, 0])
    assert abs(growth[1, 0] + 0.2) < 0.05
    halfway = change(deviation(20.0, energy=-0.5)).energy_growth(40.0, usual, model, 1.0)
    assert (growth[0] < halfway[0]).all()
    assert (halfway[0] < usual[0]).all()


def test_one_of_three_references_that_disagrees_counts_little() -> None:
    usual = model = np.zeros((len(PATCHES), NUM_BANDS))
    alike = [deviation(20.0, energy=-0.3)] * 2
    agreed = change(*alike).energy_growth(20.0, usual, model, 1.0)[0, 0]
    with_one_more = change(*alike, deviation(20.0, energy=2.0)).energy_growth(20.0, usual, model, 1.0)[0, 0]
    mean_of_all = (2 * -0.3 + 2.0) / 3
    assert abs(with_one_more - agreed) < 0.25 * abs(mean_of_all - agreed)


def test_light_shape_and_hair_go_towards_the_reference() -> None:
    own = change(deviation(20.0, light=0.2, move=0.01, hair=-0.6))
    assert 0.1 < own.light_change(32).mean() < 0.2
    np.testing.assert_allclose(own.moves()[:, 1], 0.01 / 1.25)
    np.testing.assert_allclose(own.moves()[:, 0], 0, atol=1e-12)
    assert own.hair_change(usual=0.0) == pytest.approx(-0.6 / 1.25)
    assert own.hair_change(usual=-0.6) == 0
    assert change(deviation(20.0, hair=0.5)).hair_change(usual=0.0) == 0
    assert change(deviation(80.0, hair=0.5), new=80.0).hair_change(usual=0.0) == pytest.approx(0.5 / 1.25)
    unknown = change(deviation(20.0, hair=float("nan")))
    assert unknown.hair_change(usual=-0.3) == 0


def test_weights_by_age() -> None:
    assert near(20.0, 60.0, 40.0) == 1
    assert near(40.0, 60.0, 20.0) == pytest.approx(0.5)
    assert near(60.0, 30.0, 80.0) == pytest.approx(0.5)
    assert way_age(58.0, 60.0, 20.0) == 55
    assert way_age(62.0, 60.0, 80.0) == 65


def test_growth_is_steady() -> None:
    def wavering(age: float) -> np.ndarray:
        return np.array([[0.01 * (age - 60) + 0.2 * np.sin(age)]])

    for targets, sign in (((50, 41, 33, 20), -1), ((61, 66, 75, 90), 1)):
        values = [sign * steady(wavering, 60.0, float(age)).item() for age in targets]
        assert values == sorted(values)
        assert values[0] >= 0
    assert steady(wavering, 60.0, 60.0).item() == 0


def test_broad_light_is_taken_out() -> None:
    x, y = np.moveaxis(common_grid(SIDE), -1, 0)
    spot = 0.3 * np.exp(-((x - 0.4) ** 2 + (y - 0.6) ** 2) / 0.02).astype(np.float32)
    left = without_broad_light((1 + 0.4 * x - 0.2 * y + 0.1 * x * x).astype(np.float32) + spot, np.ones_like(x))
    assert np.abs(left - spot).max() < 0.1
    assert left.max() > 0.2


def test_lines_of_an_older_reference_take_the_place_of_the_donor_where_it_resolves_them() -> None:
    own = change(deviation(80.0), new=80.0)
    own.photos[0].energy[:, 0] = np.nan
    donor = [np.full((SIDE, SIDE), 0.5, np.float32)] * NUM_BANDS
    energy = [np.full((SIDE, SIDE), 0.1, np.float32)] * NUM_BANDS
    mixed, energies = own.donate(donor, energy)
    np.testing.assert_allclose(mixed[0], 0.5, rtol=1e-4)
    np.testing.assert_allclose(mixed[2], split_bands(own.photos[0].detail)[2], atol=1e-4)
    np.testing.assert_allclose(energies[2], 0.02, rtol=1e-3)
    young = OwnChange(photos=[own_photo(deviation(40.0))], deviation=deviation(30.0), new=80.0)
    np.testing.assert_allclose(young.donate(donor, energy)[0][2], 0.5, rtol=1e-4)


def cheek_energy(engine: ExemplarEngine, face: Face, reading: Reading, age: float) -> float:
    """Mean log energy of the cheeks of the aged face."""
    aged = engine.render(face, reading, CompletePlan(age=age, age_from=reading.age_years))
    again = replace(face, crop=aged.crop, photo=None)
    seen = see_reference(ReferenceFace(face=again, reading=reading), engine._models)
    return float(np.nanmean(np.log(seen.energy[_CHEEKS, 2:5])))


def test_energy_moves_towards_the_reference_more_than_without(
    engine: ExemplarEngine, face: Face, reading: Reading, smooth: ReferenceFace
) -> None:
    personal = engine.with_references([smooth])
    assert cheek_energy(personal, face, reading, 20) < cheek_energy(engine, face, reading, 20) - 0.02
    assert not engine._own_photos


def test_amplitudes_are_monotone_in_age(
    engine: ExemplarEngine, face: Face, reading: Reading, smooth: ReferenceFace
) -> None:
    personal = engine.with_references([smooth])
    energies = [cheek_energy(personal, face, reading, age) for age in (20, 26, 31, 36)]
    assert energies == sorted(energies)


def test_a_zone_that_is_asked_for_alone_is_left_to_its_score(
    engine: ExemplarEngine, face: Face, reading: Reading, smooth: ReferenceFace
) -> None:
    scored = replace(reading, zones=dict.fromkeys(ZONES, 0.4))
    plan = CompletePlan(age=reading.age_years, age_from=reading.age_years, zones={"forehead": 0.9})
    without, with_reference = (
        one.render(face, scored, plan).crop for one in (engine, engine.with_references([smooth]))
    )
    np.testing.assert_array_equal(without, with_reference)


def test_what_a_photo_does_not_show_is_unknown(face: Face) -> None:
    assert resolved_bands(face).sum() < NUM_BANDS
    assert resolved_bands(face)[2:].all()
    assert measure_hair(face) < -0.3
    assert np.isnan(measure_hair(replace(face, hair=np.zeros_like(face.hair))))
