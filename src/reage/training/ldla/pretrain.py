"""The stage of LDLA before the paper's losses: a denoiser learns to turn a zone into itself at another score.

From the noised latents of one version of a zone, under the score of another, it is to find the noise that would leave
the clear latents of that other. Errors are counted in units of the noise: counted in latents, those at little noise,
where zones are redrawn, would weigh next to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator, Tensor, nn

from reage.nets.diffusion import DiffusionBase
from reage.prompts import UNCONDITIONAL, whole_prompt
from reage.training.diffusion.latents import add_noise
from reage.training.ldla.dataset import PairedLatentBatch, PairedLatents, sample_pairs
from reage.training.logger import Watch
from reage.training.trainer import TrainerConfig, fit, local_batch, process_state
from reage.zones import ZONES


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """How pairs are learned.

    Args:
        schedule: length and batch.
        rate: highest learning rate of the denoiser.
        steps: least and greatest noise step, of 1000; small ones are drawn more often.
        silent: share of zones shown without a prompt, which stay as they are.
        still: share shown with the score they have, which stay too.
        begun: share of the others that are part of the way already, as zones are after the first steps.
        clear: share shown without noise, as zones are in use: what is to be found is then the change alone.
    """

    schedule: TrainerConfig = TrainerConfig(steps=2400, batch=16, weight_decay=0.01, ema_decay=0.99, max_grad_norm=1.0)
    rate: float = 4e-4
    steps: tuple[int, int] = (5, 400)
    silent: float = 0.1
    still: float = 0.2
    begun: float = 0.5
    clear: float = 0.0


IN_USE = PretrainConfig(steps=(2, 40), clear=0.8)
"""The stages after the first: hardly any noise, as in use."""
LAST = replace(IN_USE, schedule=replace(IN_USE.schedule, steps=1600))
_FAINT = 1e-8
"""Keeps the slope of a root of nothing finite."""


@dataclass(frozen=True)
class PairDraw:
    """What chance decides about a batch, (B, ...) each: the latents shown, what they are to become, and how."""

    shown: Tensor
    wanted: Tensor
    kinds: Tensor
    scores: Tensor
    steps: Tensor
    noise: Tensor
    silent: Tensor


def draw_steps(places: Tensor, steps: tuple[int, int]) -> Tensor:
    """Noise steps (B,) int64 for places (B,) in [0, 1), half of them in the first quarter of what is allowed."""
    first, last = steps
    return first + (places.square() * (last - first + 1)).long()


def draw_pretrain_batch(batch: PairedLatentBatch, recipe: PretrainConfig, generator: Generator) -> PairDraw:
    """Who stays, who is part of the way, noise steps, noise, and who has none."""
    coin, begun, way, place = torch.rand(4, len(batch.values), generator=generator)
    silent = coin < recipe.silent
    stays = coin < recipe.silent + recipe.still
    noise = torch.randn(batch.values.shape, generator=generator)
    way = torch.where((begun < recipe.begun) & ~stays, way, 0.0)[:, None, None, None]
    return PairDraw(
        shown=torch.lerp(batch.values, batch.partners, way),
        wanted=torch.where(stays[:, None, None, None], batch.values, batch.partners),
        kinds=batch.kinds,
        scores=torch.where(stays, batch.scores, batch.partner_scores),
        steps=draw_steps(place, recipe.steps),
        noise=leave_clear(noise, recipe.clear, generator),
        silent=silent,
    )


def leave_clear(noise: Tensor, share: float, generator: Generator) -> Tensor:
    """(B, c, h, w) noise, that of a share of the pictures taken away."""
    clear = torch.rand(len(noise), generator=generator) < share
    return noise.masked_fill(clear[:, None, None, None], 0.0)


def noise_between(noisy: Tensor, wanted: Tensor, signal: Tensor) -> Tensor:
    """The noise that would leave the wanted latents (B, c, h, w) of noisy ones with a share (B,) of their amplitude."""
    signal = signal[:, None, None, None]
    return (noisy - signal * wanted) / (1 - signal**2).sqrt()


def pretrain_loss(base: DiffusionBase, draw: PairDraw, signal: Tensor) -> Tensor:
    """Mean error of the noise; `signal` is the share of the amplitude left at every step of the schedule."""
    left = signal[draw.steps]
    noisy = add_noise(draw.shown, draw.noise, left)
    found = base.unet(noisy, draw.steps, encoder_hidden_states=say_targets(base, draw)).sample.float()
    return distance(found, noise_between(noisy, draw.wanted, left)).mean()


def distance(found: Tensor, wanted: Tensor) -> Tensor:
    """(B, c, h, w) twice -> (B,) root mean squares of what lies between.

    Lines are few, and where they will be is not certain: the middle of what they may be, place by place, is no line at
    all. The middle of whole pictures is not much unlike their mean, in which there is a little of each.
    """
    return (found - wanted).square().mean((1, 2, 3)).add(_FAINT).sqrt()


@torch.no_grad()
def say_targets(base: DiffusionBase, draw: PairDraw) -> Tensor:
    """P_target, now and then nothing, as text."""
    rows = zip(draw.kinds.tolist(), draw.scores.tolist(), draw.silent.tolist(), strict=True)
    prompts = [UNCONDITIONAL if silent else whole_prompt(ZONES[kind], score) for kind, score, silent in rows]
    return base.embed(prompts).to(draw.noise.device)


def pretrain(
    recipe: PretrainConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    seed: int,
    checkpoint: Path | None,
    watch: Watch | None,
) -> None:
    """Trains the part of `base.unet` that asks for gradients, in place.

    Args:
        recipe: of the stage.
        base: whose autoencoder made the pairs.
        pairs: of training people.
        seed: of the stage.
        checkpoint: file a stopped run is resumed from.
        watch: is told the number of each step that was made, and its loss.
    """
    device = process_state().device
    base.unet.to(memory_format=torch.channels_last)  # a seventh faster on a CPU
    signal = base.scheduler.alphas_cumprod.sqrt().to(device)

    def loss_of(generator: Generator) -> Tensor:
        draw = draw_pretrain_batch(sample_pairs(pairs, recipe.schedule.batch, generator), recipe, generator)
        return pretrain_loss(base, local_batch(draw, device), signal)

    def tell(step: int, loss: float, mean: nn.Module) -> None:
        if watch:
            watch(step, {"pair": loss, "loss": loss})

    mean = fit(
        base.unet, loss_of, [(base.unet, recipe.rate)], recipe.schedule, seed=seed, checkpoint=checkpoint, watch=tell
    )
    base.unet.load_state_dict(mean.state_dict())
