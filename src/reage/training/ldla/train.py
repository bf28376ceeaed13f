"""The recipe `ldla`: from any latent diffusion base and portraits to LDLA (arXiv 2507.21600).

The denoiser is first trained on pairs that `exemplar` makes (`reage.training.ldla.pretrain`), then with the paper's
four losses and that on pairs (`reage.training.ldla.losses`). The base's autoencoder and text encoder stay as they are.
The ScoreNet learns only from latents of pictures, so that denoiser and ScoreNet cannot agree on wrong scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.progress import track
from torch import Generator, Tensor, nn

from reage.data.shards import Portraits
from reage.errors import WeightsError
from reage.nets import lora
from reage.nets.diffusion import DiffusionBase, load_base
from reage.nets.score_net import ScoreNet, build_score_net
from reage.training.ldla.dataset import PairedLatents, choose_faces, encode_pairs, sample_pairs
from reage.training.ldla.module import Ldla, LdlaTrainingConfig, make_ldla_batch, measure_score_net_loss
from reage.training.ldla.pretrain import LOW_NOISE, pretrain
from reage.training.logger import log_losses
from reage.training.runner import DEFAULT_BASE, RunContext, Weights
from reage.training.skin_changes import cached_skin_changes
from reage.training.trainer import Callback, StepLoss, Trainer, after_steps, local_batch, process_state
from reage.weights import find_weights, load_torch_weights, made_for, save_weights


def ldla() -> LdlaTrainingConfig:
    """The configuration of the shipped weights, which went on from those shipped before."""
    trainer = LdlaTrainingConfig().trainer
    return LdlaTrainingConfig(
        start="ldla",
        pretrain=(replace(LOW_NOISE, trainer=replace(LOW_NOISE.trainer, steps=1200), learning_rate=2e-4),),
        trainer=replace(trainer, steps=120),
        score_net_trainer=replace(LdlaTrainingConfig().score_net_trainer, steps=300),
    )


def run(config: LdlaTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Trains the denoiser of `context.base`, or LoRA matrices for it.

    On another base than the shipped one it starts from that base, with all stages of pretraining.
    """
    base = load_base(context.base)
    if context.base != DEFAULT_BASE:
        config = replace(config, start="", pretrain=LdlaTrainingConfig().pretrain if config.start else config.pretrain)
    pairs = cached_pairs(config, base, portraits, context)
    train_ldla(config, base, pairs, context.checkpoint, log_losses(context.log_dir))
    return trained_tensors(base, config), describe(config, base)


def train_ldla(
    config: LdlaTrainingConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Ldla:
    """Trains `base.unet` in place, whole or by LoRA.

    Args:
        config: of the run.
        base: whose autoencoder made the pairs.
        pairs: of training people.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step on pairs and with all losses, see `reage.training.trainer.Trainer`.
    """
    torch.manual_seed(config.seed)
    device, resumed = process_state().device, bool(checkpoint and checkpoint.is_file())
    base.to(device)
    if config.start:
        _take_denoiser(base, config)
    base.unet.requires_grad_(not config.lora_rank)
    if config.lora_rank:
        lora.add_lora(base, config.lora_rank)
    if resumed:
        score_net: nn.Module = _build_score_net(config, base)
    else:
        pretrain_stages(config, base, pairs, checkpoint, callbacks)
        torch.manual_seed(config.seed)  # the same whether stages before were run or resumed
        score_net = train_score_net(config, base, pairs, checkpoint and checkpoint.with_suffix(".score-net"))
    net = Ldla(base, score_net).to(device)
    steps_before = sum(stage.trainer.steps for stage in config.pretrain)
    _train_jointly(net, config, pairs, checkpoint, after_steps(steps_before, callbacks))
    return net.requires_grad_(False)


def _take_denoiser(base: DiffusionBase, config: LdlaTrainingConfig) -> None:
    """Reads the denoiser of other weights of LDLA into the base.

    Raises:
        WeightsError: when they are no whole denoiser, or of a base with another autoencoder or text encoder.
    """
    path = find_weights(config.start)
    tensors, stored = load_torch_weights(path)
    with made_for(path, "LDLA"):
        known_hash, rank = stored["base_hash"], int(stored["lora_rank"])
    if rank or known_hash != base.hash_without_denoiser:
        raise WeightsError(
            f"{path} is no whole denoiser for the base '{base.name}'; give weights of LDLA that were trained on it "
            'without LoRA, or start from the base with start="".'
        )
    with made_for(path, f"LDLA on {base.name}"):
        lora.load_trained_tensors(base.unet, tensors, 0)


def pretrain_stages(
    config: LdlaTrainingConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> Path | None:
    """Trains the denoiser on pairs, in all stages of the config; a stage whose weights are there is not run again.

    Returns:
        The weights file of the last stage, beside the checkpoint; None without one.
    """
    weights_path, steps_before = None, 0
    for number, stage in enumerate(config.pretrain, start=1):
        weights_path = checkpoint and checkpoint.with_suffix(f".pretrain-{number}.safetensors")
        if weights_path and weights_path.is_file():
            base.unet.load_state_dict(load_torch_weights(weights_path)[0])
        else:
            own_checkpoint = checkpoint and checkpoint.with_suffix(f".pretrain-{number}-checkpoint")
            seed = config.seed + number - 1
            pretrain(stage, base, pairs, seed, own_checkpoint, after_steps(steps_before, callbacks))
            if weights_path and process_state().is_main_process:
                save_weights(weights_path, base.unet.state_dict(), describe(config, base), fp16=False)
            process_state().wait_for_everyone()
        steps_before += stage.trainer.steps
    return weights_path


def train_score_net(
    config: LdlaTrainingConfig,
    base: DiffusionBase,
    pairs: PairedLatents,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> nn.Module:
    """A ScoreNet for the latents of a base, trained before the denoiser is trained with its scores.

    Args:
        config: of the run.
        base: whose autoencoder made the pairs.
        pairs: of training people.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step, see `reage.training.trainer.Trainer`.
    """
    device, own = process_state().device, config.score_net_trainer
    net = _build_score_net(config, base).to(device)

    def loss_fn(generator: Generator) -> Tensor:
        return measure_score_net_loss(net, local_batch(sample_pairs(pairs, own.batch_size, generator), device))

    trainer = Trainer(own, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    return trainer.fit(net, loss_fn, [(net, config.score_net_learning_rate)]).requires_grad_(True)


def _build_score_net(config: LdlaTrainingConfig, base: DiffusionBase) -> ScoreNet:
    return build_score_net(replace(config.score_net, latent_channels=base.latent_channels))


def _train_jointly(
    net: Ldla,
    config: LdlaTrainingConfig,
    pairs: PairedLatents,
    checkpoint: Path | None,
    callbacks: Sequence[Callback],
) -> None:
    """The stage with all losses; at the end `net` has the EMA of its weights."""
    device = process_state().device
    net.num_steps.zero_()

    def loss_fn(generator: Generator) -> StepLoss:
        batch = make_ldla_batch(sample_pairs(pairs, config.trainer.batch_size, generator), config, generator)
        score_net_batch = sample_pairs(pairs, config.score_net_batch_size, generator)
        found: StepLoss = net(local_batch(batch, device), local_batch(score_net_batch, device), config)
        return found

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    groups: list[tuple[nn.Module, float]] = [
        (net.unet, config.learning_rate),
        (net.score_net, config.score_net_joint_learning_rate),
    ]
    net.load_state_dict(trainer.fit(net, loss_fn, groups).state_dict())


# Weights


def trained_tensors(base: DiffusionBase, config: LdlaTrainingConfig) -> dict[str, Tensor]:
    """The tensors of a weights file: the whole denoiser, or the LoRA matrices."""
    return lora.trained_tensors(base.unet, config.lora_rank)


def describe(config: LdlaTrainingConfig, base: DiffusionBase) -> dict[str, object]:
    """The config of a weights file."""
    return {
        "base": base.name,
        "base_hash": base.weights_hash if config.lora_rank else base.hash_without_denoiser,
        "lora_rank": config.lora_rank,
        "recipe": asdict(config),
        "seed": config.seed,
    }


# Pairs


def cached_pairs(
    config: LdlaTrainingConfig, base: DiffusionBase, portraits: Portraits, context: RunContext
) -> PairedLatents:
    """The pairs of training people as this base encodes them; made once for a run."""

    def make() -> PairedLatents:
        training = portraits.pick(portraits.split == "train")
        chosen = choose_faces(training, config.dataset.num_faces, config.seed)
        changes = cached_skin_changes(replace(config.skin_changes, seed=config.seed), chosen, context)
        return encode_pairs(base, changes, config.dataset, config.seed, lambda rows: track(rows, "pairs"))

    return context.cached(".pairs.npz", PairedLatents, make)
