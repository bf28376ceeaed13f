"""Fine-tunes a base on the photos of one person, so that it can draw this person at another age.

DreamBooth (arXiv 2208.12242) with the losses of identity-preserving aging (arXiv 2307.08585): photos of the person
under a rare word, other people under their age group so that neither faces nor ages are forgotten, and a loss on
identity.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.errors import ReageError
from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.latents import add_noise, predict_x0
from reage.training.dreambooth.losses import Embed, biometric_loss, contrastive_loss, cosine_loss
from reage.training.ldla.train import LORA_LAYERS
from reage.training.logger import Watch
from reage.training.trainer import TrainerConfig, fit, local_rows, process_state

IdentityLoss = Literal["none", "biometric", "contrastive", "cosine"]

WHOLE_RATE = 1e-6
"""Published learning rate of whole nets; at ten times as much they follow prompts less."""
LORA_RATE, SMALL_LORA_RATE = 1e-4, 1e-3
"""Learning rates of LoRA on Stable Diffusion, and on a base of at most `_SMALL` weights, where less binds nobody."""

_SMALL = 50_000_000

_TEXT_LAYERS = ("q_proj", "k_proj", "v_proj", "out_proj")
_SCHEDULE = TrainerConfig(steps=800, batch=8, weight_decay=0.01, ema_decay=0.0, max_grad_norm=1.0)


@dataclass(frozen=True, kw_only=True)
class DreamBoothConfig:
    """Everything that decides which weights come out, beside the base, the photos and the other people.

    Args:
        seed: of the run.
        schedule: length; batch is the number of photos of a step, and as many other people are added.
        rate: highest learning rate.
        lora_rank: of the matrices added to attention layers; 0 trains the whole denoiser and text encoder.
        identity: the loss on identity.
        identity_weight: of it.
        prior_weight: of the error on other people; 0 leaves them out.
        visible_below: noise step, of 1000, below which a face can be seen in the noise; for biometric.
        labelled: share of the photos that are called by the age group they show, too. Where the rare word and an age
            group never met, a small base draws the group and forgets the person; where they met often, it forgets
            the group. Published is 0.
    """

    seed: int = 0
    schedule: TrainerConfig = _SCHEDULE
    rate: float = LORA_RATE
    lora_rank: int = 8
    identity: IdentityLoss = "cosine"
    identity_weight: float = 0.1
    prior_weight: float = 1.0
    visible_below: int = 400
    labelled: float = 0.1


def _published(identity: IdentityLoss) -> DreamBoothConfig:
    return DreamBoothConfig(rate=WHOLE_RATE, lora_rank=0, identity=identity, labelled=0.0)


PRESETS: Mapping[str, DreamBoothConfig] = MappingProxyType(
    {
        "default": DreamBoothConfig(),
        "ijcb-biometric": _published("biometric"),
        "ijcb-contrastive": _published("contrastive"),
        "tbiom-cosine": _published("cosine"),
    }
)
"""The published settings, whole nets at a rate of 1e-6, and ours.

Published with one photo a step, biometric and contrastive run here with eight, as cosine was: of one photo contrastive
is always 0.
"""


def lora_rate(base: DiffusionBase) -> float:
    """The learning rate that suits LoRA on this base."""
    return SMALL_LORA_RATE if sum(weight.numel() for weight in base.unet.parameters()) <= _SMALL else LORA_RATE


@dataclass(frozen=True)
class Captioned:
    """Latents (N, c, h, w) and the N prompts that go with them; there may be N others, for some of the times."""

    values: Tensor
    prompts: Sequence[str]
    sometimes: Sequence[str] = ()

    def draw(self, num: int, generator: Generator, share: float = 0.0) -> Captioned:
        """So many of them, by chance; that share of them under the other prompt, where there is one."""
        rows = torch.randint(len(self.values), (num,), generator=generator)
        coins = torch.rand(num, generator=generator) if self.sometimes else torch.ones(num)
        said = [(self.sometimes if coin < share else self.prompts)[row] for row, coin in zip(rows, coins, strict=True)]
        return Captioned(self.values[rows], said)


class DreamBooth(nn.Module):
    """A base's denoiser and text encoder, and the losses that they learn one person by.

    Args:
        base: whose autoencoder stays as it is.
        recipe: which losses count.
        embed: tells who a face shows; None for recipes without the biometric loss.
    """

    def __init__(self, base: DiffusionBase, recipe: DreamBoothConfig, embed: Embed | None) -> None:
        super().__init__()
        self.unet, self.text_encoder = base.unet, base.text_encoder
        self.signal: Tensor
        self.register_buffer("signal", base.scheduler.alphas_cumprod.sqrt(), persistent=False)
        self.seen: dict[str, float] = {}
        """Each loss of the last step, without its weight."""
        self._base, self._embed, self._recipe = [base], embed, recipe  # in a list: its other parts are not trained

    def forward(self, person: Captioned, others: Captioned | None, steps: Tensor, noise: Tensor) -> Tensor:
        """What a step lowers; steps and noise are those of the person and then of the others."""
        recipe, num = self._recipe, len(person.values)
        shown = [person] if others is None else [person, others]
        values = torch.cat([one.values for one in shown])
        noisy = add_noise(values, noise, self.signal[steps])
        found = self._find_noise(noisy, steps, [prompt for one in shown for prompt in one.prompts])
        losses = {"person": F.mse_loss(found[:num], noise[:num])}
        if others is not None:
            losses["others"] = F.mse_loss(found[num:], noise[num:])
        if recipe.identity != "none":
            losses["identity"] = self._identity_loss(person.values, noisy[:num], found[:num], noise[:num], steps[:num])
        self.seen = {name: loss.item() for name, loss in losses.items()}
        weights = {"person": 1.0, "others": recipe.prior_weight, "identity": recipe.identity_weight}
        return torch.stack([weights[name] * loss for name, loss in losses.items()]).sum()

    def _find_noise(self, noisy: Tensor, steps: Tensor, prompts: Sequence[str]) -> Tensor:
        ids = self._base[0].token_ids(prompts).to(noisy.device)
        noise: Tensor = self.unet(noisy, steps, encoder_hidden_states=self.text_encoder(ids)[0]).sample
        return noise.float()

    def _identity_loss(self, values: Tensor, noisy: Tensor, found: Tensor, noise: Tensor, steps: Tensor) -> Tensor:
        if self._recipe.identity == "cosine":
            return cosine_loss(found, noise)
        if self._recipe.identity == "contrastive":
            return contrastive_loss(found, noise)
        assert self._embed is not None
        signal, base = self.signal[steps], self._base[0]
        visible = torch.where(steps <= self._recipe.visible_below, signal**2, 0.0)
        with torch.no_grad():
            wanted = self._embed(base.decode(values))
        return biometric_loss(self._embed(base.decode(predict_x0(noisy, found, signal))), wanted, visible)


def train_dreambooth(
    recipe: DreamBoothConfig,
    base: DiffusionBase,
    person: Captioned,
    others: Captioned | None = None,
    embed: Embed | None = None,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> DreamBooth:
    """Trains `base.unet` and `base.text_encoder` in place, by LoRA or whole.

    Args:
        recipe: of the run.
        base: whose autoencoder made the latents.
        person: latents of the photos, under the rare word.
        others: other people under their age groups; None only when they have no weight.
        embed: tells who a face shows, for the biometric loss.
        checkpoint: file a stopped run is resumed from.
        watch: is told the number of each step that was made, and its losses.

    Raises:
        ReageError: when the contrastive loss is asked for with a single photo a step and process.
    """
    own = local_rows(recipe.schedule.batch)
    if recipe.identity == "contrastive" and own.stop - own.start < 2:
        raise ReageError("The contrastive loss tells photos apart; give it a batch of at least 2 for each process.")
    torch.manual_seed(recipe.seed)
    base.to(process_state().device)
    for part in (base.unet, base.text_encoder):
        part.requires_grad_(not recipe.lora_rank)
    if recipe.lora_rank:
        add_dreambooth_lora(base, recipe.lora_rank)
    net = DreamBooth(base, recipe, embed)
    prior = others if recipe.prior_weight else None
    num_steps, device = base.scheduler.config.num_train_timesteps, base.device

    def loss_of(generator: Generator) -> Tensor:
        sets = [one for one in (person, prior) if one is not None]
        drawn = [one.draw(recipe.schedule.batch, generator, recipe.labelled) for one in sets]
        steps = torch.randint(num_steps, (len(drawn), recipe.schedule.batch), generator=generator)
        noise = torch.randn((len(drawn), *drawn[0].values.shape), generator=generator)
        mine = [Captioned(one.values[own].to(device), one.prompts[own]) for one in drawn]
        return net(
            mine[0],
            mine[1] if prior else None,
            steps[:, own].flatten().to(device),
            noise[:, own].flatten(0, 1).to(device),
        )

    def tell(step: int, loss: float, mean: nn.Module) -> None:
        if watch:
            watch(step, {**net.seen, "loss": loss})

    fit(net, loss_of, [(net, recipe.rate)], recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=tell)
    net.eval().requires_grad_(False)
    return net


def add_dreambooth_lora(base: DiffusionBase, rank: int) -> None:
    """Matrices of this rank beside those of all attention layers of both nets, and nothing else to be trained."""
    from peft import LoraConfig

    for part, layers in ((base.unet, LORA_LAYERS), (base.text_encoder, _TEXT_LAYERS)):
        part.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(layers)))
