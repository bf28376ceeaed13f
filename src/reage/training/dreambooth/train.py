"""Fine-tunes a diffusion base on the photos of one person, so that it can draw this person at another age.

DreamBooth (arXiv 2208.12242) with an identity loss, after identity-preserving aging (IJCB 2023, arXiv 2307.08585):
photos of the person under a rare token, class images of other people under their age group (prior preservation), and a
loss on identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from reage.errors import ReageError
from reage.nets.diffusion import DiffusionBase
from reage.nets.lora import add_lora
from reage.training.diffusion.latents import add_noise, predict_x0
from reage.training.dreambooth.dataset import CaptionedLatents
from reage.training.dreambooth.identity_encoder import IdentityEncoder
from reage.training.dreambooth.losses import (
    biometric_loss,
    biometric_weights,
    contrastive_loss,
    cosine_loss,
    noise_mse,
    prior_preservation_loss,
)
from reage.training.trainer import Callback, StepLoss, Trainer, TrainerConfig, local_rows, process_state

IdentityLoss = Literal["none", "biometric", "contrastive", "cosine"]

FULL_LEARNING_RATE = 1e-6
"""Published learning rate of full fine-tuning; at 1e-5 the nets follow prompts less."""
LORA_LEARNING_RATE, SMALL_LORA_LEARNING_RATE = 1e-4, 1e-3
"""Learning rates of LoRA on Stable Diffusion, and on a small base, which does not learn the person at 1e-4."""

_SMALL_BASE_PARAMETERS = 50_000_000
_TRAINER = TrainerConfig(steps=800, batch_size=8, weight_decay=0.01, ema_decay=0.0, max_grad_norm=1.0)


@dataclass(frozen=True, kw_only=True)
class DreamBoothConfig:
    """Everything that decides which weights come out, beside the base, the photos and the class images.

    Args:
        seed: of the run.
        trainer: length and optimisation; `batch_size` photos per step, and as many class images beside them.
        learning_rate: highest learning rate.
        lora_rank: of the matrices added to attention layers; 0 trains the whole denoiser and text encoder.
        identity_loss: the loss on identity.
        identity_loss_weight: of it.
        prior_loss_weight: of the loss on class images; 0 leaves them out.
        biometric_max_step: last timestep, of 1000, at which the biometric loss counts.
        label_share: share of the photos whose caption also names the age group they show. On a small base, at 0 a
            prompt with an age group loses the person, and at 0.25 it loses the age. Published is 0.
    """

    seed: int = 0
    trainer: TrainerConfig = _TRAINER
    learning_rate: float = LORA_LEARNING_RATE
    lora_rank: int = 8
    identity_loss: IdentityLoss = "cosine"
    identity_loss_weight: float = 0.1
    prior_loss_weight: float = 1.0
    biometric_max_step: int = 400
    label_share: float = 0.1


def _published(identity_loss: IdentityLoss) -> DreamBoothConfig:
    return DreamBoothConfig(learning_rate=FULL_LEARNING_RATE, lora_rank=0, identity_loss=identity_loss, label_share=0.0)


PRESETS: Mapping[str, DreamBoothConfig] = MappingProxyType(
    {
        "default": DreamBoothConfig(),
        "ijcb-biometric": _published("biometric"),
        "ijcb-contrastive": _published("contrastive"),
        "tbiom-cosine": _published("cosine"),
    }
)
"""The default (LoRA), and the published settings: full fine-tuning at a learning rate of 1e-6.

The biometric and the contrastive loss were published with one photo per step; here they take eight, as the cosine loss
does, because the contrastive loss of one photo is always 0.
"""


def lora_learning_rate(base: DiffusionBase) -> float:
    """The learning rate for LoRA on this base, which depends on the size of its denoiser."""
    num_parameters = sum(weight.numel() for weight in base.unet.parameters())
    return SMALL_LORA_LEARNING_RATE if num_parameters <= _SMALL_BASE_PARAMETERS else LORA_LEARNING_RATE


class DreamBooth(nn.Module):
    """The denoiser and the text encoder of a base, with the losses they are trained on.

    Args:
        base: its autoencoder is not trained.
        config: which losses count.
        identity_encoder: of faces; needed for the biometric loss only.
    """

    def __init__(
        self, base: DiffusionBase, config: DreamBoothConfig, identity_encoder: IdentityEncoder | None = None
    ) -> None:
        super().__init__()
        self.unet, self.text_encoder = base.unet, base.text_encoder
        self.sqrt_alpha_bar: Tensor
        self.register_buffer("sqrt_alpha_bar", base.scheduler.alphas_cumprod.sqrt(), persistent=False)
        self._base, self._identity_encoder, self._config = base, identity_encoder, config

    def forward(
        self, instance: CaptionedLatents, prior: CaptionedLatents | None, timesteps: Tensor, noise: Tensor
    ) -> StepLoss:
        """The loss of a batch, with the parts "instance", "prior" and "identity".

        Args:
            instance: (B, ...) of the person.
            prior: (B, ...) of the class images; None for none.
            timesteps: (2 B,), those of the person first; (B,) without class images.
            noise: (2 B, c, h, w) or (B, c, h, w), in the same order.
        """
        config, num = self._config, len(instance.values)
        batches = [instance] if prior is None else [instance, prior]
        noisy = add_noise(torch.cat([batch.values for batch in batches]), noise, self.sqrt_alpha_bar[timesteps])
        noise_pred = self.predict_noise(noisy, timesteps, [prompt for batch in batches for prompt in batch.prompts])
        parts = {"instance": noise_mse(noise_pred[:num], noise[:num])}
        if prior is not None:
            parts["prior"] = prior_preservation_loss(noise_pred[num:], noise[num:])
        if config.identity_loss != "none":
            parts["identity"] = self.identity_loss(
                instance.values, noisy[:num], noise_pred[:num], noise[:num], timesteps[:num]
            )
        weights = {"instance": 1.0, "prior": config.prior_loss_weight, "identity": config.identity_loss_weight}
        return StepLoss(torch.stack([weights[name] * loss for name, loss in parts.items()]).sum(), parts)

    def predict_noise(self, noisy: Tensor, timesteps: Tensor, prompts: Sequence[str]) -> Tensor:
        """The noise (B, c, h, w) in noisy latents at timesteps (B,) under B prompts."""
        ids = self._base.token_ids(prompts).to(noisy.device)
        noise_pred: Tensor = self.unet(noisy, timesteps, encoder_hidden_states=self.text_encoder(ids)[0]).sample
        return noise_pred.float()

    def identity_loss(
        self, latents: Tensor, noisy: Tensor, noise_pred: Tensor, noise: Tensor, timesteps: Tensor
    ) -> Tensor:
        """The loss on identity that the config names, for latents (B, c, h, w) of the person."""
        if self._config.identity_loss == "cosine":
            return cosine_loss(noise_pred, noise)
        if self._config.identity_loss == "contrastive":
            return contrastive_loss(noise_pred, noise)
        assert self._identity_encoder is not None
        sqrt_alpha_bar, base = self.sqrt_alpha_bar[timesteps], self._base
        weights = biometric_weights(timesteps, sqrt_alpha_bar, self._config.biometric_max_step)
        with torch.no_grad():
            target_identities = self._identity_encoder(base.decode(latents))
        identities = self._identity_encoder(base.decode(predict_x0(noisy, noise_pred, sqrt_alpha_bar)))
        return biometric_loss(identities, target_identities, weights)


def train_dreambooth(
    config: DreamBoothConfig,
    base: DiffusionBase,
    instance: CaptionedLatents,
    prior: CaptionedLatents | None = None,
    identity_encoder: IdentityEncoder | None = None,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> DreamBooth:
    """Trains `base.unet` and `base.text_encoder` in place, by LoRA or whole.

    Args:
        config: of the run.
        base: whose autoencoder made the latents.
        instance: latents of the photos, under the rare token.
        prior: latents of the class images, under their age groups; None for none.
        identity_encoder: of faces; needed for the biometric loss only.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.

    Raises:
        ReageError: when the contrastive loss is asked for with a single photo per step and process.
    """
    _check_batch(config)
    torch.manual_seed(config.seed)
    base.to(process_state().device)
    for part in (base.unet, base.text_encoder):
        part.requires_grad_(not config.lora_rank)
    if config.lora_rank:
        add_lora(base, config.lora_rank, text_encoder=True)
    net = DreamBooth(base, config, identity_encoder)
    datasets = [instance, prior] if prior and config.prior_loss_weight else [instance]
    num_timesteps = base.scheduler.config.num_train_timesteps

    def loss_fn(generator: Generator) -> StepLoss:
        batches, timesteps, noise = _sample_batch(config, datasets, num_timesteps, base.device, generator)
        loss: StepLoss = net(batches[0], batches[1] if len(batches) > 1 else None, timesteps, noise)
        return loss

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    trainer.fit(net, loss_fn, [(net, config.learning_rate)])
    net.eval().requires_grad_(False)
    return net


def _check_batch(config: DreamBoothConfig) -> None:
    rows = local_rows(config.trainer.batch_size)
    if config.identity_loss == "contrastive" and rows.stop - rows.start < 2:
        raise ReageError(
            "The contrastive loss needs negatives in the batch; give it a batch of at least 2 for each process."
        )


def _sample_batch(
    config: DreamBoothConfig,
    datasets: Sequence[CaptionedLatents],
    num_timesteps: int,
    device: torch.device,
    generator: Generator,
) -> tuple[list[CaptionedLatents], Tensor, Tensor]:
    """This process's rows of a batch of each dataset, and the timesteps and noise of all those rows."""
    num, rows = config.trainer.batch_size, local_rows(config.trainer.batch_size)
    drawn = [dataset.sample(num, generator, config.label_share) for dataset in datasets]
    timesteps = torch.randint(num_timesteps, (len(drawn), num), generator=generator)
    noise = torch.randn((len(drawn), *drawn[0].values.shape), generator=generator)
    batches = [CaptionedLatents(batch.values[rows].to(device), batch.prompts[rows]) for batch in drawn]
    return batches, timesteps[:, rows].flatten().to(device), noise[:, rows].flatten(0, 1).to(device)
