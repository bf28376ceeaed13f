"""Trains AgeTransGAN (ECCV 2022) in stages: taught by `exemplar`, then adversarially, then with L_MI.

From scratch the paper's losses need weeks on a large GPU and tens of thousands of faces. Here the generator first
learns the pictures that `exemplar` makes of each training face at other ages, and the paper's losses then refine it.
The third stage, off by default, is the fine-tuning with or without the loss L_MI of an age-invariant encoder.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from rich.progress import track
from torch import Generator

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.shards import Portraits
from reage.nets.age import load_age_net
from reage.nets.agetransgan import equalised_groups
from reage.nets.agetransgan_config import AgeTransGanConfig, GeneratorConfig, cpu
from reage.nets.aifd import load_aifd
from reage.nets.dlib_resnet import load_dlib_resnet
from reage.training.agetransgan.dataset import AgeTransGanDataset, AgeTransGanDatasetConfig
from reage.training.agetransgan.losses import LossWeights, published_weights, teaching_weights
from reage.training.agetransgan.model import AgeTransGan, Embed
from reage.training.agetransgan.multi_pose import turn_faces
from reage.training.agetransgan.proportions import Proportions, measure_child
from reage.training.cross_age import CROSS_AGE_PX, CrossAgeDataset, make_cross_age_dataset
from reage.training.dreambooth.identity_encoder import encode_centre
from reage.training.logger import log_losses
from reage.training.runner import RunContext, Weights
from reage.training.trainer import (
    Callback,
    StepLoss,
    Trainer,
    TrainerConfig,
    after_steps,
    local_batch,
    process_state,
)
from reage.types import Plane

STAGES = ("teach", "refine", "mutual")


@dataclass(frozen=True, kw_only=True)
class StageConfig:
    """One stage.

    Args:
        trainer: length and optimisation; 0 steps leave the stage out.
        weights: of the losses.
        learning_rate: highest, of the generator, see `reage.nets.agetransgan.equalised_groups`.
        discriminator_learning_rate: the same of the discriminator.
        betas: see `reage.training.trainer.Trainer`.
    """

    trainer: TrainerConfig
    weights: LossWeights
    learning_rate: float
    discriminator_learning_rate: float = 0.0
    betas: tuple[float, float] = (0.0, 0.99)


def _trainer(steps: int, batch_size: int) -> TrainerConfig:
    return TrainerConfig(steps=steps, batch_size=batch_size, weight_decay=0.0, ema_decay=0.995, max_grad_norm=1000.0)


def _teach() -> StageConfig:
    return StageConfig(trainer=_trainer(3000, 16), weights=teaching_weights(), learning_rate=0.005, betas=(0.9, 0.999))


def _refine() -> StageConfig:
    published = published_weights()
    names = ("adversarial", "age_class", "cycle", "triplet")
    # the published 10 for pixels would undo a third of the change; dlib's features are smaller than those of the paper
    own = {"pixel": 1.0, "identity": 30.0, "age": 1.0}
    # half of what pulls towards the mean of all pictures that the teacher could have made, and twice the colour
    teacher = {"reconstruction": 2.5, "squared": 12.5, "low_frequency": 7.5, "detail": 5.0, "chroma": 50.0}
    weights = replace(teaching_weights(), **{name: getattr(published, name) for name in names}, **own, **teacher)
    return StageConfig(
        trainer=_trainer(600, 8), weights=weights, learning_rate=0.002, discriminator_learning_rate=0.002
    )


def _no_mutual() -> StageConfig:
    return replace(_refine(), trainer=_trainer(0, 8))


@dataclass(frozen=True, kw_only=True)
class AgeTransGanTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        net: size of both nets.
        dataset: how batches are drawn.
        teach: the first stage, on the teacher's pictures.
        refine: the second stage, the paper's losses beside the teacher.
        mutual: the third stage, which may add L_MI; off by default.
        turned_faces: faces of the multi-pose set that the third stage learns from.
    """

    seed: int = 0
    net: AgeTransGanConfig = field(default_factory=cpu)
    dataset: AgeTransGanDatasetConfig = field(default_factory=AgeTransGanDatasetConfig)
    teach: StageConfig = field(default_factory=_teach)
    refine: StageConfig = field(default_factory=_refine)
    mutual: StageConfig = field(default_factory=_no_mutual)
    turned_faces: int = 400


def agetransgan() -> AgeTransGanTrainingConfig:
    """The configuration of the shipped weights."""
    return AgeTransGanTrainingConfig()


def agetransgan_mi(weight: float = 10.0, *, seed: int = 0, steps: int = 80) -> AgeTransGanTrainingConfig:
    """The configuration of a run with the third stage; with weight 0 it is the same run without L_MI.

    Args:
        weight: of L_MI; 10 is the weight of 1 - cos terms in related code.
        seed: of the run.
        steps: of the third stage.
    """
    config = AgeTransGanTrainingConfig(seed=seed)
    stage = replace(config.refine, trainer=_trainer(steps, 8))
    return replace(config, mutual=replace(stage, weights=replace(stage.weights, mutual_identity=weight)))


def run(config: AgeTransGanTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Makes the cross-age set and trains all stages.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
    """
    dataset = make_dataset(config, portraits, context)
    embed, turned = None, None
    if config.mutual.trainer.steps:
        embed = load_embed(config.net.generator, process_state().device)
        turned = make_dataset(config, portraits, context, config.turned_faces)
    net = train_agetransgan(config, dataset, context.checkpoint, log_losses(context.log_dir), embed, turned)
    return dict(net.generator.state_dict()), to_stored_config(config, dataset.child)


def make_dataset(
    config: AgeTransGanTrainingConfig, portraits: Portraits, context: RunContext, turned_faces: int = 0
) -> AgeTransGanDataset:
    """The cross-age set of the training people, with their best known ages; it is kept beside the checkpoint.

    Args:
        config: of the run.
        portraits: of all people; only the training people are used.
        context: where the run keeps its files.
        turned_faces: so many of the faces, turned to other poses, instead of all as photographed, see `turn_faces`.
    """
    training = with_taught_ages(portraits.pick(portraits.split == "train"), dict(QUERY_AGES))

    def make() -> CrossAgeDataset:
        return make_cross_age_dataset(training, track=lambda rows: track(rows, "cross-age set", len(training)))

    stored = context.cached(".cross_age.npz", CrossAgeDataset, make)
    scale = CROSS_AGE_PX / training.crops.shape[1]
    meshes = (training.mesh * scale + (scale - 1) / 2 * np.array([1, 1, 0])).astype(np.float32)
    years = training.age_years.astype(np.float32)
    child = measure_child(meshes, years)
    if turned_faces:
        stored, meshes, rows = turn_faces(stored, meshes, count=turned_faces, seed=config.seed)
        years = years[rows]
    proportions = Proportions(meshes, CROSS_AGE_PX, child)
    return AgeTransGanDataset(stored, config.net.generator, config.dataset, real_years=years, proportions=proportions)


def to_stored_config(config: AgeTransGanTrainingConfig, child: Plane) -> dict[str, object]:
    """What is stored beside the weights: the generator's config, a child's proportions, the recipe and its seed."""
    rounded = np.round(child.astype(np.float64), 4).tolist()
    return {"net": asdict(config.net.generator), "child": rounded, "recipe": asdict(config), "seed": config.seed}


# Stages


def train_agetransgan(
    config: AgeTransGanTrainingConfig,
    dataset: AgeTransGanDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
    embed: Embed | None = None,
    turned: AgeTransGanDataset | None = None,
) -> AgeTransGan:
    """All stages, each resumed where it was stopped.

    Args:
        config: of the run.
        dataset: of training people.
        checkpoint: those of the stages have its name with the suffixes .teach, .refine and .mutual.
        callbacks: called after each step; steps of a stage are counted on from those of the stages before.
        embed: for L_MI, see `AgeTransGan`.
        turned: the multi-pose set for the third stage; by default `dataset`.
    """
    net = build_agetransgan(config, embed)
    done = [checkpoint is not None and checkpoint_of(checkpoint, stage).exists() for stage in STAGES]
    steps = 0
    for place, stage in enumerate(STAGES):
        stage_config: StageConfig = getattr(config, stage)
        if stage_config.trainer.steps and not any(done[place + 1 :]):
            faces = turned if stage == "mutual" and turned else dataset
            train_stage(config, stage, net, faces, checkpoint, after_steps(steps, callbacks))
        steps += stage_config.trainer.steps
    return net


def build_agetransgan(config: AgeTransGanTrainingConfig, embed: Embed | None = None) -> AgeTransGan:
    """Nets initialised from the seed of the run, with the shipped "age-a" and dlib's net as encoders."""
    torch.manual_seed(config.seed)
    device = process_state().device
    identify = load_identify(config.net.generator, device)
    return AgeTransGan(config.net, load_age_net("age-a", str(device)), identify, embed).to(device)


def load_identify(net: GeneratorConfig, device: torch.device) -> Embed:
    """Dlib's face recognition net on the pictures that the generator sees.

    `reage.measure.DlibRecognizer` is the same net, so what it says about a generator that learned by it is too kind.
    """
    return encode_centre(load_dlib_resnet().to(device), net.window)


def load_embed(net: GeneratorConfig, device: torch.device) -> Embed:
    """The age-invariant identity encoder on the pictures that the generator sees, for L_MI."""
    return encode_centre(load_aifd("aifd", str(device)).embed, net.window)


def train_stage(
    config: AgeTransGanTrainingConfig,
    name: str,
    net: AgeTransGan,
    dataset: AgeTransGanDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> None:
    """One of `STAGES`, on `net` in place; see `train_agetransgan`."""
    stage: StageConfig = getattr(config, name)
    groups = equalised_groups(net.generator, stage.learning_rate)
    if stage.discriminator_learning_rate:
        groups += equalised_groups(net.discriminator, stage.discriminator_learning_rate)
    trainer = Trainer(
        stage.trainer,
        seed=len(STAGES) * config.seed + STAGES.index(name),
        checkpoint=checkpoint and checkpoint_of(checkpoint, name),
        callbacks=callbacks,
        betas=stage.betas,
    )
    net.load_state_dict(trainer.fit(net, _make_loss(stage, name, net, dataset), groups).state_dict())


def _make_loss(
    stage: StageConfig, name: str, net: AgeTransGan, dataset: AgeTransGanDataset
) -> Callable[[Generator], StepLoss]:
    device, num = process_state().device, stage.trainer.batch_size

    def teach(generator: Generator) -> StepLoss:
        return net.teaching_loss(local_batch(dataset.sample_paired(num, generator), device), stage.weights)

    def refine(generator: Generator) -> StepLoss:
        batch = local_batch(dataset.sample_photos(num, generator), device)
        return net.adversarial_loss(batch, stage.weights, generator)

    return teach if name == "teach" else refine


def checkpoint_of(checkpoint: Path, stage: str) -> Path:
    """The checkpoint of a stage, beside that of the run."""
    return checkpoint.with_suffix(f".{stage}")
