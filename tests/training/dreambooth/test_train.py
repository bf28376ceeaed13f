"""DreamBooth training: every loss reaches the nets and can be lowered, and only the trained parts change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
import torch
from torch import Generator, Tensor, nn

from reage.errors import ReageError
from reage.nets.diffusion import DiffusionBase, build_base, tiny
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.dreambooth.dataset import CaptionedLatents
from reage.training.dreambooth.train import (
    PRESETS,
    DreamBooth,
    DreamBoothConfig,
    lora_learning_rate,
    train_dreambooth,
)
from reage.training.trainer import TrainerConfig

TRAINER = TrainerConfig(steps=3, batch_size=2, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, bf16=False)
FULL = DreamBoothConfig(trainer=TRAINER, learning_rate=1e-3, lora_rank=0)
IDENTITY_LOSSES = ("biometric", "contrastive", "cosine")


@pytest.fixture
def base() -> DiffusionBase:
    torch.manual_seed(0)
    return build_base(tiny(), build_tokenizer(all_prompts()), "ldm-tiny")


@pytest.fixture(scope="module")
def identity_encoder() -> nn.Module:
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 16, 5, 4), nn.SiLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten()
    return nn.Sequential(*layers).requires_grad_(False)


def draw_latents(base: DiffusionBase, prompt: str, seed: int, num: int = 4) -> CaptionedLatents:
    side = base.picture_px // base.factor
    values = torch.randn(num, base.latent_channels, side, side, generator=Generator().manual_seed(seed))
    return CaptionedLatents(values, [prompt] * num)


def draw_instance(base: DiffusionBase) -> CaptionedLatents:
    return draw_latents(base, "photo of a sks person", 1)


def draw_prior(base: DiffusionBase) -> CaptionedLatents:
    return draw_latents(base, "A photo of a elderly", 2)


def test_a_small_base_gets_a_higher_learning_rate_for_lora(base: DiffusionBase) -> None:
    large = replace(base, unet=nn.Linear(10_000, 6_000, device="meta"))
    assert lora_learning_rate(base) == 10 * lora_learning_rate(large) == 10 * PRESETS["default"].learning_rate


def state_of(net: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in net.state_dict().items()}


def changed(net: nn.Module, before: dict[str, Tensor]) -> set[str]:
    return {name for name, value in net.state_dict().items() if not torch.equal(value, before[name])}


@pytest.mark.parametrize("identity_loss", IDENTITY_LOSSES)
def test_each_identity_loss_reaches_both_nets_and_is_not_constant(
    identity_loss: str, base: DiffusionBase, identity_encoder: nn.Module
) -> None:
    base.unet.requires_grad_(True)
    base.text_encoder.requires_grad_(True)
    net = DreamBooth(
        base,
        replace(FULL, identity_loss=identity_loss, identity_loss_weight=1.0, prior_loss_weight=0.0),
        identity_encoder,
    )
    instance, values = CaptionedLatents(draw_instance(base).values[:2], draw_instance(base).prompts[:2]), []
    for seed in range(2):
        noise = torch.randn(instance.values.shape, generator=Generator().manual_seed(seed))
        values.append(net(instance, None, torch.tensor([100, 300]), noise).parts["identity"].item())
    assert values[0] != values[1]
    noise_pred = torch.randn(instance.values.shape, generator=Generator().manual_seed(9)).requires_grad_(True)
    loss = net.identity_loss(instance.values, instance.values, noise_pred, noise, torch.tensor([100, 300]))
    assert torch.autograd.grad(loss, noise_pred)[0].abs().max() > 0
    noisy, timesteps = instance.values, torch.tensor([100, 300])
    noise_pred = net.predict_noise(noisy, timesteps, instance.prompts)
    net.identity_loss(instance.values, noisy, noise_pred, noise, timesteps).backward()
    for part in (base.unet, base.text_encoder):
        assert max(float(weight.grad.abs().max()) for weight in part.parameters() if weight.grad is not None) > 0


@pytest.mark.parametrize("identity_loss", IDENTITY_LOSSES)
def test_each_identity_loss_falls(identity_loss: str, base: DiffusionBase, identity_encoder: nn.Module) -> None:
    config = replace(
        FULL, identity_loss=identity_loss, identity_loss_weight=10.0, prior_loss_weight=0.0, biometric_max_step=999
    )
    config = replace(config, trainer=replace(TRAINER, steps=40), learning_rate=3e-3)
    instance = draw_instance(base)

    @torch.no_grad()
    def measure() -> float:
        net = DreamBooth(base, config, identity_encoder)
        noise = torch.randn(instance.values.shape, generator=Generator().manual_seed(5))
        return net(instance, None, torch.tensor([200, 400, 600, 800]), noise).parts["identity"].item()

    before = measure()
    train_dreambooth(config, base, instance, None, identity_encoder)
    assert measure() < 0.95 * before


def test_biometric_does_not_count_at_late_timesteps(base: DiffusionBase, identity_encoder: nn.Module) -> None:
    net = DreamBooth(base, replace(FULL, identity_loss="biometric"), identity_encoder)
    instance = draw_instance(base)
    with torch.no_grad():
        loss = net(instance, None, torch.full((4,), 401), torch.randn(instance.values.shape))
    assert loss.parts["identity"] == 0


def test_the_prior_loss_counts_by_its_weight(base: DiffusionBase) -> None:
    recorded: list[dict[str, float]] = []

    def callback(step: int, losses: Mapping[str, float], ema: object) -> None:
        recorded.append(dict(losses))

    config = replace(FULL, identity_loss="none", prior_loss_weight=0.5, learning_rate=0.0)
    train_dreambooth(config, base, draw_instance(base), draw_prior(base), callbacks=[callback])
    assert set(recorded[0]) == {"instance", "prior", "loss"}
    assert recorded[0]["loss"] == pytest.approx(recorded[0]["instance"] + 0.5 * recorded[0]["prior"], rel=1e-5)
    config = replace(config, prior_loss_weight=0.0)
    train_dreambooth(config, base, draw_instance(base), draw_prior(base), callbacks=[callback])
    assert set(recorded[-1]) == {"instance", "loss"}


def test_full_training_changes_both_nets_and_not_the_autoencoder(base: DiffusionBase) -> None:
    before = [state_of(part) for part in (base.vae, base.unet, base.text_encoder)]
    train_dreambooth(FULL, base, draw_instance(base), draw_prior(base))
    assert not changed(base.vae, before[0])
    assert changed(base.unet, before[1])
    assert changed(base.text_encoder, before[2])
    assert not any(weight.requires_grad for weight in base.unet.parameters())


def test_lora_leaves_the_base_as_it_is_and_adds_to_both_nets(base: DiffusionBase) -> None:
    before = [state_of(part) for part in (base.unet, base.text_encoder)]
    train_dreambooth(replace(FULL, lora_rank=2), base, draw_instance(base), draw_prior(base))
    for part, old in zip((base.unet, base.text_encoder), before, strict=True):
        now = part.state_dict()
        added = {name: value for name, value in now.items() if "lora_" in name}
        assert max(float(value.abs().max()) for name, value in added.items() if "lora_B" in name) > 0
        kept = {name.replace(".base_layer", ""): value for name, value in now.items() if "lora_" not in name}
        assert set(kept) == set(old)
        assert all(torch.equal(kept[name], value) for name, value in old.items())


def test_contrastive_needs_two_photos_per_step(base: DiffusionBase) -> None:
    config = replace(FULL, identity_loss="contrastive", trainer=replace(TRAINER, batch_size=1))
    with pytest.raises(ReageError, match="at least 2"):
        train_dreambooth(config, base, draw_instance(base), draw_prior(base))


def test_presets_are_the_published_settings() -> None:
    published = [config for name, config in PRESETS.items() if name != "default"]
    assert {config.identity_loss for config in published} == set(IDENTITY_LOSSES)
    for config in published:
        assert (config.learning_rate, config.lora_rank) == (1e-6, 0)
        assert (config.trainer.steps, config.identity_loss_weight) == (800, 0.1)
    assert [PRESETS[name].label_share > 0 for name in ("default", "tbiom-cosine")] == [True, False]
