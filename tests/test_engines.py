"""The contract of `reage.engines.base.Engine`, tested for every engine in the table."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from reage.engines import DEFAULT_ENGINE, ENGINES, Engine, engine_class, load_engine
from reage.engines.base import ReferenceEngine
from reage.engines.ldla import LdlaConfig, LdlaEngine, SamplingConfig
from reage.errors import EngineError, WeightsError
from reage.types import OLDEST_TARGET, YOUNGEST_TARGET, Aged, CompletePlan, Face, Reading
from reage.weights import find_weights, save_weights

LEARNED = [name for name in ENGINES if name != "none"]
"""Engines that have weights."""
OWN_AGE = 38.0
OLDER = CompletePlan(age=75.0, age_from=OWN_AGE, seed=5)


@pytest.fixture(scope="module", params=ENGINES)
def engine(request: pytest.FixtureRequest) -> Engine:
    return load_quick(request.param)


def load_quick(name: str, weights: Path | None = None) -> Engine:
    """An engine; latent diffusion takes two steps."""
    engine = load_engine(name, weights=weights, device="cpu")
    if isinstance(engine, LdlaEngine):
        engine.config = LdlaConfig(zones=SamplingConfig(num_inference_steps=2), refiner=None)
    return engine


def assert_same(first: Aged, second: Aged) -> None:
    np.testing.assert_array_equal(first.crop, second.crop)
    assert (first.shift is None) == (second.shift is None)
    if first.shift is not None:
        np.testing.assert_array_equal(first.shift, second.shift)


def change_of(aged: Aged, face: Face) -> float:
    return float(np.abs(aged.crop.astype(int) - face.crop).mean())


# Attributes


def test_attributes_describe_the_engine(engine: Engine) -> None:
    assert ENGINES[engine.name].endswith(f":{type(engine).__name__}")
    assert engine_class(engine.name) is type(engine)
    assert 10 < len(engine.summary) < 100
    assert "\n" not in engine.summary
    assert engine.accepts <= {"age", "zones", "skin", "person", "references"}
    assert "age" in engine.accepts or "zones" in engine.accepts
    assert ("references" in engine.accepts) == isinstance(engine, ReferenceEngine)
    assert isinstance(engine.zone_driven, bool)
    assert "zones" in engine.accepts or not engine.zone_driven
    youngest, oldest = engine.ages
    assert YOUNGEST_TARGET <= youngest < oldest <= OLDEST_TARGET


def test_class_has_the_attributes_without_the_weights(engine: Engine) -> None:
    described = engine_class(engine.name)
    for attribute in ("name", "summary", "accepts", "zone_driven", "ages"):
        assert getattr(described, attribute) == getattr(engine, attribute)


def test_hash_identifies_the_weights_and_is_stable(engine: Engine) -> None:
    assert load_engine(engine.name).weights_hash == engine.weights_hash
    if engine.name in LEARNED:
        assert len(engine.weights_hash) == 12
        assert int(engine.weights_hash, 16) >= 0
    else:
        assert engine.weights_hash == ""


# What it renders


def test_aged_crop_has_the_size_and_kind_of_the_crop(engine: Engine, face: Face, reading: Reading) -> None:
    aged = engine.render(face, reading, OLDER)
    assert aged.crop.shape == face.crop.shape
    assert aged.crop.dtype == np.uint8
    if aged.shift is not None:
        assert aged.shift.shape == (*face.crop.shape[:2], 2)
        assert aged.shift.dtype == np.float32
        assert np.isfinite(aged.shift).all()


def test_face_is_untouched(engine: Engine, face: Face, reading: Reading) -> None:
    arrays = [one.name for one in fields(face) if isinstance(getattr(face, one.name), np.ndarray)]
    assert len(arrays) == 8
    before = {name: getattr(face, name).copy() for name in arrays}
    aged = engine.render(face, reading, OLDER)
    aged.crop[:] = 0
    for name in arrays:
        np.testing.assert_array_equal(getattr(face, name), before[name])


def test_same_plan_same_pixels(engine: Engine, face: Face, reading: Reading) -> None:
    first = engine.render(face, reading, OLDER)
    engine.render(face, reading, replace(OLDER, age=20, seed=9))
    assert_same(engine.render(face, reading, OLDER), first)
    assert_same(load_quick(engine.name).render(face, reading, OLDER), first)


@pytest.mark.parametrize("age", [25.0, OWN_AGE, 60.0])
def test_own_age_is_the_crop_bit_for_bit(engine: Engine, face: Face, reading: Reading, age: float) -> None:
    aged = engine.render(face, reading, CompletePlan(age=age, age_from=age, seed=2))
    assert_same(Aged(crop=face.crop), replace(aged, shift=None))
    assert aged.shift is None or np.abs(aged.shift).max() == 0


@pytest.mark.parametrize("age", [20.0, 75.0])
def test_no_strength_is_the_crop_bit_for_bit(engine: Engine, face: Face, reading: Reading, age: float) -> None:
    aged = engine.render(face, reading, CompletePlan(age=age, age_from=OWN_AGE, strength=0))
    assert_same(Aged(crop=face.crop), replace(aged, shift=None))
    assert aged.shift is None or np.abs(aged.shift).max() == 0


@pytest.mark.parametrize("age", [20.0, 75.0])
def test_more_strength_changes_more(engine: Engine, face: Face, reading: Reading, age: float) -> None:
    weak, usual, strong = (
        change_of(engine.render(face, reading, CompletePlan(age=age, age_from=OWN_AGE, strength=much)), face)
        for much in (0.5, 1.0, 1.5)
    )
    if engine.name in LEARNED:
        assert 0 < weak < usual < strong
    else:
        assert weak == usual == strong == 0


def test_targets_beyond_the_ages_are_clipped(engine: Engine, face: Face, reading: Reading) -> None:
    youngest, oldest = engine.ages
    for beyond, nearest in ((YOUNGEST_TARGET, youngest), (OLDEST_TARGET, oldest)):
        far = engine.render(face, reading, replace(OLDER, age=beyond))
        assert_same(far, engine.render(face, reading, replace(OLDER, age=nearest)))


@pytest.mark.parametrize("age_from", [1.0, 100.0])
def test_people_of_any_age_are_rendered(engine: Engine, face: Face, age_from: float) -> None:
    reading = Reading(age_years=age_from, age_std_years=9.0, masculinity=1.0)
    aged = engine.render(face, reading, CompletePlan(age=50, age_from=age_from))
    assert change_of(aged, face) < 60


# Its weights


@pytest.mark.parametrize("name", LEARNED)
def test_wrong_weights_are_refused(name: str, tmp_path: Path) -> None:
    save_weights(tmp_path / "other.safetensors", {"w": np.zeros(3)}, {"seed": 1})
    (tmp_path / "text.safetensors").write_text("no weights")
    (tmp_path / "cut.safetensors").write_bytes(find_weights(name).read_bytes()[:-100])
    for weights in (
        *tmp_path.iterdir(),
        tmp_path / "missing.safetensors",
        tmp_path,
        find_weights("zones-a"),
        "nobody",
    ):
        with pytest.raises(WeightsError) as refusal:
            load_engine(name, weights=weights)
        assert str(refusal.value).endswith(".")
        assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("name", LEARNED)
def test_weights_go_by_name_or_path(name: str, face: Face, reading: Reading, tmp_path: Path) -> None:
    copy = tmp_path / f"copy{find_weights(name).suffix}"
    copy.write_bytes(find_weights(name).read_bytes())
    shipped, copied = load_quick(name), load_quick(name, copy)
    assert copied.weights_hash == shipped.weights_hash
    assert_same(copied.render(face, reading, OLDER), shipped.render(face, reading, OLDER))


# The table


def test_default_is_in_the_table() -> None:
    assert DEFAULT_ENGINE in ENGINES
    assert load_engine().name == DEFAULT_ENGINE


@pytest.mark.parametrize("name", ["magic", "", "Exemplar"])
def test_unknown_engine_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(EngineError) as refusal:
        load_engine(name)
    assert f"'{name}'" in str(refusal.value)
    assert all(known in str(refusal.value) for known in ENGINES)
    assert str(refusal.value).endswith(".")
