"""LDLA's engine on a tiny base with random weights: what holds whatever a base has learned."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.view import view_photo
from reage.engines.ldla import BASE_ONLY, ChangeScaleConfig, LdlaConfig, LdlaEngine, SamplingConfig
from reage.engines.ldla.redraw import PatchEdit
from reage.errors import EngineError, WeightsError
from reage.faces.geometry import zone_masks
from reage.faces.zone_scorer import ZoneScorer
from reage.images import geometry
from reage.nets.diffusion import DiffusionBase, load_base, save_base
from reage.nets.lora import add_lora
from reage.training.ldla.train import LdlaTrainingConfig, describe, trained_tensors
from reage.types import CompletePlan, Face, Reading
from reage.weights import save_weights
from reage.zones import ZONES

QUICK = SamplingConfig(noise_strength=0.1, num_inference_steps=2, added_noise=1.0)
CONFIG = LdlaConfig(zones=QUICK, change_scale=None)
REFINED = replace(CONFIG, refiner=replace(QUICK, noise_strength=0.1))
READING = Reading(age_years=40.0, age_std_years=4.0, masculinity=0.5, zones=dict.fromkeys(ZONES, 0.4))


@pytest.fixture(scope="module")
def folder(save_tiny_base: Callable[..., Path]) -> Path:
    """A tiny base on the disk."""
    return save_tiny_base(gain=1.5)  # so that prompts differ by more than rounding


@pytest.fixture(scope="module")
def base(folder: Path) -> DiffusionBase:
    return load_base(folder)


@pytest.fixture(scope="module")
def small_face(face: Face, cut_face: Callable[..., Face]) -> Face:
    """The demo face in a crop of 192 px."""
    eyes = face.landmarks[:4].mean(0)
    return cut_face(face.crop, tuple(face.to_crop(eyes[None])[0]), len(face.crop) / 4.2, side_px=192)


def engine_on(base: DiffusionBase, config: LdlaConfig = CONFIG, gain: float = 1.0) -> LdlaEngine:
    """An engine whose decoder multiplies what it draws by `gain`."""
    base = deepcopy(base)
    base.vae.decoder.conv_out.weight.data *= gain
    return LdlaEngine(base, "0" * 12, ExemplarEngine.load(), config)


def plan_for(**zones: float) -> CompletePlan:
    scores = {name.replace("__", "."): score for name, score in zones.items()}
    return CompletePlan(age=40.0, age_from=40.0, zones=scores)


@pytest.mark.parametrize("config", [CONFIG, REFINED])
def test_only_the_zones_that_were_asked_for_change(config: LdlaConfig, base: DiffusionBase, small_face: Face) -> None:
    aged = engine_on(base, config, gain=30.0).render(small_face, READING, plan_for(forehead=1.0, crows_feet__left=0.9))
    change = np.abs(aged.crop.astype(int) - small_face.crop).max(-1)
    masks = zone_masks(small_face)
    asked = np.maximum(masks["forehead"], masks["crows_feet.left"])
    assert (change[masks["forehead"] > 0.9] > 0).mean() > 0.2
    assert (change[masks["crows_feet.left"] > 0.9] > 0).mean() > 0.2
    assert not change[geometry.grow((asked > 0).astype(np.float32), 12.0) == 0].any()


@pytest.mark.parametrize("score", [0.4, 0.42, 0.375])
def test_a_score_that_is_there_changes_nothing(score: float, base: DiffusionBase, small_face: Face) -> None:
    aged = engine_on(base).render(small_face, READING, plan_for(all=score))
    np.testing.assert_array_equal(aged.crop, small_face.crop)


def test_scores_with_the_same_prompt_change_nothing(base: DiffusionBase, small_face: Face) -> None:
    """The lines are the difference of two prompts, so the effect of noise alone is not in them."""
    engine, view = engine_on(base, gain=30.0), view_photo(small_face, READING.masculinity)
    same, other = (engine.draw_lines(view, [PatchEdit("glabella", 0.404, target)], seed=0) for target in (0.396, 0.9))
    assert not same.any()
    assert np.abs(other).max() > 0.05


def test_a_zone_does_not_depend_on_those_beside_it(base: DiffusionBase, small_face: Face) -> None:
    alone = engine_on(base, gain=30.0).render(small_face, READING, plan_for(forehead=1.0)).crop.astype(int)
    together = (
        engine_on(base, gain=30.0).render(small_face, READING, plan_for(forehead=1.0, upper_lip=0.0)).crop.astype(int)
    )
    lip = zone_masks(small_face)["upper_lip"] > 0
    near_lip = geometry.grow(lip.astype(np.float32), 12.0) > 0
    assert np.abs(alone - together)[~near_lip].max() <= 1  # a batch of another size rounds differently
    assert np.abs(alone - together)[lip].max() > 1


def test_the_seed_decides_on_the_noise(base: DiffusionBase, small_face: Face) -> None:
    plan = plan_for(all=0.9)
    engine = engine_on(base, gain=30.0)
    first, again = (engine.render(small_face, READING, plan).crop for _ in range(2))
    other = engine.render(small_face, READING, replace(plan, seed=1)).crop
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_without_added_noise_the_seed_does_not_matter(base: DiffusionBase, small_face: Face) -> None:
    engine, plan = engine_on(base, gain=30.0), plan_for(all=0.9)
    engine.config = replace(CONFIG, zones=replace(QUICK, added_noise=0.0))
    first, other = (engine.render(small_face, READING, replace(plan, seed=seed)).crop for seed in (0, 1))
    np.testing.assert_array_equal(first, other)
    assert (first != small_face.crop).any()


def test_grey_stays_grey(base: DiffusionBase, small_face: Face) -> None:
    grey = replace(small_face, crop=np.repeat(small_face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8))
    aged = engine_on(base, gain=30.0).render(grey, READING, plan_for(all=0.9)).crop.astype(int)
    assert np.ptp(aged, axis=-1).max() == 0
    assert (aged != grey.crop).any()


# Scales of the change


def test_scaled_changes_come_nearer_to_the_target_scores(face: Face) -> None:
    """With the shipped weights, by the scorer that chooses the scales."""
    engine, scorer = LdlaEngine.load(), ZoneScorer.load()
    reading = replace(READING, zones=scorer.measure(face))
    plan = plan_for(glabella=0.6, under_eye=0.6, nasolabial__right=0.2, upper_lip=0.7)
    errors = []
    for config in (LdlaConfig(), LdlaConfig(change_scale=None)):
        engine.config = config
        scores = scorer.measure(replace(face, crop=engine.render(face, reading, plan).crop))
        errors.append(np.mean([abs(scores[zone] - target) for zone, target in plan.zones.items()]))
    assert errors[0] < 0.16
    assert errors[0] < errors[1] - 0.01


def test_an_age_draws_the_lines_of_all_zones_and_moves_the_face(base: DiffusionBase, small_face: Face) -> None:
    """Light, shape and hair, and the lines beyond the zones, come from `exemplar`."""
    plan = CompletePlan(age=75.0, age_from=40.0, zones={})
    aged, exemplar = (
        engine.render(small_face, READING, plan) for engine in (engine_on(base, gain=30.0), ExemplarEngine.load())
    )
    assert aged.shift is not None
    np.testing.assert_array_equal(aged.shift, exemplar.shift)
    of_skin, of_exemplar = (one.gains[0].log_ratio for one in (aged, exemplar))
    assert np.abs(of_skin - of_exemplar).max() > 0.05


def test_a_change_is_made_for_all_frames_of_a_video(base: DiffusionBase, small_face: Face) -> None:
    engine = engine_on(base, gain=30.0)
    change = engine.make_change(small_face, READING, plan_for(forehead=0.9))
    assert change.hair.light is not None
    assert np.abs(change.skin).max() > 0.01


def test_the_change_of_a_zone_without_a_score_is_not_scaled(base: DiffusionBase, small_face: Face) -> None:
    hidden, plan = replace(READING, zones={}), plan_for(forehead=0.9)
    made = [
        engine_on(base, replace(CONFIG, change_scale=config), gain=30.0).render(small_face, hidden, plan).crop
        for config in (None, ChangeScaleConfig())
    ]
    np.testing.assert_array_equal(*made)
    assert (made[0] != small_face.crop).any()


# Weights


@pytest.mark.parametrize("rank", [0, 2])
def test_weights_go_into_the_base_they_name(rank: int, folder: Path, small_face: Face, tmp_path: Path) -> None:
    trained, config = load_base(folder), LdlaTrainingConfig(lora_rank=rank)
    if rank:
        add_lora(trained, rank)
    torch.manual_seed(1)
    for name, weight in trained.unet.named_parameters():
        if not rank or "lora_B" in name:
            weight.data.add_(0.05 * torch.randn_like(weight))
    path = tmp_path / "mine.safetensors"
    save_weights(path, trained_tensors(trained, config), describe(config, trained), fp16=False)
    loaded = LdlaEngine.load(path, config=CONFIG)
    made = loaded.render(small_face, READING, plan_for(forehead=0.9))
    wanted = LdlaEngine(trained, "", ExemplarEngine.load(), CONFIG).render(small_face, READING, plan_for(forehead=0.9))
    np.testing.assert_array_equal(made.crop, wanted.crop)
    assert len(loaded.weights_hash) == 12


def test_a_base_works_without_weights(folder: Path, small_face: Face) -> None:
    engine = LdlaEngine.load(base=folder, config=CONFIG)
    assert len(engine.weights_hash) == 12
    assert engine.render(small_face, READING, plan_for(forehead=0.9)).crop.shape == small_face.crop.shape
    assert LdlaEngine.load(base=folder).config.zones == BASE_ONLY


def test_weights_that_do_not_fit_are_refused_in_a_sentence(folder: Path, base: DiffusionBase, tmp_path: Path) -> None:
    path = tmp_path / "other.safetensors"
    save_weights(path, {"conv_in.weight": torch.zeros(3)}, describe(LdlaTrainingConfig(), base))
    with pytest.raises(WeightsError, match="not made for LDLA"):
        LdlaEngine.load(path)
    lost = describe(LdlaTrainingConfig(), base) | {"base": "ldm-lost"}
    save_weights(path, {"conv_in.weight": torch.zeros(3)}, lost)
    with pytest.raises(WeightsError, match="ldm-lost"):
        LdlaEngine.load(path)
    with pytest.raises(EngineError, match="weights or a base"):
        LdlaEngine.load(path, base=folder)


def test_a_base_that_has_changed_is_refused(folder: Path, base: DiffusionBase, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    changed = describe(LdlaTrainingConfig(), base) | {"base_hash": "0" * 12}
    save_weights(path, trained_tensors(base, LdlaTrainingConfig()), changed)
    with pytest.raises(WeightsError, match=f"with the weights {'0' * 12}; it now has {base.hash_without_denoiser}"):
        LdlaEngine.load(path)


@pytest.mark.parametrize("rank", [0, 2])
def test_only_lora_needs_the_denoiser_that_it_was_trained_on(rank: int, base: DiffusionBase, tmp_path: Path) -> None:
    place, path = tmp_path / "base", tmp_path / "mine.safetensors"
    save_base(place, base)
    config, trained, later = LdlaTrainingConfig(lora_rank=rank), load_base(place), load_base(place)
    if rank:
        add_lora(trained, rank)
    save_weights(path, trained_tensors(trained, config), describe(config, trained), fp16=False)
    later.unet.conv_in.bias.data += 1
    save_base(place, later)
    if rank:
        with pytest.raises(WeightsError, match=f"it now has {load_base(place).weights_hash}"):
            LdlaEngine.load(path)
    else:
        assert torch.equal(LdlaEngine.load(path).base.unet.conv_in.bias, base.unet.conv_in.bias)


def test_the_shipped_weights_follow_the_target_score(face: Face) -> None:
    """By the scorer that only judges."""
    engine = LdlaEngine.load()
    scorer = ZoneScorer.load("zones-b")
    reading = replace(READING, zones=scorer.measure(face))
    scores = []
    for target in (0.0, 1.0):
        aged = engine.render(face, reading, plan_for(under_eye=target))
        scores.append(scorer.measure(replace(face, crop=aged.crop)))
    assert scores[1]["under_eye.left"] > scores[0]["under_eye.left"] + 0.2
    assert scores[1]["under_eye.right"] > scores[0]["under_eye.right"] + 0.2
    assert scores[1]["upper_lip"] == pytest.approx(scores[0]["upper_lip"], abs=0.05)
