"""The `amgan` engine: the maps it makes, and zones that are steered through them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from reage.composite import composite
from reage.engines.amgan import NET_PX, AmganEngine, keep_lines, make_maps, net_side
from reage.engines.base import SteadyEngine
from reage.engines.exemplar.view import view_photo
from reage.faces.aging_map import make_location_gradients
from reage.faces.geometry import zone_masks
from reage.faces.skin_detail import LUMINANCE, PATCHES, patch_map
from reage.images import geometry
from reage.images.tensors import to_net
from reage.nets.amgan import load_generator
from reage.plan import complete
from reage.types import Face, Pixels, Plan, Reading
from reage.zones import ZONES, typical_score


@pytest.fixture(scope="module")
def engine() -> AmganEngine:
    return AmganEngine.load()


@pytest.fixture(scope="module")
def scored(reading: Reading) -> Reading:
    return replace(reading, zones=dict.fromkeys(ZONES, 0.4))


def age(engine: AmganEngine, face: Face, reading: Reading, plan: Plan) -> Pixels:
    """The crop as it is aged."""
    return composite(face.crop, face.in_crop_frame(), engine.render(face, reading, complete(plan, reading)))


def test_maps_show_the_target_and_the_source(scored: Reading) -> None:
    target, source = make_maps(256, scored, complete(Plan(age=75), scored))
    assert target.shape == source.shape == (256, 256)
    assert (target >= source - 1e-6).all()
    assert (target - source).mean() > 0.1
    same = make_maps(256, scored, complete(Plan(age=scored.age_years), scored))
    np.testing.assert_array_equal(*same)


def test_a_zone_that_was_not_measured_is_typical(reading: Reading) -> None:
    typical = typical_score("forehead", reading.age_years)
    target, source = make_maps(128, reading, complete(Plan(zones={"forehead": typical}), reading))
    np.testing.assert_allclose(target, source, atol=1e-6)
    target, source = make_maps(128, reading, complete(Plan(zones={"forehead": 1.0}), reading))
    assert (target - source).max() > 0.3


def test_a_gain_multiplies_what_the_age_does_not_explain(scored: Reading) -> None:
    plan, gains = complete(Plan(zones={"forehead": 0.6}), scored), [1.0] * len(ZONES)
    plain, source = make_maps(128, scored, plan, gains)
    gains[ZONES.index("forehead")] = 2.0
    doubled, _ = make_maps(128, scored, plan, gains)
    np.testing.assert_allclose(doubled - source, 2 * (plain - source), atol=1e-5)


def test_a_plan_for_the_present_face_changes_nothing(engine: AmganEngine, face: Face, scored: Reading) -> None:
    for plan in (Plan(age=scored.age_years), Plan(age=75, strength=0)):
        np.testing.assert_array_equal(age(engine, face, scored, plan), face.crop)


def test_zones_are_steered_through_the_map(engine: AmganEngine, face: Face, scored: Reading) -> None:
    masks = zone_masks(face)
    for zone in ("nasolabial.left", "forehead"):
        aged = age(engine, face, scored, Plan(zones={zone: 1.0}))
        change = np.abs(aged.astype(int) - face.crop).mean(-1)
        far = np.max([masks[other] for other in ZONES if other.split(".")[0] != zone.split(".")[0]], axis=0) > 0.9
        assert change[masks[zone] > 0.9].mean() > 3 * change[far].mean()


def test_the_change_grows_with_the_strength(engine: AmganEngine, face: Face, scored: Reading) -> None:
    weak, normal, strong = (
        float(np.abs(age(engine, face, scored, Plan(age=75, strength=share)) - face.crop.astype(int)).mean())
        for share in (0.5, 1.0, 1.5)
    )
    assert weak < normal < strong


def test_a_photo_without_colour_gets_none(engine: AmganEngine, face: Face, scored: Reading) -> None:
    grey = replace(face, crop=np.repeat(face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8))
    aged = age(engine, grey, scored, Plan(age=80))
    assert np.ptp(aged, -1).max() <= 1
    assert (aged != grey.crop).mean() > 0.1


def test_older_skin_gets_lines_and_younger_skin_loses_folds() -> None:
    rows = np.arange(256, dtype=np.float32)
    lines, folds, shade = (
        np.broadcast_to(0.05 * np.sign(np.sin(np.pi * (rows + 0.5) / px)), (256, 256)) for px in (1, 8, 64)
    )
    inner, everywhere = np.s_[32:-32, 32:-32], np.ones((256, 256), np.float32)
    older = keep_lines(lines + folds + shade, everywhere, 1.4)[inner]
    assert np.corrcoef(older.ravel(), lines[inner].ravel())[0, 1] > 0.9
    assert np.abs(older).mean() == pytest.approx(0.07, rel=0.15)
    younger = keep_lines(lines + folds + shade, -everywhere, 1.4)[inner]
    assert np.corrcoef(younger.ravel(), (lines + folds)[inner].ravel())[0, 1] > 0.9
    assert np.abs(keep_lines(40 * lines, everywhere, 1.0)).max() < 0.61
    assert keep_lines(40 * lines, everywhere, 1.0).max() < 0.31


@pytest.mark.parametrize(("plane_px", "side"), [(100, NET_PX[0]), (301, 288), (4000, NET_PX[1])])
def test_the_net_sees_the_face_as_large_as_it_is(plane_px: int, side: int) -> None:
    assert net_side(plane_px) == side
    assert net_side(plane_px) % 32 == 0


@torch.inference_mode()
@pytest.mark.parametrize("years", [25.0, 80.0])
def test_the_change_is_that_of_the_generator_that_was_trained(
    engine: AmganEngine, face: Face, scored: Reading, years: float
) -> None:
    net, plan = load_generator(), complete(Plan(age=years), scored)
    view = view_photo(face, scored.masculinity)
    side = net_side(len(view.levels))
    maps = make_maps(side, scored, plan, net.config.zone_gains)
    usable = np.clip(geometry.resize(view.usable, side, side), 0, 1)
    planes = torch.from_numpy(2 * np.concatenate([maps * usable, make_location_gradients(side)]) - 1)[None].float()
    change, attention = net.predict_change(to_net(geometry.resize(view.levels, side, side)), planes)
    rise = np.sign(maps[0] - maps[1])
    expected = keep_lines((change * attention)[0].permute(1, 2, 0).numpy() @ LUMINANCE, rise, net.config.older_gain)
    assert isinstance(engine, SteadyEngine)
    found = geometry.resize(engine._change_lines(view, scored, plan)[..., 0], side, side)
    inside = usable > 0.99
    assert np.abs(expected[inside]).max() > 0.05
    assert np.abs(found - expected)[inside].mean() < 0.25 * np.abs(expected[inside]).mean()


def test_zones_of_maps_are_those_of_skin() -> None:
    assert PATCHES[: len(ZONES)] == ZONES
    assert patch_map(np.ones(len(PATCHES)), 32).min() > 0.99
