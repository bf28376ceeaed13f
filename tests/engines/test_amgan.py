"""The `amgan` engine: the maps it makes, and zones that are steered through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from reage.engines.amgan import AmganEngine, make_maps
from reage.faces.aging_map import make_location_gradients
from reage.faces.geometry import zone_masks
from reage.faces.segmentation import colourfulness
from reage.images import geometry
from reage.images.tensors import from_net, to_net
from reage.nets.amgan import apply_change, load_generator
from reage.plan import complete
from reage.types import Face, Plan, Reading
from reage.zones import ZONES, typical_score


@pytest.fixture(scope="module")
def engine() -> AmganEngine:
    return AmganEngine.load()


@pytest.fixture(scope="module")
def scored(reading: Reading) -> Reading:
    return replace(reading, zones=dict.fromkeys(ZONES, 0.4))


def test_maps_show_the_target_and_the_source(face: Face, scored: Reading) -> None:
    target, source = make_maps(face, scored, complete(Plan(age=75), scored))
    assert target.shape == source.shape == (256, 256)
    assert (target >= source - 1e-6).all()
    assert (target - source)[128:160, 100:156].mean() > 0.1
    same = make_maps(face, scored, complete(Plan(age=scored.age_years), scored))
    np.testing.assert_array_equal(*same)


def test_a_zone_that_was_not_measured_is_typical(face: Face, reading: Reading) -> None:
    typical = typical_score("forehead", reading.age_years)
    target, source = make_maps(face, reading, complete(Plan(zones={"forehead": typical}), reading))
    np.testing.assert_array_equal(target, source)
    target, source = make_maps(face, reading, complete(Plan(zones={"forehead": 1.0}), reading))
    assert (target - source).max() > 0.3


def test_a_plan_for_the_present_face_changes_nothing(engine: AmganEngine, face: Face, scored: Reading) -> None:
    for plan in (Plan(age=scored.age_years), Plan(age=75, strength=0)):
        np.testing.assert_array_equal(engine.render(face, scored, complete(plan, scored)).crop, face.crop)


def test_zones_are_steered_through_the_map(engine: AmganEngine, face: Face, scored: Reading) -> None:
    masks = zone_masks(face)
    for zone in ("nasolabial.left", "forehead"):
        aged = engine.render(face, scored, complete(Plan(zones={zone: 1.0}), scored))
        change = np.abs(aged.crop.astype(int) - face.crop).mean(-1)
        far = np.max([masks[other] for other in ZONES if other.split(".")[0] != zone.split(".")[0]], axis=0) > 0.9
        assert change[masks[zone] > 0.9].mean() > 3 * change[far].mean()
        target, source = make_maps(face, scored, complete(Plan(zones={zone: 1.0}), scored))
        untouched = geometry.resize(np.abs(target - source), len(face.crop), len(face.crop)) == 0
        assert untouched.mean() > 0.5
        assert not change[untouched].any()


def test_the_change_grows_with_the_strength(engine: AmganEngine, face: Face, scored: Reading) -> None:
    changes = [
        np.abs(engine.render(face, scored, complete(Plan(age=75, strength=share), scored)).crop - face.crop.astype(int))
        for share in (0.5, 1.0, 1.5)
    ]
    weak, normal, strong = (float(change.mean()) for change in changes)
    assert weak < normal < strong


def test_a_photo_without_colour_gets_none(engine: AmganEngine, face: Face, scored: Reading) -> None:
    grey = replace(face, crop=np.repeat(face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8))
    aged = engine.render(grey, scored, complete(Plan(age=80), scored)).crop
    assert np.ptp(aged, -1).max() <= 1
    assert (aged != grey.crop).mean() > 0.1


@torch.inference_mode()
@pytest.mark.parametrize("age", [25.0, 80.0])
def test_pixels_are_those_of_the_generator_that_was_trained(
    engine: AmganEngine, face: Face, scored: Reading, age: float
) -> None:
    net, plan = load_generator(), complete(Plan(age=age), scored)
    maps = make_maps(face, scored, plan, net.config.zone_gains)
    planes = torch.from_numpy(2 * np.concatenate([maps, make_location_gradients(256)]) - 1)[None].float()
    change, attention = net.predict_change(to_net(geometry.resize(face.crop, 256, 256)), planes)
    light = change.mean(1, keepdim=True)
    change = (light + colourfulness(face) * (change - light)) * attention
    change = change * torch.from_numpy(np.clip(np.abs(maps[0] - maps[1]) / 0.02, 0, 1))
    change = change * (net.config.older_gain if age > scored.age_years else 1.0)
    change = F.interpolate(change, face.crop.shape[:2], mode="bilinear", align_corners=False)
    aged = apply_change(to_net(face.crop), change)
    faded = 1 - torch.exp(-3.0 * torch.from_numpy(face.hair) * change.mean(1, keepdim=True).clamp(min=0))
    expected = from_net(aged + faded * (aged.mean(1, keepdim=True) - aged))[0]
    found = engine.render(face, scored, plan).crop
    assert np.abs(found.astype(int) - face.crop).max() > 20
    assert np.abs(found.astype(int) - expected).max() <= 1
