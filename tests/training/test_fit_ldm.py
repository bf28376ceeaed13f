"""A base that learns from pictures, and LDLA that learns on it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.faces.patches import CLASSES, FACE, ZONE_PATCHES
from reage.nets.diffusion import DiffusionBase, build_base, tiny
from reage.nets.score_net import build_score_net, tiny_score_net
from reage.nets.tokens import build_tokenizer
from reage.prompts import NEUTRAL, all_prompts
from reage.training.diffusion.autoencoder import AutoencoderTrainingConfig, measure_deviation, train_autoencoder
from reage.training.diffusion.dataset import KINDS, SKIN, CropDataset
from reage.training.diffusion.denoiser import DenoiserTrainingConfig, draw_mixed, split_rows, train_denoiser
from reage.training.diffusion.latents import Latents, add_noise, caption, encode_crops, predict_x0, zone_rows
from reage.training.draw import FROM_NOISE, draw_faces
from reage.training.ldla.dataset import PairedLatents, encode_pairs, sample_pairs
from reage.training.ldla.pretrain import IN_USE, PretrainConfig, draw_pretrain_batch, noise_between, pretrain
from reage.training.ldla.train import (
    Ldla,
    LdlaLossWeights,
    LdlaTrainingConfig,
    describe,
    draw_order,
    train_ldla,
    trained_tensors,
)
from reage.training.stored import save_arrays
from reage.training.trainer import TrainerConfig
from reage.types import Face
from reage.zones import ZONES

STEPS = TrainerConfig(steps=3, batch=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, half=False)
RECIPE = LdlaTrainingConfig(
    schedule=STEPS,
    reading=STEPS,
    pairing=(PretrainConfig(schedule=STEPS),),
    honest_batch=4,
    weights=LdlaLossWeights(score=1.0, cycle=1.0),
)


@pytest.fixture(scope="module")
def album(face: Face) -> CropDataset:
    """A face and its mirror image, every zone of which has a score of its own."""
    scores = np.linspace(0.05, 0.95, len(ZONES), dtype=np.float32)
    scores = np.stack([scores, scores[::-1]])
    scores[1, 0] = np.nan
    mirrored = face.to_crop(face.landmarks)[[3, 2, 1, 0, 4]] * [-1, 1] + [len(face.crop) - 1, 0]
    return CropDataset(
        crops=np.stack([face.crop, face.crop[:, ::-1]]),
        landmarks=np.stack([face.to_crop(face.landmarks), mirrored]).astype(np.float32),
        years=np.array([30.0, 70.0], np.float32),
        scores=scores,
    )


@pytest.fixture
def base() -> DiffusionBase:
    torch.manual_seed(0)
    return build_base(tiny(), build_tokenizer(all_prompts()), "ldm-tiny")


@pytest.fixture(scope="module")
def latents(album: CropDataset) -> Latents:
    torch.manual_seed(0)
    return encode_crops(build_base(tiny(), build_tokenizer(all_prompts())), album, 1)


def state_of(net: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: torch.nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return any(not torch.equal(value, before[name]) for name, value in net.state_dict().items())


def num_hidden(album: CropDataset) -> int:
    """Squares of zones that show no skin."""
    return sum(
        len(CLASSES[zone]) for zone, column in zip(ZONES, album.scores.T, strict=True) for _ in column[np.isnan(column)]
    )


def test_autoencoder_learns_and_its_latents_are_scaled(base: DiffusionBase, album: CropDataset) -> None:
    told: list[float] = []
    recipe = AutoencoderTrainingConfig(schedule=replace(STEPS, steps=12), rate=3e-3, num_measured=8)
    train_autoencoder(recipe, base, album, watch=lambda step, losses: told.append(losses["autoencoder"]))
    assert len(told) == 12
    assert np.mean(told[-3:]) < 0.9 * np.mean(told[:3])
    assert measure_deviation(base.vae, recipe, album) * base.vae.config.scaling_factor == pytest.approx(1.0)


def test_latents_are_those_of_pictures_that_show_something(latents: Latents, album: CropDataset) -> None:
    assert len(latents) == 2 * len(KINDS) - num_hidden(album)
    zones = zone_rows(latents)
    assert not np.isnan(latents.scores[zones]).any()
    assert set(latents.kinds.tolist()) == set(range(len(KINDS)))
    assert set(latents.years.tolist()) == {30.0, 70.0}


def test_captions_say_what_a_picture_shows() -> None:
    forehead, face, skin = KINDS.index(CLASSES["forehead"][1]), KINDS.index(FACE), KINDS.index(SKIN)
    assert caption(forehead, 0.4, 50, 0.4) == "photo of the face of a person with forehead wrinkle score 40"
    assert caption(forehead, 0.4, 50, 0.6) == "close-up photo of the forehead, wrinkle score 40"
    assert caption(face, np.nan, 71.2, 0.6) == "photo of the face of a 71 year old person"
    assert caption(face, np.nan, 71.2, 0.2) == "A photo of a old"
    assert (
        caption(face, np.nan, 71.2, 0.3) == caption(face, np.nan, 71.2, 0.6, labels=0.9) == "photo of a person as old"
    )
    assert caption(skin, np.nan, 71.2, 0.6) == NEUTRAL


def test_denoiser_learns_with_its_texts(base: DiffusionBase, latents: Latents) -> None:
    unet, text = state_of(base.unet), state_of(base.text_encoder)
    told: list[float] = []
    recipe = DenoiserTrainingConfig(schedule=replace(STEPS, steps=12), rate=2e-3)
    train_denoiser(recipe, base, latents, watch=lambda step, losses: told.append(losses["denoiser"]))
    assert np.mean(told[-3:]) < np.mean(told[:3])
    assert changed(base.unet, unet)
    assert changed(base.text_encoder, text)
    text = state_of(base.text_encoder)
    train_denoiser(replace(recipe, text=False), base, latents)
    assert not changed(base.text_encoder, text)


def test_batches_keep_the_shares_of_zones_faces_and_skin(latents: Latents) -> None:
    recipe = DenoiserTrainingConfig(schedule=replace(STEPS, batch=400), shares=(0.7, 0.2, 0.1))
    batch = draw_mixed(latents, split_rows(latents), recipe, torch.Generator().manual_seed(0))
    assert len(batch.values) == 400
    nums = [(batch.kinds < len(ZONE_PATCHES)), batch.kinds == KINDS.index(FACE), batch.kinds == KINDS.index(SKIN)]
    assert [float(num.float().mean()) for num in nums] == pytest.approx(recipe.shares, abs=0.08)
    assert batch.scores.isnan().sum() == (batch.kinds >= len(ZONE_PATCHES)).sum()


def test_faces_of_rare_labels_are_drawn_as_often_as_others(album: CropDataset, base: DiffusionBase) -> None:
    years = np.array([30.0, *[70.0] * 4], np.float32)
    many = replace(album, **{name: getattr(album, name)[[0, 1, 1, 1, 1]] for name in ("crops", "landmarks", "scores")})
    latents = encode_crops(base, replace(many, years=years), 1, faces=2)
    drawn = {evenly: latents.years[split_rows(latents, evenly)[1]] for evenly in (False, True)}
    assert [(drawn[False] == age).sum() for age in (30, 70)] == [3, 12]
    assert [(drawn[True] == age).sum() for age in (30, 70)] == [12, 12]


def test_a_base_draws_by_itself(base: DiffusionBase) -> None:
    quick = replace(FROM_NOISE, steps=2)
    sheet = draw_faces(base, ["A photo of a child", "A photo of a old"], 3, config=quick)
    side = base.picture_px
    assert sheet.shape == (2 * side, 3 * side, 3)
    np.testing.assert_array_equal(draw_faces(base, ["A photo of a child", "A photo of a old"], 3, config=quick), sheet)
    assert (draw_faces(base, ["A photo of a child"], 3, seed=1, config=quick) != sheet[:side]).any()


# LDLA


@pytest.fixture(scope="module")
def pairs(album: CropDataset) -> PairedLatents:
    torch.manual_seed(0)
    darker = replace(album, crops=album.crops // 2, scores=album.scores / 2)
    return encode_pairs(build_base(tiny(), build_tokenizer(all_prompts())), [album, darker, album])


def test_versions_show_one_place(pairs: PairedLatents, album: CropDataset) -> None:
    assert len(pairs) == 2 * len(ZONE_PATCHES) - num_hidden(album)
    assert set(pairs.kinds.tolist()) == set(range(len(ZONES)))
    np.testing.assert_array_equal(pairs.values[:, 0], pairs.values[:, 2])
    assert (pairs.values[:, 0] != pairs.values[:, 1]).any((1, 2, 3)).all()
    np.testing.assert_allclose(pairs.scores, pairs.scores[:, :1] * [1, 0.5, 1])


def test_any_two_versions_are_a_pair(pairs: PairedLatents) -> None:
    batch = sample_pairs(pairs, 300, torch.Generator().manual_seed(0))
    for older, share in ((batch.scores > batch.partner_scores, 3 / 8), (batch.scores < batch.partner_scores, 1 / 4)):
        assert older.float().mean() == pytest.approx(share, abs=0.08)
    again = sample_pairs(pairs, 300, torch.Generator().manual_seed(0))
    assert torch.equal(batch.values, again.values)
    assert torch.equal(batch.partners, again.partners)


def test_zones_stay_or_are_turned_into_their_partners(pairs: PairedLatents) -> None:
    generator = torch.Generator().manual_seed(0)
    batch, recipe = sample_pairs(pairs, 400, generator), PretrainConfig(silent=0.2, still=0.3, begun=0.5, clear=0.25)
    draw = draw_pretrain_batch(batch, recipe, generator)
    stays = (draw.wanted == batch.values).flatten(1).all(1)
    begun = ~stays & (draw.shown != batch.values).flatten(1).any(1)
    same = (batch.values == batch.partners).flatten(1).all(1)  # two of the three versions are alike
    assert draw.silent.float().mean() == pytest.approx(recipe.silent, abs=0.07)
    assert (stays & ~same).float().mean() == pytest.approx(0.5 * (~same).float().mean().item(), abs=0.07)
    assert stays[draw.silent].all()
    assert torch.equal(draw.scores[stays & ~same], batch.scores[stays & ~same])
    assert torch.equal(draw.scores[~stays], batch.partner_scores[~stays])
    assert begun[~stays].float().mean() == pytest.approx(recipe.begun, abs=0.1)
    gone, whole = ((one - batch.values)[begun].flatten(1).norm(dim=1) for one in (draw.shown, batch.partners))
    way = gone / whole
    assert 0 < way.min() < 0.2 < 0.8 < way.max() < 1
    assert (draw.noise == 0).flatten(1).all(1).float().mean() == pytest.approx(0.25, abs=0.07)
    first, last = recipe.steps
    assert first <= draw.steps.min() <= draw.steps.max() <= last
    assert (draw.steps < first + (last - first) / 4).float().mean() == pytest.approx(0.5, abs=0.08)


def test_the_noise_that_is_to_be_found_leaves_the_partner() -> None:
    shown, wanted, noise = torch.randn(3, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
    left = torch.tensor([0.99, 0.6])
    noisy = add_noise(shown, noise, left)
    torch.testing.assert_close(predict_x0(noisy, noise_between(noisy, wanted, left), left), wanted)
    torch.testing.assert_close(noise_between(noisy, shown, left), noise, atol=1e-4, rtol=1e-4)


def test_pairs_are_learned(base: DiffusionBase, pairs: PairedLatents) -> None:
    told: list[float] = []
    schedule = replace(STEPS, steps=30, batch=16)
    recipe = PretrainConfig(schedule=schedule, rate=3e-3, steps=(50, 400))
    base.unet.requires_grad_(True)
    pretrain(recipe, base, pairs, 0, None, lambda step, losses: told.append(losses["pair"]))
    assert np.mean(told[-5:]) < 0.9 * np.mean(told[:5])


def take_step(net: Ldla, pairs: PairedLatents, recipe: LdlaTrainingConfig, seed: int = 0) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    batch = sample_pairs(pairs, recipe.schedule.batch, generator)
    real = sample_pairs(pairs, recipe.honest_batch, generator)
    return net(batch, draw_order(batch, recipe, generator), real, recipe)


def make_net(base: DiffusionBase) -> Ldla:
    base.unet.requires_grad_(True)
    net = Ldla(base, build_score_net(tiny_score_net(base.latent_channels)))
    net.num_steps.fill_(100)  # the quiet start is over
    return net


def reached(part: torch.nn.Module) -> bool:
    return any(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in part.parameters())


@pytest.mark.parametrize("name", ["zone", "full", "score", "cycle", "pair"])
def test_each_loss_reaches_the_denoiser_alone(name: str, base: DiffusionBase, pairs: PairedLatents) -> None:
    only = LdlaLossWeights(**{one: float(one == name) for one in ("zone", "full", "score", "cycle", "pair")})
    if name in ("score", "cycle", "pair"):
        only = replace(only, zone=1e-9)  # its estimate is what the score net learns from
    net = make_net(base)
    loss = take_step(net, pairs, replace(RECIPE, weights=only))
    (loss - 0.0).backward()
    assert reached(net.unet)
    assert reached(net.score_net)
    assert net.seen[name] > 0
    assert not reached(base.text_encoder)
    assert not reached(base.vae)


def test_the_score_net_learns_from_pictures_alone(base: DiffusionBase, pairs: PairedLatents) -> None:
    """What the denoiser is told about scores leaves the net that reads them as it is."""
    grads = []
    for weight in (0.0, 50.0):
        net = make_net(base)
        torch.manual_seed(1)
        for module in net.score_net.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        recipe = replace(RECIPE, weights=LdlaLossWeights(score=weight, cycle=0.0, pair=weight))
        take_step(net, pairs, recipe).backward()
        grads.append(
            torch.cat([weight.grad.flatten() for weight in net.score_net.parameters() if weight.grad is not None])
        )
    torch.testing.assert_close(*grads)


def test_score_and_cycle_begin_quietly(base: DiffusionBase, pairs: PairedLatents) -> None:
    net, recipe = (
        make_net(base),
        replace(RECIPE, weights=LdlaLossWeights(zone=1e-9, full=0.0, score=1.0, cycle=1.0, pair=0.0)),
    )
    recipe = replace(recipe, schedule=replace(STEPS, steps=1000))
    net.num_steps.fill_(0)
    first = take_step(net, pairs, recipe)
    assert first.item() == pytest.approx(net.seen["honest"], abs=1e-6)
    net.num_steps.fill_(900)
    assert take_step(net, pairs, recipe).item() > net.seen["honest"] + 0.5 * net.seen["cycle"]


def test_targets_are_those_of_the_pair_near_or_anywhere(pairs: PairedLatents) -> None:
    generator = torch.Generator().manual_seed(0)
    batch = sample_pairs(pairs, 500, generator)
    draw = draw_order(batch, RECIPE, generator)
    assert draw.paired.float().mean() == pytest.approx(RECIPE.paired, abs=0.07)
    assert torch.equal(draw.targets[draw.paired], batch.partner_scores[draw.paired])
    free = ~draw.paired
    assert 0 <= draw.targets[free].min() <= draw.targets[free].max() <= 1
    assert ((draw.targets - batch.scores).abs() <= RECIPE.reach)[free].float().mean() > 0.5
    assert RECIPE.steps[0] <= draw.steps.min() <= draw.steps.max() <= RECIPE.steps[1]


@pytest.mark.parametrize("rank", [0, 2])
def test_training_changes_the_denoiser_and_nothing_else_of_the_base(
    rank: int, base: DiffusionBase, pairs: PairedLatents
) -> None:
    text, vae = state_of(base.text_encoder), state_of(base.vae)
    recipe = replace(RECIPE, lora_rank=rank)
    told: list[dict[str, float]] = []
    train_ldla(recipe, base, pairs, watch=lambda step, losses: told.append(dict(losses)))
    first, later = {"pair", "loss"}, {"zone", "full", "score", "cycle", "pair", "honest", "loss"}
    assert [set(one) for one in told] == [first] * 3 + [later] * 3
    assert not changed(base.text_encoder, text)
    assert not changed(base.vae, vae)
    tensors = trained_tensors(base, recipe)
    assert all("lora_" in name for name in tensors) == bool(rank)
    assert describe(recipe, base)["base"] == "ldm-tiny"


@pytest.mark.parametrize("stopped", [2, 6, 10])
def test_a_stopped_run_goes_on_where_it_was(
    stopped: int, album: CropDataset, pairs: PairedLatents, tmp_path: Path
) -> None:
    def run(stop_at: int | None, checkpoint: Path | None) -> dict[str, torch.Tensor]:
        torch.manual_seed(0)
        base = build_base(tiny(), build_tokenizer(all_prompts()))

        def watch(step: int, losses: object) -> None:
            if step == stop_at:
                raise KeyboardInterrupt

        often = replace(STEPS, steps=4, checkpoint_seconds=0.0)
        pairing = (PretrainConfig(schedule=often), replace(IN_USE, schedule=often))
        recipe = replace(RECIPE, schedule=often, pairing=pairing)
        if stop_at:
            with pytest.raises(KeyboardInterrupt):
                train_ldla(recipe, base, pairs, checkpoint, watch)
        else:
            train_ldla(recipe, base, pairs, checkpoint, watch)
        return state_of(base.unet)

    run(stopped, tmp_path / "run.checkpoint")
    resumed = run(None, tmp_path / "run.checkpoint")
    straight = run(None, None)
    assert all(torch.equal(value, straight[name]) for name, value in resumed.items())


LAUNCHED = """
import sys
from pathlib import Path

import torch

from reage.nets.diffusion import build_base, tiny
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.ldla.train import LdlaTrainingConfig, LdlaLossWeights, train_ldla
from reage.training.trainer import TrainerConfig, process_state
from reage.training.ldla.pretrain import PretrainConfig
from reage.training.ldla.dataset import PairedLatents
from reage.training.stored import load_arrays

torch.set_num_threads(1)
torch.manual_seed(0)
base = build_base(tiny(), build_tokenizer(all_prompts()))
steps = TrainerConfig(steps=3, batch=4, weight_decay=0.0, half=False)
weights = LdlaLossWeights(cycle=1.0)
pairing = (PretrainConfig(schedule=steps),)
recipe = LdlaTrainingConfig(schedule=steps, reading=steps, pairing=pairing, honest_batch=4, weights=weights, quiet=0.1)
losses = []
pairs = load_arrays(Path(sys.argv[1]), PairedLatents)
net = train_ldla(recipe, base, pairs, watch=lambda step, seen: losses.append(seen["loss"]))
if process_state().is_main_process:
    print(process_state().num_processes, *losses, sum(weight.abs().sum().item() for weight in net.unet.parameters()))
"""


def test_two_processes_train_as_one(pairs: PairedLatents, tmp_path: Path, check_two_train_as_one: Callable) -> None:
    save_arrays(tmp_path / "pairs.npz", pairs)
    check_two_train_as_one(LAUNCHED, tmp_path / "pairs.npz")
