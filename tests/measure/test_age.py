"""The age estimator and whole readings."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.errors import WeightsError
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.images.tensors import to_net
from reage.measure import measure_face
from reage.measure.age import AgeEstimator
from reage.nets.age import load_age_net
from reage.types import Face
from reage.weights import find_weights, weights_hash


@pytest.mark.parametrize("weights", ["age-a", "age-b"])
def test_the_astronaut_is_a_grown_woman(weights: str, face: Face) -> None:
    age_estimator = AgeEstimator.load(weights)
    reading = age_estimator.measure(face)
    assert 30 < reading.age_years < 55
    assert 2 < reading.age_std_years < 25
    assert reading.masculinity < 0.5
    assert age_estimator.weights_hash == weights_hash(find_weights(weights))


def test_both_estimators_are_different_nets_of_allowed_size() -> None:
    assert weights_hash(find_weights("age-a")) != weights_hash(find_weights("age-b"))
    assert all(find_weights(name).stat().st_size <= 12e6 for name in ("age-a", "age-b"))


def test_a_mirrored_crop_reads_the_same(face: Face) -> None:
    age_estimator = AgeEstimator.load()
    crops = np.stack([face.crop, face.crop[:, ::-1]])
    first, mirrored = age_estimator.measure_crops(crops)
    assert first.age_years == pytest.approx(mirrored.age_years, abs=1e-3)
    assert age_estimator.measure_crops(crops[:0]) == []


def test_readings_do_not_depend_on_the_batch(face: Face) -> None:
    age_estimator = AgeEstimator.load()
    crops = np.stack([np.roll(face.crop, shift, axis=1) for shift in range(34)])
    together = [reading.age_years for reading in age_estimator.measure_crops(crops)]
    assert together[33] == pytest.approx(age_estimator.measure_crops(crops[33:])[0].age_years, abs=1e-2)


def test_measuring_leaves_the_crop_alone(face: Face) -> None:
    before = face.crop.copy()
    AgeEstimator.load().measure(face)
    np.testing.assert_array_equal(face.crop, before)


def test_other_nets_are_refused() -> None:
    for name in ("amgan", "face-mesh", "zones-a"):
        with pytest.raises(WeightsError, match=r"age estimator|onnxruntime can read"):
            AgeEstimator.load(name)


@pytest.mark.parametrize("name", ["age-a", "age-b"])
@pytest.mark.parametrize("side", [200, 333, 640])
@torch.inference_mode()
def test_ages_are_those_of_the_net_that_was_trained(name: str, side: int, face: Face) -> None:
    crops = geometry.resize(face.crop, side, side)[None]
    net, x = load_age_net(name), to_net(crops)
    expected = (torch.stack(net.predict(x)) + torch.stack(net.predict(x.flip(3)))) / 2
    found = AgeEstimator.load(name).measure_crops(crops)[0]
    assert [found.age_years, found.age_std_years] == pytest.approx(expected[:2, 0].tolist(), abs=0.01)
    assert found.masculinity == pytest.approx(expected[2, 0].item(), abs=1e-3)


def test_a_reading_has_zones_only_with_a_scorer(face: Face) -> None:
    age_estimator, zone_scorer = AgeEstimator.load(), ZoneScorer.load()
    plain = measure_face(face, age_estimator)
    assert plain == age_estimator.measure(face)
    assert plain.zones == {}
    assert measure_face(face, age_estimator, zone_scorer) == replace(plain, zones=zone_scorer.measure(face))
