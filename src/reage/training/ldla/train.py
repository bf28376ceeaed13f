"""Trains LDLA (arXiv 2507.21600): the denoiser of a base learns to give a zone any score and to find the way back.

The paper's four losses: the noise under P_zone and under P_full, the score that is read off what P_target makes of the
latents in one step, and the way back from there under P_full. One of ours: where P_target names the score of the other
picture of a pair, what it makes is held to that picture, as in the stage before (`reage.training.ldla.pretrain`). The base's
autoencoder and text encoder stay as they are. The score is read by a net that learns from latents of pictures alone, so
that neither can flatter the other.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from reage.nets import lora
from reage.nets.diffusion import DiffusionBase
from reage.nets.score_net import ScoreNetConfig, build_score_net
from reage.prompts import UNCONDITIONAL, whole_prompt, zone_prompt
from reage.training.diffusion.latents import add_noise, predict_x0
from reage.training.ldla.dataset import PairedLatentBatch, PairedLatents, sample_pairs
from reage.training.ldla.pretrain import (
    IN_USE,
    LAST,
    PretrainConfig,
    distance,
    draw_steps,
    leave_clear,
    noise_between,
    pretrain,
)
from reage.training.logger import Watch
from reage.training.trainer import TrainerConfig, fit, local_batch, process_state
from reage.weights import load_torch_weights, save_weights
from reage.zones import ZONES

LORA_LAYERS = ("to_q", "to_k", "to_v", "to_out.0")


@dataclass(frozen=True, kw_only=True)
class LdlaLossWeights:
    """Weight of each loss; 0 leaves it out.

    Args:
        zone: of the noise under P_zone.
        full: of the noise under P_full.
        score: of the score that is read.
        cycle: of the way back.
        pair: of the distance to the other picture of a pair, in units of the noise.
    """

    zone: float = 1.0
    full: float = 1.0
    score: float = 0.2
    cycle: float = 0.1
    pair: float = 1.0


@dataclass(frozen=True, kw_only=True)
class LdlaTrainingConfig:
    """Everything that decides which weights come out, beside the base and the latents.

    Args:
        seed: of the run.
        schedule: length and batch.
        weights: of the losses.
        rate: highest learning rate of the denoiser.
        reading: length and batch of the net that reads scores, before the rest is trained.
        reading_rate: its highest learning rate then.
        score_rate: the same beside the rest.
        honest_batch: pictures it goes on learning from, at every step.
        pairing: the stages before the paper's losses.
        lora_rank: of the matrices added to attention layers; 0 trains the whole denoiser.
        silent: share of zones shown without a prompt.
        clear: share shown without noise, as zones are in use.
        steps: least and greatest noise step, of 1000; small ones are drawn more often.
        honest_below: noise step below which the net that reads scores also learns from one-step estimates.
        paired: share of targets that are the score of the other picture of the pair.
        near: share of the others that are near the score there is.
        reach: how near.
        quiet: share of the run before score and cycle count, then as long again until they count in full.
    """

    seed: int = 0
    schedule: TrainerConfig = TrainerConfig(steps=300, batch=8, weight_decay=0.01, ema_decay=0.99, max_grad_norm=1.0)
    weights: LdlaLossWeights = field(default_factory=LdlaLossWeights)
    rate: float = 1e-4
    reading: TrainerConfig = TrainerConfig(steps=1000, batch=64, weight_decay=0.01, ema_decay=0.99, max_grad_norm=1.0)
    reading_rate: float = 1e-3
    score_rate: float = 1e-4
    honest_batch: int = 32
    pairing: tuple[PretrainConfig, ...] = (PretrainConfig(), IN_USE, IN_USE, LAST, LAST)
    lora_rank: int = 0
    silent: float = 0.1
    clear: float = 0.5
    steps: tuple[int, int] = (5, 400)
    honest_below: int = 400
    paired: float = 0.6
    near: float = 0.5
    reach: float = 0.3
    quiet: float = 0.05


@dataclass(frozen=True)
class Draw:
    """What chance decides about a batch, (B, ...) each."""

    targets: Tensor
    paired: Tensor
    steps: Tensor
    noise: Tensor
    noise_back: Tensor
    silent: Tensor


def draw_order(batch: PairedLatentBatch, recipe: LdlaTrainingConfig, generator: Generator) -> Draw:
    """Targets, of their pair, near the score there is or anywhere, noise steps and noise."""
    num = len(batch.values)
    anywhere, by, coin, of_pair, place, quiet = torch.rand(6, num, generator=generator)
    noise, noise_back = torch.randn(2, *batch.values.shape, generator=generator)
    near = (batch.scores + recipe.reach * (2 * by - 1)).clamp(0, 1)
    free, paired = torch.where(coin < recipe.near, near, anywhere), of_pair < recipe.paired
    return Draw(
        targets=torch.where(paired, batch.partner_scores, free),
        paired=paired,
        steps=draw_steps(place, recipe.steps),
        noise=leave_clear(noise, recipe.clear, generator),
        noise_back=noise_back,
        silent=quiet < recipe.silent,
    )


class Ldla(nn.Module):
    """A base's denoiser, the net that reads scores, and the losses of both.

    Args:
        base: frozen but for its denoiser.
        score_net: reads the scores of latents.
    """

    def __init__(self, base: DiffusionBase, score_net: nn.Module) -> None:
        super().__init__()
        self.unet, self.score_net = base.unet, score_net
        self.signal: Tensor
        self.num_steps: Tensor
        self.register_buffer("signal", base.scheduler.alphas_cumprod.sqrt(), persistent=False)
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.long))
        self._base = [base]  # in a list, so that its other parts are not trained or saved
        self.seen: dict[str, float] = {}
        """Each loss of the last step, without its weight."""

    def forward(
        self, batch: PairedLatentBatch, draw: Draw, real: PairedLatentBatch, recipe: LdlaTrainingConfig
    ) -> Tensor:
        """What a step lowers; `real` is for the net that reads scores alone."""
        weights, ramp = recipe.weights, self._ramp(recipe)
        whole, close, target = self._say(batch, draw)
        noisy = add_noise(batch.values, draw.noise, self.signal[draw.steps])
        losses, back = self._noise_losses(noisy, draw, whole, close, weights)
        if weights.score or weights.cycle or weights.pair:
            found = self._predict(noisy, draw.steps, target)
            made = predict_x0(noisy, found, self.signal[draw.steps])
        if weights.score:
            frozen = {name: value.detach() for name, value in self.score_net.named_parameters()}
            read = torch.func.functional_call(self.score_net, frozen, (made, batch.kinds))
            losses["score"] = F.mse_loss(read, draw.targets)
        if weights.cycle:
            losses["cycle"] = self._cycle(batch.values, made, draw, whole)
        if weights.pair:
            away = distance(found, noise_between(noisy, batch.partners, self.signal[draw.steps]))
            losses["pair"] = (draw.paired * away).mean()
        honest = self._honest(batch, back.detach(), draw.steps < recipe.honest_below, real)
        self.seen = {name: loss.item() for name, loss in losses.items()} | {"honest": honest.item()}
        shares = {"score": ramp, "cycle": ramp}
        self.num_steps += 1
        weighted = [getattr(weights, name) * shares.get(name, 1.0) * loss for name, loss in losses.items()]
        return torch.stack(weighted).sum() + honest

    def _ramp(self, recipe: LdlaTrainingConfig) -> float:
        quiet = recipe.quiet * recipe.schedule.steps
        return float(((self.num_steps - quiet) / max(1.0, quiet)).clamp(0, 1))

    def _say(self, batch: PairedLatentBatch, draw: Draw) -> tuple[Tensor, Tensor, Tensor]:
        """P_full and P_zone, now and then neither, and P_target, as text."""
        wanted = list(
            zip(batch.kinds.tolist(), batch.scores.tolist(), draw.targets.tolist(), draw.silent.tolist(), strict=True)
        )
        whole = [UNCONDITIONAL if silent else whole_prompt(ZONES[kind], score) for kind, score, _, silent in wanted]
        close = [UNCONDITIONAL if silent else zone_prompt(ZONES[kind], score) for kind, score, _, silent in wanted]
        target = [whole_prompt(ZONES[kind], score) for kind, _, score, _ in wanted]
        return self._embed(whole), self._embed(close), self._embed(target)

    @torch.no_grad()
    def _embed(self, prompts: Sequence[str]) -> Tensor:
        return self._base[0].embed(prompts).to(self.signal.device)

    def _predict(self, noisy: Tensor, steps: Tensor, text: Tensor) -> Tensor:
        noise: Tensor = self.unet(noisy, steps, encoder_hidden_states=text).sample
        return noise.float()

    def _noise_losses(
        self, noisy: Tensor, draw: Draw, whole: Tensor, close: Tensor, weights: LdlaLossWeights
    ) -> tuple[dict[str, Tensor], Tensor]:
        """The losses of the noise, and the latents that P_full, or else P_zone, clears up."""
        texts = {"zone": close, "full": whole}
        used = [name for name in texts if getattr(weights, name)]
        num = len(used)
        found = self._predict(
            noisy.repeat(num, 1, 1, 1), draw.steps.repeat(num), torch.cat([texts[name] for name in used])
        )
        parts = dict(zip(used, found.chunk(num), strict=True))
        losses = {name: F.mse_loss(part, draw.noise) for name, part in parts.items()}
        return losses, predict_x0(noisy, parts[used[-1]], self.signal[draw.steps])

    def _cycle(self, values: Tensor, made: Tensor, draw: Draw, whole: Tensor) -> Tensor:
        signal = self.signal[draw.steps]
        noisy = add_noise(made, draw.noise_back, signal)
        return (predict_x0(noisy, self._predict(noisy, draw.steps, whole), signal) - values).abs().mean()

    def _honest(self, batch: PairedLatentBatch, estimates: Tensor, clear: Tensor, real: PairedLatentBatch) -> Tensor:
        """What the net that reads scores learns: the scores of pictures, and of clear estimates of others."""
        estimated = (self.score_net(estimates, batch.kinds) - batch.scores).square()
        return reading_error(self.score_net, real) + (clear * estimated).mean()


def reading_error(score_net: nn.Module, batch: PairedLatentBatch) -> Tensor:
    """Mean squared error of the scores that are read off latents."""
    return F.mse_loss(score_net(batch.values, batch.kinds).float(), batch.scores)


def learn_to_read(
    recipe: LdlaTrainingConfig, pairs: PairedLatents, channels: int, checkpoint: Path | None = None
) -> nn.Module:
    """A net that reads the scores of latents of so many channels, trained before anything is to please it."""
    device = process_state().device
    net = build_score_net(ScoreNetConfig(latent_channels=channels)).to(device)

    def loss_of(generator: Generator) -> Tensor:
        return reading_error(net, local_batch(sample_pairs(pairs, recipe.reading.batch, generator), device))

    return fit(
        net, loss_of, [(net, recipe.reading_rate)], recipe.reading, seed=recipe.seed, checkpoint=checkpoint
    ).requires_grad_(True)


def train_ldla(
    recipe: LdlaTrainingConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
) -> Ldla:
    """Trains `base.unet` in place, whole or by LoRA.

    Args:
        recipe: of the run.
        base: whose autoencoder made the pairs.
        pairs: of training people.
        checkpoint: file a stopped run is resumed from.
        watch: is told the number of each step that was made, and its losses.
    """
    torch.manual_seed(recipe.seed)
    device, resumed = process_state().device, bool(checkpoint and checkpoint.is_file())
    base.to(device)
    base.unet.requires_grad_(not recipe.lora_rank)
    if recipe.lora_rank:
        add_lora(base, recipe.lora_rank)
    channels = base.latent_channels
    if resumed:
        reader: nn.Module = build_score_net(ScoreNetConfig(latent_channels=channels))
    else:
        pretrain_stages(recipe, base, pairs, checkpoint, watch)
        torch.manual_seed(recipe.seed)  # wherever a stopped run goes on
        reader = learn_to_read(recipe, pairs, channels, checkpoint and checkpoint.with_suffix(".reading"))
    net = Ldla(base, reader).to(device)

    before = sum(stage.schedule.steps for stage in recipe.pairing)
    _learn(net, recipe, pairs, checkpoint, watch and partial(_later, watch, before))
    return net.requires_grad_(False)


def pretrain_stages(
    recipe: LdlaTrainingConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    checkpoint: Path | None,
    watch: Watch | None = None,
) -> Path | None:
    """The stages before the paper's losses.

    Returns:
        What is kept, beside the checkpoint, of what the last of them has made.
    """
    made, before = None, 0
    for place, stage in enumerate(recipe.pairing):
        made = checkpoint and checkpoint.with_suffix(f".paired-{place + 1}.safetensors")
        if made and made.is_file():
            base.unet.load_state_dict(load_torch_weights(made)[0])
        else:
            early = checkpoint and checkpoint.with_suffix(f".pairing-{place + 1}")
            pretrain(stage, base, pairs, recipe.seed + place, early, watch and partial(_later, watch, before))
            if made and process_state().is_main_process:
                save_weights(made, base.unet.state_dict(), describe(recipe, base), half=False)
            process_state().wait_for_everyone()
        before += stage.schedule.steps
    return made


def _later(watch: Watch, before: int, step: int, losses: Mapping[str, float]) -> None:
    watch(before + step, losses)


def _learn(
    net: Ldla,
    recipe: LdlaTrainingConfig,
    pairs: PairedLatents,
    checkpoint: Path | None,
    watch: Watch | None,
) -> None:
    """A stage: the net has the running mean of its weights in the end."""
    device = process_state().device
    net.num_steps.zero_()

    def loss_of(generator: Generator) -> Tensor:
        batch = sample_pairs(pairs, recipe.schedule.batch, generator)
        draw = draw_order(batch, recipe, generator)
        real = sample_pairs(pairs, recipe.honest_batch, generator)
        return net(local_batch(batch, device), local_batch(draw, device), local_batch(real, device), recipe)

    def tell(step: int, loss: float, mean: nn.Module) -> None:
        if watch:
            watch(step, {**net.seen, "loss": loss})

    rates: list[tuple[nn.Module, float]] = [(net.unet, recipe.rate), (net.score_net, recipe.score_rate)]
    mean = fit(net, loss_of, rates, recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=tell)
    net.load_state_dict(mean.state_dict())


def add_lora(base: DiffusionBase, rank: int) -> None:
    """Matrices of this rank beside those of the denoiser's attention layers, and nothing else to be trained."""
    from peft import LoraConfig

    base.unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, target_modules=list(LORA_LAYERS)))


def trained_tensors(base: DiffusionBase, recipe: LdlaTrainingConfig) -> dict[str, Tensor]:
    """What a weights file has to hold: the whole denoiser, or the matrices that were added."""
    return lora.trained_tensors(base.unet, recipe.lora_rank)


def describe(recipe: LdlaTrainingConfig, base: DiffusionBase) -> dict[str, object]:
    """What the weights file says about the weights."""
    return {
        "base": base.name,
        "base_hash": base.weights_hash if recipe.lora_rank else base.frame_hash,
        "lora_rank": recipe.lora_rank,
        "recipe": asdict(recipe),
        "seed": recipe.seed,
    }
