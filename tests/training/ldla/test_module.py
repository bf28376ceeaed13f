"""A step of LDLA: which nets each loss reaches, and what is drawn for it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from reage.nets.diffusion import DiffusionBase
from reage.nets.score_net import build_score_net, tiny_score_net
from reage.training.ldla.dataset import PairedLatents, sample_pairs
from reage.training.ldla.losses import LdlaLossWeights
from reage.training.ldla.module import Ldla, LdlaTrainingConfig, make_ldla_batch
from reage.training.trainer import StepLoss, TrainerConfig

TRAINER = TrainerConfig(steps=3, batch_size=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=1, bf16=False)
CONFIG = LdlaTrainingConfig(trainer=TRAINER, score_net_batch_size=4, losses=LdlaLossWeights(score=1.0, cycle=1.0))


def take_step(net: Ldla, pairs: PairedLatents, config: LdlaTrainingConfig) -> StepLoss:
    generator = torch.Generator().manual_seed(0)
    sampled = sample_pairs(pairs, config.trainer.batch_size, generator)
    for_score_net = sample_pairs(pairs, config.score_net_batch_size, generator)
    loss: StepLoss = net(make_ldla_batch(sampled, config, generator), for_score_net, config)
    return loss


def make_net(base: DiffusionBase) -> Ldla:
    base.unet.requires_grad_(True)
    net = Ldla(base, build_score_net(tiny_score_net(base.latent_channels)))
    net.num_steps.fill_(100)  # the ramp is over
    return net


def has_gradient(part: torch.nn.Module) -> bool:
    return any(weight.grad is not None and bool(weight.grad.abs().sum() > 0) for weight in part.parameters())


@pytest.mark.parametrize("name", ["zone", "full", "score", "cycle", "pair"])
def test_each_loss_reaches_the_denoiser_alone(name: str, base: DiffusionBase, pairs: PairedLatents) -> None:
    only = LdlaLossWeights(**{one: float(one == name) for one in ("zone", "full", "score", "cycle", "pair")})
    if name in ("score", "cycle", "pair"):
        only = replace(only, zone=1e-9)  # the score net learns from its estimate
    net = make_net(base)
    loss = take_step(net, pairs, replace(CONFIG, losses=only))
    loss.total.backward()
    assert has_gradient(net.unet)
    assert has_gradient(net.score_net)
    assert loss.parts[name] > 0
    assert not has_gradient(base.text_encoder)
    assert not has_gradient(base.vae)


def test_the_score_net_gets_no_gradient_from_the_denoisers_losses(base: DiffusionBase, pairs: PairedLatents) -> None:
    gradients = []
    for weight in (0.0, 50.0):
        net = make_net(base)
        torch.manual_seed(1)
        for module in net.score_net.modules():
            if hasattr(module, "reset_parameters"):
                module.reset_parameters()
        config = replace(CONFIG, losses=LdlaLossWeights(score=weight, cycle=0.0, pair=weight))
        take_step(net, pairs, config).total.backward()
        gradients.append(
            torch.cat([weight.grad.flatten() for weight in net.score_net.parameters() if weight.grad is not None])
        )
    torch.testing.assert_close(*gradients)


def test_score_and_cycle_begin_after_the_start_of_the_ramp(base: DiffusionBase, pairs: PairedLatents) -> None:
    net, losses = make_net(base), LdlaLossWeights(zone=1e-9, full=0.0, score=1.0, cycle=1.0, pair=0.0)
    config = replace(CONFIG, losses=losses, trainer=replace(TRAINER, steps=1000))
    net.num_steps.fill_(0)
    first = take_step(net, pairs, config)
    assert first.total.item() == pytest.approx(first.parts["score_net"].item(), abs=1e-6)
    net.num_steps.fill_(900)
    late = take_step(net, pairs, config)
    assert late.total > late.parts["score_net"] + 0.5 * late.parts["cycle"]


def test_target_scores_are_those_of_the_pair_near_or_uniform(pairs: PairedLatents) -> None:
    generator = torch.Generator().manual_seed(0)
    sampled = sample_pairs(pairs, 500, generator)
    batch = make_ldla_batch(sampled, CONFIG, generator)
    assert batch.is_paired.float().mean() == pytest.approx(CONFIG.paired_target_share, abs=0.07)
    assert torch.equal(batch.target_scores[batch.is_paired], sampled.paired_scores[batch.is_paired])
    free = ~batch.is_paired
    assert 0 <= batch.target_scores[free].min() <= batch.target_scores[free].max() <= 1
    is_near = (batch.target_scores - batch.scores).abs() <= CONFIG.near_target_range
    assert is_near[free].float().mean() > 0.5
    first, last = CONFIG.noise_steps
    assert first <= batch.timesteps.min() <= batch.timesteps.max() <= last
