"""Fine-tuning on one person: every loss reaches the nets and can be lowered, and only what is to be trained changes."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor, nn

from reage.errors import ReageError
from reage.nets.diffusion import DiffusionBase, build_base, tiny
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.dreambooth.train import (
    PRESETS,
    Captioned,
    DreamBooth,
    DreamBoothConfig,
    lora_rate,
    train_dreambooth,
)
from reage.training.trainer import TrainerConfig

STEPS = TrainerConfig(steps=3, batch=2, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, half=False)
WHOLE = DreamBoothConfig(schedule=STEPS, rate=1e-3, lora_rank=0)
IDENTITY = ("biometric", "contrastive", "cosine")


@pytest.fixture
def base() -> DiffusionBase:
    torch.manual_seed(0)
    return build_base(tiny(), build_tokenizer(all_prompts()), "ldm-tiny")


@pytest.fixture(scope="module")
def embed() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 16, 5, 4), nn.SiLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return nn.Sequential(*layers).requires_grad_(False)


def draw(base: DiffusionBase, prompt: str, seed: int, num: int = 4) -> Captioned:
    side = base.picture_px // base.factor
    values = torch.randn(num, base.latent_channels, side, side, generator=Generator().manual_seed(seed))
    return Captioned(values, [prompt] * num)


def person_of(base: DiffusionBase) -> Captioned:
    return draw(base, "photo of a sks person", 1)


def others_of(base: DiffusionBase) -> Captioned:
    return draw(base, "A photo of a elderly", 2)


def test_some_of_the_photos_are_called_by_their_age_group(base: DiffusionBase) -> None:
    person = replace(person_of(base), sometimes=["photo of a sks person as old"] * 4)
    drawn = person.draw(400, Generator().manual_seed(0), 0.25).prompts
    assert drawn.count("photo of a sks person as old") / 400 == pytest.approx(0.25, abs=0.06)
    assert set(drawn) == {"photo of a sks person as old", "photo of a sks person"}
    assert set(person.draw(40, Generator().manual_seed(0)).prompts) == {"photo of a sks person"}
    assert set(person_of(base).draw(40, Generator().manual_seed(0), 1.0).prompts) == {"photo of a sks person"}
    assert [PRESETS[name].labelled > 0 for name in ("default", "tbiom-cosine")] == [True, False]


def test_a_small_base_learns_faster_by_lora(base: DiffusionBase) -> None:
    large = replace(base, unet=nn.Linear(10_000, 6_000, device="meta"))
    assert lora_rate(base) == 10 * lora_rate(large) == 10 * PRESETS["default"].rate


def state_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("identity", IDENTITY)
def test_each_loss_on_identity_reaches_both_nets_and_is_not_constant(
    identity: str, base: DiffusionBase, embed: nn.Module
) -> None:
    base.unet.requires_grad_(True)
    base.text_encoder.requires_grad_(True)
    net = DreamBooth(base, replace(WHOLE, identity=identity, identity_weight=1.0, prior_weight=0.0), embed)
    person, values = Captioned(person_of(base).values[:2], person_of(base).prompts[:2]), []
    for seed in range(2):
        noise = torch.randn(person.values.shape, generator=Generator().manual_seed(seed))
        net(person, None, torch.tensor([100, 300]), noise)
        values.append(net.seen["identity"])
    assert values[0] != values[1]
    found = torch.randn(person.values.shape, generator=Generator().manual_seed(9)).requires_grad_(True)
    loss = net._identity_loss(person.values, person.values, found, noise, torch.tensor([100, 300]))
    assert torch.autograd.grad(loss, found)[0].abs().max() > 0
    noisy, steps = person.values, torch.tensor([100, 300])
    made = net._find_noise(noisy, steps, person.prompts)
    net._identity_loss(person.values, noisy, made, noise, steps).backward()
    for part in (base.unet, base.text_encoder):
        assert max(float(weight.grad.abs().max()) for weight in part.parameters() if weight.grad is not None) > 0


@pytest.mark.parametrize("identity", IDENTITY)
def test_each_loss_on_identity_falls(identity: str, base: DiffusionBase, embed: nn.Module) -> None:
    recipe = replace(WHOLE, identity=identity, identity_weight=10.0, prior_weight=0.0, visible_below=999)
    recipe = replace(recipe, schedule=replace(STEPS, steps=40), rate=3e-3)
    person = person_of(base)

    @torch.no_grad()
    def measure() -> float:
        net = DreamBooth(base, recipe, embed)
        noise = torch.randn(person.values.shape, generator=Generator().manual_seed(5))
        net(person, None, torch.tensor([200, 400, 600, 800]), noise)
        return net.seen["identity"]

    before = measure()
    train_dreambooth(recipe, base, person, None, embed)
    assert measure() < 0.95 * before


def test_biometric_does_not_look_where_nothing_can_be_seen(base: DiffusionBase, embed: nn.Module) -> None:
    net = DreamBooth(base, replace(WHOLE, identity="biometric"), embed)
    person = person_of(base)
    with torch.no_grad():
        net(person, None, torch.full((4,), 401), torch.randn(person.values.shape))
    assert net.seen["identity"] == 0


def test_the_others_count_by_their_weight(base: DiffusionBase) -> None:
    told: list[dict[str, float]] = []
    recipe = replace(WHOLE, identity="none", prior_weight=0.5, rate=0.0)
    train_dreambooth(recipe, base, person_of(base), others_of(base), watch=lambda step, seen: told.append(dict(seen)))
    assert set(told[0]) == {"person", "others", "loss"}
    assert told[0]["loss"] == pytest.approx(told[0]["person"] + 0.5 * told[0]["others"], rel=1e-5)
    train_dreambooth(
        replace(recipe, prior_weight=0.0),
        base,
        person_of(base),
        others_of(base),
        watch=lambda s, x: told.append(dict(x)),
    )
    assert set(told[-1]) == {"person", "loss"}


def test_whole_nets_change_and_the_autoencoder_does_not(base: DiffusionBase) -> None:
    before = [state_of(part) for part in (base.vae, base.unet, base.text_encoder)]
    train_dreambooth(WHOLE, base, person_of(base), others_of(base))
    assert not changed(base.vae, before[0])
    assert changed(base.unet, before[1])
    assert changed(base.text_encoder, before[2])
    assert not any(weight.requires_grad for weight in base.unet.parameters())


def test_lora_leaves_the_base_as_it_is_and_adds_to_both_nets(base: DiffusionBase) -> None:
    before = [state_of(part) for part in (base.unet, base.text_encoder)]
    train_dreambooth(replace(WHOLE, lora_rank=2), base, person_of(base), others_of(base))
    for part, old in zip((base.unet, base.text_encoder), before, strict=True):
        now = part.state_dict()
        added = {name: value for name, value in now.items() if "lora_" in name}
        assert max(float(value.abs().max()) for name, value in added.items() if "lora_B" in name) > 0
        kept = {name.replace(".base_layer", ""): value for name, value in now.items() if "lora_" not in name}
        assert set(kept) == set(old)
        assert all(torch.equal(kept[name], value) for name, value in old.items())


def test_contrastive_needs_two_photos_a_step(base: DiffusionBase) -> None:
    recipe = replace(WHOLE, identity="contrastive", schedule=replace(STEPS, batch=1))
    with pytest.raises(ReageError, match="at least 2"):
        train_dreambooth(recipe, base, person_of(base), others_of(base))


def test_presets_are_the_published_settings() -> None:
    published = {name: recipe for name, recipe in PRESETS.items() if name != "default"}
    assert {recipe.identity for recipe in published.values()} == set(IDENTITY)
    assert all(
        (r.rate, r.lora_rank, r.schedule.steps, r.identity_weight) == (1e-6, 0, 800, 0.1) for r in published.values()
    )
