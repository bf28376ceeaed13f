"""LDLA's engine on a tiny base with random weights: what holds whatever a base has learned."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.engines.ldla import UNTAUGHT, ChangeScaleConfig, LdlaConfig, LdlaEngine, SamplingConfig
from reage.engines.ldla.change_scale import find_change_scales
from reage.errors import EngineError, WeightsError
from reage.faces.geometry import zone_masks
from reage.faces.zone_scorer import ZoneScorer
from reage.nets.diffusion import DiffusionBase, load_base, save_base
from reage.nets.sampling import denoise, draw_noise
from reage.training.ldla.train import LdlaTrainingConfig, add_lora, describe, trained_tensors
from reage.types import Face, Plan, Reading
from reage.weights import save_weights
from reage.zones import ZONES

QUICK = SamplingConfig(noise_strength=0.1, steps=2, grain=1.0)
CONFIG = LdlaConfig(zones=QUICK, dose=None)
BLENDED = replace(CONFIG, refiner=replace(QUICK, noise_strength=0.1))
READING = Reading(age_years=40.0, age_std_years=4.0, masculinity=0.5, zones=dict.fromkeys(ZONES, 0.4))


@pytest.fixture(scope="module")
def folder(save_tiny_base: Callable[..., Path]) -> Path:
    """A tiny base on the disk."""
    return save_tiny_base(gain=1.5)  # so that a text makes a difference that eight bits show


@pytest.fixture(scope="module")
def base(folder: Path) -> DiffusionBase:
    return load_base(folder)


@pytest.fixture(scope="module")
def small_face(face: Face, cut_face: Callable[..., Face]) -> Face:
    """The demo face in a crop of 192 px."""
    eyes = face.landmarks[:4].mean(0)
    return cut_face(face.crop, tuple(face.to_crop(eyes[None])[0]), len(face.crop) / 4.2, side_px=192)


def engine_on(base: DiffusionBase, config: LdlaConfig = CONFIG, gain: float = 1.0) -> LdlaEngine:
    """An engine that shows `gain` times what its latents show."""
    base = deepcopy(base)
    base.vae.decoder.conv_out.weight.data *= gain
    return LdlaEngine(base, "0" * 12, config)


def order(**zones: float) -> Plan:
    return Plan(age=40.0, age_from=40.0, zones={name.replace("__", "."): score for name, score in zones.items()})


@pytest.mark.parametrize("config", [CONFIG, BLENDED])
def test_only_the_zones_that_were_asked_for_change(config: LdlaConfig, base: DiffusionBase, small_face: Face) -> None:
    aged = engine_on(base, config, gain=30.0).render(small_face, READING, order(forehead=1.0, crows_feet__left=0.9))
    changed = np.abs(aged.crop.astype(int) - small_face.crop).max(-1) > 0
    masks = zone_masks(small_face)
    assert changed[masks["forehead"] > 0.9].mean() > 0.2
    assert changed[masks["crows_feet.left"] > 0.9].mean() > 0.2
    assert not changed[(masks["forehead"] == 0) & (masks["crows_feet.left"] == 0)].any()


@pytest.mark.parametrize("score", [0.4, 0.42, 0.375])
def test_a_score_that_is_there_changes_nothing(score: float, base: DiffusionBase, small_face: Face) -> None:
    aged = engine_on(base).render(small_face, READING, order(all=score))
    np.testing.assert_array_equal(aged.crop, small_face.crop)


def test_a_score_said_with_the_same_number_changes_nothing(base: DiffusionBase, small_face: Face) -> None:
    """The change is between two prompts, so what noise alone would do is not in it."""
    reading = replace(READING, zones=dict.fromkeys(ZONES, 0.404))
    eager = replace(CONFIG, skipped_below=0.0)
    aged = engine_on(base, eager, gain=30.0).render(small_face, reading, order(all=0.396))
    np.testing.assert_array_equal(aged.crop, small_face.crop)


def test_a_zone_does_not_depend_on_those_beside_it(base: DiffusionBase, small_face: Face) -> None:
    alone = engine_on(base, gain=30.0).render(small_face, READING, order(forehead=1.0)).crop.astype(int)
    together = (
        engine_on(base, gain=30.0).render(small_face, READING, order(forehead=1.0, upper_lip=0.0)).crop.astype(int)
    )
    lip = zone_masks(small_face)["upper_lip"] > 0
    assert np.abs(alone - together)[~lip].max() <= 1  # a batch rounds otherwise
    assert np.abs(alone - together)[lip].max() > 1


def test_the_seed_decides_on_the_noise(base: DiffusionBase, small_face: Face) -> None:
    plan = order(all=0.9)
    engine = engine_on(base, gain=30.0)
    first, again = (engine.render(small_face, READING, plan).crop for _ in range(2))
    other = engine.render(small_face, READING, replace(plan, seed=1)).crop
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_without_grain_there_is_no_noise(base: DiffusionBase, small_face: Face) -> None:
    engine, plan = engine_on(base, gain=30.0), order(all=0.9)
    engine.config = replace(CONFIG, zones=replace(QUICK, grain=0.0))
    first, other = (engine.render(small_face, READING, replace(plan, seed=seed)).crop for seed in (0, 1))
    np.testing.assert_array_equal(first, other)
    assert (first != small_face.crop).any()


def test_noise_of_a_place_is_its_own_whatever_else_is_drawn(base: DiffusionBase) -> None:
    noise = draw_noise(base, 3, 12, 8)
    assert noise.shape == (12, base.latent_channels, 8, 8)
    assert len({float(one.sum()) for one in noise}) == 12
    torch.testing.assert_close(draw_noise(base, 3, 12, 8), noise, rtol=0, atol=0)


def test_grey_stays_grey(base: DiffusionBase, small_face: Face) -> None:
    grey = replace(small_face, crop=np.repeat(small_face.crop.mean(-1, keepdims=True), 3, -1).astype(np.uint8))
    aged = engine_on(base, gain=30.0).render(grey, READING, order(all=0.9)).crop.astype(int)
    assert np.ptp(aged, axis=-1).max() == 0
    assert (aged != grey.crop).any()


def test_guidance_steps_and_grain_count(base: DiffusionBase) -> None:
    latents, noise = torch.zeros(1, base.latent_channels, 8, 8), draw_noise(base, 0, 1, 8)
    text, silence = base.embed(["forehead"]), base.embed([""])
    made = [
        denoise(base, latents, noise, text, silence, config)
        for config in (QUICK, replace(QUICK, guidance=1.0), replace(QUICK, steps=4), replace(QUICK, grain=0.5))
    ]
    assert all((one - made[0]).abs().max() > 1e-4 for one in made[1:])


def test_guidance_does_not_overshoot_at_the_last_step(base: DiffusionBase) -> None:
    latents, noise = torch.zeros(1, base.latent_channels, 8, 8), draw_noise(base, 0, 1, 8)
    text, silence = base.embed(["forehead"]), base.embed([""])
    alone = replace(QUICK, steps=1, reach=1.0, guidance=12.0)
    made = [
        denoise(base, latents, noise, text, silence, config)
        for config in (alone, replace(alone, guidance=8.0), replace(alone, guidance=0.5), replace(alone, reach=2.0))
    ]
    torch.testing.assert_close(made[0], made[1])
    assert all((one - made[0]).abs().max() > 1e-4 for one in made[2:])


def test_little_noise_leaves_latents_almost_as_they_are(base: DiffusionBase) -> None:
    latents = torch.randn(1, base.latent_channels, 8, 8, generator=torch.Generator().manual_seed(0))
    text = base.embed(["forehead"])
    faint = SamplingConfig(noise_strength=0.002, steps=2, guidance=1.0, grain=1.0)
    made = denoise(base, latents, draw_noise(base, 0, 1, 8), text, base.embed([""]), faint)
    assert (made - latents).abs().mean() < 0.1


@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("noise_strength", 0.0, "noise strength is 0"),
        ("noise_strength", 1.2, "noise strength is 1.2"),
        ("steps", 0, "0 denoising steps"),
        ("steps", 900, "1 to 20"),
        ("guidance", -1.0, "guidance is -1"),
        ("grain", 1.5, "grain is 1.5"),
        ("reach", 0.0, "reach is 0"),
    ],
)
def test_settings_out_of_range_are_refused(setting: str, value: float, words: str) -> None:
    with pytest.raises(EngineError, match=words):
        SamplingConfig(**{setting: value})  # type: ignore[arg-type]


# Doses


@pytest.mark.parametrize(
    ("asked", "scores", "dose"),
    [
        (0.8, (0.6, 0.7, 0.8), 1.5),  # between two that were looked at
        (0.8, (0.9, 0.7, 0.6), 0.4),  # the least, whatever more of it would do
        (0.8, (0.7, 0.6, 0.6), 0.5),  # nothing reaches it, this comes nearest
        (0.8, (0.5, 0.6, 0.7), 1.0),  # nor does this, and more would only be seen
        (0.7, (0.5, 0.55, 0.6), 1.5),  # half way there are no such lines yet
        (0.1, (0.3, 0.1, 0.0), 1.0),  # a fall
        (0.1, (0.4, 0.3, 0.2), 1.5),  # one that nothing reaches: smoother than skin is does no harm
        (0.1, (0.5, 0.6, 0.7), 0.5),  # the wrong way: the least harm
        (0.4, (0.0, 0.0, 0.0), 0.0),  # it is there
    ],
)
def test_the_least_dose_that_reads_as_asked_is_found(asked: float, scores: tuple[float, ...], dose: float) -> None:
    config, looked = (
        ChangeScaleConfig(tried=(0.5, 1.0, 1.5), tolerance=0.0),
        dict(zip((0.5, 1.0, 1.5), scores, strict=True)),
    )
    found = find_change_scales(
        {"forehead": 0.4}, {"forehead": asked}, lambda tried: {"forehead": looked[tried]}, config
    )
    assert found == {"forehead": pytest.approx(dose)}


def test_no_more_doses_are_looked_at_than_it_takes() -> None:
    looked: list[float] = []

    def read(dose: float) -> dict[str, float]:
        looked.append(dose)
        return {"forehead": 0.4 + 0.4 * dose, "upper_lip": 0.6 - 0.6 * dose}

    config = ChangeScaleConfig(tolerance=0.03)
    found = find_change_scales({"forehead": 0.4, "upper_lip": 0.6}, {"forehead": 0.65, "upper_lip": 0.2}, read, config)
    assert looked == [0.5, 0.75]
    assert found == {"forehead": pytest.approx(0.22 / 0.4), "upper_lip": pytest.approx(0.37 / 0.6)}


def test_a_zone_that_is_no_longer_seen_counts_as_unchanged() -> None:
    found = find_change_scales({"forehead": 0.4}, {"forehead": 0.9}, lambda _: {}, ChangeScaleConfig(tried=(0.5, 1.0)))
    assert found == {"forehead": 0.5}


@pytest.mark.parametrize(("tried", "tolerance"), [((), 0.02), ((0.0, 1.0), 0.02), ((1.0, 0.5), 0.02), ((1.0,), -0.1)])
def test_doses_that_cannot_be_are_refused(tried: tuple[float, ...], tolerance: float) -> None:
    with pytest.raises(EngineError, match=r"The (doses|tolerance)"):
        ChangeScaleConfig(tried=tried, tolerance=tolerance)


def test_with_doses_zones_read_nearer_to_what_was_asked(face: Face) -> None:
    """Of the shipped weights, by the scorer that looks at the doses."""
    engine, scorer = LdlaEngine.load(), ZoneScorer.load()
    reading = replace(READING, zones=scorer.measure(face))
    plan = order(glabella=0.6, under_eye=0.6, nasolabial__right=0.2, upper_lip=0.7)
    missed = []
    for config in (LdlaConfig(), LdlaConfig(dose=None)):
        engine.config = config
        scores = scorer.measure(replace(face, crop=engine.render(face, reading, plan).crop))
        missed.append(np.mean([abs(scores[zone] - asked) for zone, asked in plan.zones.items()]))
    assert missed[0] < 0.08
    assert missed[0] < 0.8 * missed[1]


def test_a_zone_without_a_score_gets_its_change_as_it_was_drawn(base: DiffusionBase, small_face: Face) -> None:
    hidden, plan = replace(READING, zones={}), order(forehead=0.9)
    made = [
        engine_on(base, replace(CONFIG, dose=dose), gain=30.0).render(small_face, hidden, plan).crop
        for dose in (None, ChangeScaleConfig())
    ]
    np.testing.assert_array_equal(*made)
    assert (made[0] != small_face.crop).any()


# Weights


@pytest.mark.parametrize("rank", [0, 2])
def test_weights_go_into_the_base_they_name(rank: int, folder: Path, small_face: Face, tmp_path: Path) -> None:
    trained, recipe = load_base(folder), LdlaTrainingConfig(lora_rank=rank)
    if rank:
        add_lora(trained, rank)
    torch.manual_seed(1)
    for name, weight in trained.unet.named_parameters():
        if not rank or "lora_B" in name:
            weight.data.add_(0.05 * torch.randn_like(weight))
    path = tmp_path / "mine.safetensors"
    save_weights(path, trained_tensors(trained, recipe), describe(recipe, trained), half=False)
    loaded = LdlaEngine.load(path, config=CONFIG)
    made = loaded.render(small_face, READING, order(forehead=0.9))
    wanted = LdlaEngine(trained, "", CONFIG).render(small_face, READING, order(forehead=0.9))
    np.testing.assert_array_equal(made.crop, wanted.crop)
    assert len(loaded.weights_hash) == 12


def test_a_base_works_without_weights(folder: Path, small_face: Face) -> None:
    engine = LdlaEngine.load(base=folder, config=CONFIG)
    assert len(engine.weights_hash) == 12
    assert engine.render(small_face, READING, order(forehead=0.9)).crop.shape == small_face.crop.shape
    assert LdlaEngine.load(base=folder).config.zones == UNTAUGHT


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


def test_a_base_that_is_no_longer_the_same_is_refused(folder: Path, base: DiffusionBase, tmp_path: Path) -> None:
    path = tmp_path / "mine.safetensors"
    changed = describe(LdlaTrainingConfig(), base) | {"base_hash": "0" * 12}
    save_weights(path, trained_tensors(base, LdlaTrainingConfig()), changed)
    with pytest.raises(WeightsError, match=f"with the weights {'0' * 12}; it now has {base.frame_hash}"):
        LdlaEngine.load(path)


@pytest.mark.parametrize("rank", [0, 2])
def test_only_matrices_need_the_denoiser_that_they_were_trained_on(
    rank: int, base: DiffusionBase, tmp_path: Path
) -> None:
    place, path = tmp_path / "base", tmp_path / "mine.safetensors"
    save_base(place, base)
    recipe, trained, later = LdlaTrainingConfig(lora_rank=rank), load_base(place), load_base(place)
    if rank:
        add_lora(trained, rank)
    save_weights(path, trained_tensors(trained, recipe), describe(recipe, trained), half=False)
    later.unet.conv_in.bias.data += 1
    save_base(place, later)
    if rank:
        with pytest.raises(WeightsError, match=f"it now has {load_base(place).weights_hash}"):
            LdlaEngine.load(path)
    else:
        assert torch.equal(LdlaEngine.load(path).base.unet.conv_in.bias, base.unet.conv_in.bias)


def test_the_shipped_weights_move_zones_as_told(face: Face) -> None:
    """By the scorer that judges; in a few steps."""
    engine = LdlaEngine.load()
    scorer = ZoneScorer.load("zones-b")
    reading = replace(READING, zones=scorer.measure(face))
    scores = []
    for wanted in (0.0, 1.0):
        aged = engine.render(face, reading, order(under_eye=wanted))
        scores.append(scorer.measure(replace(face, crop=aged.crop)))
    assert scores[1]["under_eye.left"] > scores[0]["under_eye.left"] + 0.2
    assert scores[1]["under_eye.right"] > scores[0]["under_eye.right"] + 0.2
    assert scores[1]["upper_lip"] == pytest.approx(scores[0]["upper_lip"], abs=0.05)
