"""Trains the denoiser and the text encoder of a base on captioned latents (Rombach et al., CVPR 2022)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.faces.patches import FACE
from reage.nets.diffusion import DiffusionBase
from reage.nets.tokens import tokenize
from reage.prompts import UNCONDITIONAL, label_of
from reage.training.diffusion.dataset import CROP_KINDS
from reage.training.diffusion.latents import (
    COLUMNS,
    LatentBatch,
    Latents,
    add_noise,
    caption,
    sample_latents,
    zone_rows,
)
from reage.training.diffusion.losses import noise_prediction_loss
from reage.training.trainer import Callback, Trainer, TrainerConfig, local_rows, process_state

_FACE = CROP_KINDS.index(FACE)


@dataclass(frozen=True, kw_only=True)
class DenoiserTrainingConfig:
    """Everything that decides on the weights of the denoiser, except its size and the latents.

    Args:
        seed: of the run.
        trainer: length and optimisation.
        learning_rate: highest learning rate.
        prompt_dropout: share of crops with the empty prompt, for classifier-free guidance.
        identity_dropout: share of whole faces without the tokens of their identity; other crops never have them.
        crop_kind_shares: shares of zones, whole faces, and skin.
        label_share: share of faces that are named by their age label; the others by their age in years.
        balance_labels: repeat faces of rare age labels until every label is about as frequent.
    """

    seed: int = 0
    trainer: TrainerConfig = TrainerConfig(
        steps=700, batch_size=32, weight_decay=0.01, ema_decay=0.999, max_grad_norm=1.0
    )
    learning_rate: float = 3e-4
    prompt_dropout: float = 0.1
    identity_dropout: float = 0.5
    crop_kind_shares: tuple[float, float, float] = (0.25, 0.70, 0.05)
    label_share: float = 0.6
    balance_labels: bool = True


class Denoiser(nn.Module):
    """The denoiser, the text encoder and the identity projection of a base, as one module to train."""

    def __init__(self, base: DiffusionBase) -> None:
        super().__init__()
        self.unet, self.text_encoder, self.identity = base.unet, base.text_encoder, base.identity
        self.sqrt_alpha_bar: Tensor
        self.register_buffer("sqrt_alpha_bar", base.scheduler.alphas_cumprod.sqrt(), persistent=False)
        self._tokenizer, self._max_tokens = base.tokenizer, base.max_tokens

    def forward(
        self,
        values: Tensor,
        captions: list[str],
        timesteps: Tensor,
        noise: Tensor,
        identities: Tensor | None = None,
        named: Tensor | None = None,
    ) -> Tensor:
        """The noise prediction loss of latents (B, c, h, w) at timesteps (B,).

        Args:
            values: latents.
            captions: B of them.
            timesteps: (B,).
            noise: (B, c, h, w).
            identities: (B, 128) embeddings of the faces; None for none.
            named: (B,) bool, whether a crop is conditioned on its identity; the others do not see its tokens.
        """
        ids = tokenize(self._tokenizer, captions, self._max_tokens).to(values.device)
        text, mask = self.text_encoder(ids)[0], None
        if self.identity is not None and identities is not None and named is not None:
            tokens = self.identity(identities)
            always = torch.ones(text.shape[:2], dtype=torch.bool, device=text.device)
            mask = torch.cat([always, named[:, None].expand(tokens.shape[:2])], 1)
            text = torch.cat([text, tokens], 1)
        noisy = add_noise(values, noise, self.sqrt_alpha_bar[timesteps])
        noise_pred = self.unet(noisy, timesteps, encoder_hidden_states=text, encoder_attention_mask=mask).sample
        return noise_prediction_loss(noise_pred.float(), noise)


def train_denoiser(
    config: DenoiserTrainingConfig,
    base: DiffusionBase,
    latents: Latents,
    identities: NDArray[np.float32] | None = None,
    train_text_encoder: bool = True,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """Trains `base.unet`, `base.identity`, and `base.text_encoder` if asked for, in place.

    Args:
        config: of the run.
        base: whose autoencoder made the latents.
        latents: of training people.
        identities: (N, 128) embeddings of the portraits of the latents; None trains without.
        train_text_encoder: train the text encoder too.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step, see `reage.training.trainer.Trainer`.
    """
    torch.manual_seed(config.seed)
    device = process_state().device
    net = Denoiser(base).to(device).requires_grad_(True)
    net.text_encoder.requires_grad_(train_text_encoder)
    rows = split_rows(latents, config.balance_labels)
    num_timesteps = base.scheduler.config.num_train_timesteps

    def loss_fn(generator: Generator) -> Tensor:
        batch = sample_mixed_latents(latents, rows, config, generator)
        num, own = len(batch.values), local_rows(len(batch.values))
        prompt_choices, dropouts, places, hidden = torch.rand(4, num, generator=generator)
        captions = make_captions(batch, prompt_choices, dropouts, config)
        timesteps = (places * num_timesteps).long()
        noise = torch.randn(batch.values.shape, generator=generator)
        given = [part[own].to(device) for part in (batch.values, timesteps, noise)]
        if identities is None:
            return net(given[0], captions[own], *given[1:])
        named = choose_named(batch.kinds, dropouts, hidden, config)
        persons = [part[own].to(device) for part in (torch.from_numpy(identities)[batch.rows], named)]
        return net(given[0], captions[own], *given[1:], *persons)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(net, loss_fn, [(net, config.learning_rate)])
    net.load_state_dict(ema.state_dict())
    net.eval().requires_grad_(False)


def make_captions(
    batch: LatentBatch, prompt_choices: Tensor, dropouts: Tensor, config: DenoiserTrainingConfig
) -> list[str]:
    """The captions of a batch, from two random numbers (B,) in [0, 1): the template, and whether it is left empty."""
    columns = (batch.kinds, batch.scores, batch.age_years, prompt_choices, dropouts)
    return [
        UNCONDITIONAL
        if dropout < config.prompt_dropout
        else caption(kind, score, age_years, choice, config.label_share)
        for kind, score, age_years, choice, dropout in zip(*(column.tolist() for column in columns), strict=True)
    ]


def choose_named(kinds: Tensor, dropouts: Tensor, hidden: Tensor, config: DenoiserTrainingConfig) -> Tensor:
    """(B,) bool, whether a crop is conditioned on its identity: only whole faces with a caption are.

    Args:
        kinds: (B,).
        dropouts: (B,) random numbers that decide whether the caption is empty.
        hidden: (B,) random numbers that decide whether the identity is hidden.
        config: shares of both.
    """
    return (kinds == _FACE) & (dropouts >= config.prompt_dropout) & (hidden >= config.identity_dropout)


def split_rows(latents: Latents, balance_labels: bool = False) -> tuple[NDArray[np.int64], ...]:
    """The rows of zones, whole faces and skin; to balance labels, faces of rare ones are repeated."""
    faces = np.flatnonzero(latents.kinds == _FACE)
    if balance_labels:
        labels = np.array([label_of(age_years) for age_years in latents.age_years[faces].tolist()])
        names, nums = np.unique(labels, return_counts=True)
        repeats = dict(zip(names, np.rint(nums.max() / nums).astype(int), strict=True))
        faces = np.repeat(faces, [repeats[label] for label in labels])
    return zone_rows(latents), faces, np.flatnonzero(latents.kinds > _FACE)


def sample_mixed_latents(
    latents: Latents, rows: Sequence[NDArray[np.int64]], config: DenoiserTrainingConfig, generator: Generator
) -> LatentBatch:
    """A batch of zones, faces and skin (see `split_rows`) in the shares of the config."""
    num = config.trainer.batch_size
    kinds = torch.multinomial(torch.tensor(config.crop_kind_shares), num, replacement=True, generator=generator)
    parts = [sample_latents(latents, own, int((kinds == place).sum()), generator) for place, own in enumerate(rows)]
    order = torch.randperm(num, generator=generator)
    return LatentBatch(*(torch.cat([getattr(part, name) for part in parts])[order] for name in COLUMNS))
