"""LDLA as one module to train: a base's denoiser, the net that scores latents, and a step's loss."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Generator, Tensor, nn

from reage.nets.diffusion import DiffusionBase
from reage.nets.score_net import ScoreNetConfig
from reage.prompts import UNCONDITIONAL, whole_prompt, zone_prompt
from reage.training.diffusion.latents import add_noise, noise_for_x0, predict_x0
from reage.training.ldla.dataset import PairedLatentBatch, PairedLatentsConfig
from reage.training.ldla.losses import (
    LdlaLossWeights,
    cycle_loss,
    estimate_score_loss,
    noise_loss,
    pair_loss,
    score_loss,
    score_net_loss,
)
from reage.training.ldla.pretrain import LOW_NOISE, SHORT_LOW_NOISE, PretrainConfig, drop_noise, sample_timesteps
from reage.training.skin_changes import SkinChangeConfig
from reage.training.trainer import StepLoss, TrainerConfig, call_frozen
from reage.zones import ZONES


@dataclass(frozen=True, kw_only=True)
class LdlaTrainingConfig:
    """Everything that decides on the weights, except the base and the portraits.

    Args:
        seed: of the run.
        start: weights of LDLA, shipped or a file, whose denoiser is trained on; "" for that of the base.
        skin_changes: size of the set that pairs are made of; its seed is that of the run.
        dataset: how the pairs are made.
        pretrain: stages of training on pairs, before the paper's losses.
        trainer: length and optimisation of the stage with all losses.
        losses: weights of the losses.
        learning_rate: highest learning rate of the denoiser.
        score_net: size of the ScoreNet; the base decides on its latent channels.
        score_net_trainer: length and optimisation of the ScoreNet's own training, which comes before that stage.
        score_net_learning_rate: its highest learning rate then.
        score_net_joint_learning_rate: its highest learning rate in the stage with all losses.
        score_net_batch_size: latents of pictures it learns from at each step of that stage.
        score_net_max_step: timestep below which it also learns from one-step estimates.
        lora_rank: of the matrices added to attention layers; 0 trains the whole denoiser.
        prompt_dropout: share of zones with the empty prompt in the losses of the noise.
        no_noise_share: share of zones without noise, as at inference.
        noise_steps: lowest and highest timestep, of 1000; low ones are drawn more often.
        paired_target_share: share of target scores that are the score of the paired latents.
        near_target_share: share of the other target scores that are near the present score; the rest are uniform.
        near_target_range: largest distance of a near target score.
        ramp_start: share of the steps before the losses of score and cycle begin; as long again until they count in
            full.
    """

    seed: int = 0
    start: str = ""
    skin_changes: SkinChangeConfig = field(default_factory=SkinChangeConfig)
    dataset: PairedLatentsConfig = field(default_factory=PairedLatentsConfig)
    pretrain: tuple[PretrainConfig, ...] = (PretrainConfig(), LOW_NOISE, LOW_NOISE, SHORT_LOW_NOISE, SHORT_LOW_NOISE)
    trainer: TrainerConfig = TrainerConfig(
        steps=300, batch_size=8, weight_decay=0.01, ema_decay=0.99, max_grad_norm=1.0
    )
    losses: LdlaLossWeights = field(default_factory=LdlaLossWeights)
    learning_rate: float = 1e-4
    score_net: ScoreNetConfig = field(default_factory=ScoreNetConfig)
    score_net_trainer: TrainerConfig = TrainerConfig(
        steps=1000, batch_size=64, weight_decay=0.01, ema_decay=0.99, max_grad_norm=1.0
    )
    score_net_learning_rate: float = 1e-3
    score_net_joint_learning_rate: float = 1e-4
    score_net_batch_size: int = 32
    score_net_max_step: int = 400
    lora_rank: int = 0
    prompt_dropout: float = 0.1
    no_noise_share: float = 0.5
    noise_steps: tuple[int, int] = (5, 400)
    paired_target_share: float = 0.6
    near_target_share: float = 0.5
    near_target_range: float = 0.3
    ramp_start: float = 0.05


@dataclass(frozen=True)
class LdlaBatch:
    """A batch of the stage with all losses, (B, ...) each.

    Args:
        values: (B, c, h, w) latents of a zone.
        zones: (B,) places in `reage.zones.ZONES`.
        scores: (B,) of these latents.
        paired_values: (B, c, h, w) latents of the zone at another score.
        target_scores: (B,) in P_target.
        is_paired: (B,) whether the target score is that of `paired_values`.
        timesteps: (B,) int64.
        noise: (B, c, h, w).
        cycle_noise: (B, c, h, w) of the second pass of the cycle.
        is_uncond: (B,) whether P_full and P_zone are replaced by the empty prompt.
    """

    values: Tensor
    zones: Tensor
    scores: Tensor
    paired_values: Tensor
    target_scores: Tensor
    is_paired: Tensor
    timesteps: Tensor
    noise: Tensor
    cycle_noise: Tensor
    is_uncond: Tensor


def make_ldla_batch(pairs: PairedLatentBatch, config: LdlaTrainingConfig, generator: Generator) -> LdlaBatch:
    """Draws target scores, timesteps, noise and prompt dropout for a batch of pairs."""
    num = len(pairs.values)
    uniform, offset, near_choice, pair_choice, place, dropout = torch.rand(6, num, generator=generator)
    noise, cycle_noise = torch.randn(2, *pairs.values.shape, generator=generator)
    near = (pairs.scores + config.near_target_range * (2 * offset - 1)).clamp(0, 1)
    free, is_paired = (
        torch.where(near_choice < config.near_target_share, near, uniform),
        pair_choice < config.paired_target_share,
    )
    return LdlaBatch(
        values=pairs.values,
        zones=pairs.zones,
        scores=pairs.scores,
        paired_values=pairs.paired_values,
        target_scores=torch.where(is_paired, pairs.paired_scores, free),
        is_paired=is_paired,
        timesteps=sample_timesteps(place, config.noise_steps),
        noise=drop_noise(noise, config.no_noise_share, generator),
        cycle_noise=cycle_noise,
        is_uncond=dropout < config.prompt_dropout,
    )


class Ldla(nn.Module):
    """A base's denoiser and the ScoreNet; called with a batch it returns the loss of both.

    Args:
        base: of which only the denoiser is trained.
        score_net: scores latents.
    """

    def __init__(self, base: DiffusionBase, score_net: nn.Module) -> None:
        super().__init__()
        self.unet, self.score_net = base.unet, score_net
        self.sqrt_alpha_bars: Tensor
        self.num_steps: Tensor
        self.register_buffer("sqrt_alpha_bars", base.scheduler.alphas_cumprod.sqrt(), persistent=False)
        self.register_buffer("num_steps", torch.zeros((), dtype=torch.long))
        self._base = [base]  # in a list, so that its other parts are not trained or saved

    def forward(self, batch: LdlaBatch, score_net_batch: PairedLatentBatch, config: LdlaTrainingConfig) -> StepLoss:
        """The weighted sum of the denoiser's losses plus that of the ScoreNet.

        Args:
            batch: for the denoiser.
            score_net_batch: latents of pictures for the ScoreNet.
            config: weights of the losses, and when they begin.
        """
        weights, ramp = config.losses, self._ramp(config)
        full, zone, target = self._encode_prompts(batch)
        sqrt_alpha_bar = self.sqrt_alpha_bars[batch.timesteps]
        noisy = add_noise(batch.values, batch.noise, sqrt_alpha_bar)
        losses, estimates = self._noise_losses(noisy, batch, {"zone": zone, "full": full}, weights)
        if weights.score or weights.cycle or weights.pair:
            noise_pred = self._predict_noise(noisy, batch.timesteps, target)
            aged = predict_x0(noisy, noise_pred, sqrt_alpha_bar)
        if weights.score:
            losses["score"] = score_loss(self._score_frozen(aged, batch.zones), batch.target_scores)
        if weights.cycle:
            losses["cycle"] = cycle_loss(self._restore(aged, batch, full), batch.values)
        if weights.pair:
            paired_noise = noise_for_x0(noisy, batch.paired_values, sqrt_alpha_bar)
            losses["pair"] = pair_loss(noise_pred, paired_noise, batch.is_paired)
        own_loss = self._score_net_loss(batch, estimates.detach(), score_net_batch, config)
        self.num_steps += 1
        ramps = {"score": ramp, "cycle": ramp}
        weighted = [getattr(weights, name) * ramps.get(name, 1.0) * loss for name, loss in losses.items()]
        return StepLoss(torch.stack(weighted).sum() + own_loss, {**losses, "score_net": own_loss})

    def _ramp(self, config: LdlaTrainingConfig) -> float:
        """Factor on the losses of score and cycle at this step."""
        start = config.ramp_start * config.trainer.steps
        return float(((self.num_steps - start) / max(1.0, start)).clamp(0, 1))

    def _encode_prompts(self, batch: LdlaBatch) -> tuple[Tensor, Tensor, Tensor]:
        """P_full, P_zone and P_target as text; the first two are empty where prompts are dropped."""
        columns = (batch.zones, batch.scores, batch.target_scores, batch.is_uncond)
        rows = list(zip(*(column.tolist() for column in columns), strict=True))
        full = [UNCONDITIONAL if uncond else whole_prompt(ZONES[zone], score) for zone, score, _, uncond in rows]
        close = [UNCONDITIONAL if uncond else zone_prompt(ZONES[zone], score) for zone, score, _, uncond in rows]
        target = [whole_prompt(ZONES[zone], score) for zone, _, score, _ in rows]
        return self._embed(full), self._embed(close), self._embed(target)

    @torch.no_grad()
    def _embed(self, prompts: list[str]) -> Tensor:
        return self._base[0].embed(prompts).to(self.sqrt_alpha_bars.device)

    def _predict_noise(self, noisy: Tensor, timesteps: Tensor, text: Tensor) -> Tensor:
        noise_pred: Tensor = self.unet(noisy, timesteps, encoder_hidden_states=text).sample
        return noise_pred.float()

    def _noise_losses(
        self, noisy: Tensor, batch: LdlaBatch, texts: dict[str, Tensor], weights: LdlaLossWeights
    ) -> tuple[dict[str, Tensor], Tensor]:
        """L_zone and L_full, and the one-step estimates of the latents under P_full, or else under P_zone."""
        used = [name for name in texts if getattr(weights, name)]
        num = len(used)
        noise_pred = self._predict_noise(
            noisy.repeat(num, 1, 1, 1), batch.timesteps.repeat(num), torch.cat([texts[name] for name in used])
        )
        parts = dict(zip(used, noise_pred.chunk(num), strict=True))
        losses = {name: noise_loss(part, batch.noise) for name, part in parts.items()}
        return losses, predict_x0(noisy, parts[used[-1]], self.sqrt_alpha_bars[batch.timesteps])

    def _score_frozen(self, latents: Tensor, zones: Tensor) -> Tensor:
        """Scores whose gradient goes to the latents and not to the ScoreNet."""
        scores: Tensor = call_frozen(self.score_net, latents, zones)
        return scores

    def _restore(self, aged: Tensor, batch: LdlaBatch, full: Tensor) -> Tensor:
        """The second pass of the cycle: aged latents noised again and denoised in one step under P_full."""
        sqrt_alpha_bar = self.sqrt_alpha_bars[batch.timesteps]
        noisy = add_noise(aged, batch.cycle_noise, sqrt_alpha_bar)
        return predict_x0(noisy, self._predict_noise(noisy, batch.timesteps, full), sqrt_alpha_bar)

    def _score_net_loss(
        self, batch: LdlaBatch, estimates: Tensor, score_net_batch: PairedLatentBatch, config: LdlaTrainingConfig
    ) -> Tensor:
        """The loss of the ScoreNet on latents of pictures and on one-step estimates of others."""
        is_clear = batch.timesteps < config.score_net_max_step
        on_estimates = estimate_score_loss(self.score_net(estimates, batch.zones), batch.scores, is_clear)
        return measure_score_net_loss(self.score_net, score_net_batch) + on_estimates


def measure_score_net_loss(score_net: nn.Module, batch: PairedLatentBatch) -> Tensor:
    """The loss of the ScoreNet on latents of pictures."""
    return score_net_loss(score_net(batch.values, batch.zones).float(), batch.scores)
