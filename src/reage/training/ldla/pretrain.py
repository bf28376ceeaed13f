"""The stage before the paper's losses: the denoiser learns to turn a zone into the same zone at another score.

It gets the noised latents of one version of a zone under a prompt with the score of another, and predicts the noise
that leads to the clean latents of that other version (`reage.training.ldla.losses.pair_loss`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Generator, Tensor

from reage.nets.diffusion import DiffusionBase
from reage.prompts import UNCONDITIONAL, whole_prompt
from reage.training.diffusion.latents import add_noise, noise_for_x0
from reage.training.ldla.dataset import PairedLatentBatch, PairedLatents, sample_pairs
from reage.training.ldla.losses import pair_loss
from reage.training.trainer import Callback, StepLoss, Trainer, TrainerConfig, local_batch, process_state
from reage.zones import ZONES


@dataclass(frozen=True, kw_only=True)
class PretrainConfig:
    """One stage of training on pairs.

    Args:
        trainer: length and optimisation.
        learning_rate: highest learning rate of the denoiser.
        noise_steps: lowest and highest timestep, of 1000; low ones are drawn more often.
        prompt_dropout: share of zones with the empty prompt, which are to stay as they are.
        unchanged_share: share of zones with a prompt that names the score they have, which are to stay too.
        interpolated_share: share of the others that start between both versions, as zones are after the first
            denoising steps.
        no_noise_share: share without noise, as zones are at inference: the prediction is then the change alone.
    """

    trainer: TrainerConfig = TrainerConfig(
        steps=2400, batch_size=16, weight_decay=0.01, ema_decay=0.99, max_grad_norm=1.0
    )
    learning_rate: float = 4e-4
    noise_steps: tuple[int, int] = (5, 400)
    prompt_dropout: float = 0.1
    unchanged_share: float = 0.2
    interpolated_share: float = 0.5
    no_noise_share: float = 0.0


LOW_NOISE = PretrainConfig(noise_steps=(2, 40), no_noise_share=0.8)
"""The stages after the first: hardly any noise, as at inference."""
SHORT_LOW_NOISE = replace(LOW_NOISE, trainer=replace(LOW_NOISE.trainer, steps=1600))


@dataclass(frozen=True)
class PretrainBatch:
    """A batch of this stage, (B, ...) each.

    Args:
        values: (B, c, h, w) latents that noise is added to.
        targets: (B, c, h, w) latents that the denoiser is to reach.
        zones: (B,) places in `reage.zones.ZONES`.
        scores: (B,) in the prompt.
        timesteps: (B,) int64.
        noise: (B, c, h, w).
        is_uncond: (B,) whether the prompt is empty.
    """

    values: Tensor
    targets: Tensor
    zones: Tensor
    scores: Tensor
    timesteps: Tensor
    noise: Tensor
    is_uncond: Tensor


def sample_timesteps(places: Tensor, noise_steps: tuple[int, int]) -> Tensor:
    """Timesteps (B,) int64 for random numbers (B,) in [0, 1): half of them lie in the first quarter of the range."""
    first, last = noise_steps
    return first + (places.square() * (last - first + 1)).long()


def drop_noise(noise: Tensor, share: float, generator: Generator) -> Tensor:
    """(B, c, h, w) noise, set to 0 in a share of the samples."""
    dropped = torch.rand(len(noise), generator=generator) < share
    return noise.masked_fill(dropped[:, None, None, None], 0.0)


def make_pretrain_batch(pairs: PairedLatentBatch, config: PretrainConfig, generator: Generator) -> PretrainBatch:
    """Draws for each pair whether the zone stays, where it starts, its timestep, its noise, and prompt dropout."""
    prompt_choice, start_choice, weight, place = torch.rand(4, len(pairs.values), generator=generator)
    is_uncond = prompt_choice < config.prompt_dropout
    stays = prompt_choice < config.prompt_dropout + config.unchanged_share
    noise = torch.randn(pairs.values.shape, generator=generator)
    interpolated = (start_choice < config.interpolated_share) & ~stays
    weight = torch.where(interpolated, weight, 0.0)[:, None, None, None]
    return PretrainBatch(
        values=torch.lerp(pairs.values, pairs.paired_values, weight),
        targets=torch.where(stays[:, None, None, None], pairs.values, pairs.paired_values),
        zones=pairs.zones,
        scores=torch.where(stays, pairs.scores, pairs.paired_scores),
        timesteps=sample_timesteps(place, config.noise_steps),
        noise=drop_noise(noise, config.no_noise_share, generator),
        is_uncond=is_uncond,
    )


def pretrain_loss(base: DiffusionBase, batch: PretrainBatch, sqrt_alpha_bars: Tensor) -> Tensor:
    """The pair loss of a batch; `sqrt_alpha_bars` (T,) holds √ᾱ_t of every timestep."""
    sqrt_alpha_bar = sqrt_alpha_bars[batch.timesteps]
    noisy = add_noise(batch.values, batch.noise, sqrt_alpha_bar)
    text = encode_target_prompts(base, batch)
    noise_pred = base.unet(noisy, batch.timesteps, encoder_hidden_states=text).sample.float()
    return pair_loss(noise_pred, noise_for_x0(noisy, batch.targets, sqrt_alpha_bar))


@torch.no_grad()
def encode_target_prompts(base: DiffusionBase, batch: PretrainBatch) -> Tensor:
    """P_target of each zone, or the empty prompt, as text (B, L, C)."""
    rows = zip(batch.zones.tolist(), batch.scores.tolist(), batch.is_uncond.tolist(), strict=True)
    prompts = [UNCONDITIONAL if uncond else whole_prompt(ZONES[zone], score) for zone, score, uncond in rows]
    return base.embed(prompts).to(batch.noise.device)


def pretrain(
    config: PretrainConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    seed: int,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains those weights of `base.unet` that require gradients, in place.

    Args:
        config: of the stage.
        base: whose autoencoder made the pairs.
        pairs: of training people.
        seed: of the stage.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step, see `reage.training.trainer.Trainer`.
    """
    device = process_state().device
    base.unet.to(memory_format=torch.channels_last)  # a seventh faster on a CPU
    sqrt_alpha_bars = base.scheduler.alphas_cumprod.sqrt().to(device)

    def loss_fn(generator: Generator) -> StepLoss:
        batch = make_pretrain_batch(sample_pairs(pairs, config.trainer.batch_size, generator), config, generator)
        loss = pretrain_loss(base, local_batch(batch, device), sqrt_alpha_bars)
        return StepLoss(loss, {"pair": loss})

    trainer = Trainer(config.trainer, seed=seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(base.unet, loss_fn, [(base.unet, config.learning_rate)])
    base.unet.load_state_dict(ema.state_dict())
