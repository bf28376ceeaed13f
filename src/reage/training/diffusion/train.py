"""The recipe `ldm-small`: from portraits to a small latent diffusion base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from rich.progress import track

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.shards import Portraits
from reage.errors import WeightsError
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.measure import DlibRecognizer
from reage.nets.diffusion import (
    DiffusionBase,
    DiffusionConfig,
    build_base,
    load_base,
    require_diffusion,
    save_base,
    small,
)
from reage.nets.identity_projection import IdentityProjection
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.diffusion.autoencoder import AutoencoderTrainingConfig, train_autoencoder
from reage.training.diffusion.dataset import CropDataset, make_crop_dataset, pick_useful
from reage.training.diffusion.denoiser import Denoiser, DenoiserTrainingConfig, train_denoiser
from reage.training.diffusion.latents import Latents, encode_crops
from reage.training.logger import log_losses
from reage.training.runner import DEFAULT_BASE, RunContext


@dataclass(frozen=True, kw_only=True)
class LdmTrainingConfig:
    """Everything that decides on the weights of a base.

    Args:
        seed: of the first weights.
        net: sizes; of a base that another starts from, only those of the identity projection count.
        start: base whose autoencoder and text encoder are kept and whose denoiser goes on learning; "" trains all
            from random weights.
        query_ages: ages in years of generated pictures, by the words they were asked for with.
        max_yaw_degrees: portraits that are turned further are left out.
        autoencoder: its training, without a base to start from.
        num_versions: latents of each crop on average, augmented differently.
        num_extra_faces: further versions of the whole face.
        denoiser: training of the denoiser and the identity projection, and of a text encoder that is new.
    """

    seed: int = 0
    net: DiffusionConfig = field(default_factory=small)
    start: str = DEFAULT_BASE
    query_ages: tuple[tuple[str, float], ...] = QUERY_AGES
    max_yaw_degrees: float = 35.0
    autoencoder: AutoencoderTrainingConfig = field(default_factory=AutoencoderTrainingConfig)
    num_versions: float = 1.0
    num_extra_faces: int = 3
    denoiser: DenoiserTrainingConfig = field(default_factory=DenoiserTrainingConfig)


def ldm_small() -> LdmTrainingConfig:
    """The configuration of the shipped base."""
    return LdmTrainingConfig()


def run(config: LdmTrainingConfig, portraits: Portraits, context: RunContext) -> DiffusionBase:
    """Trains the denoiser of a base with its identity projection; without a base to start from, all its parts.

    Each finished stage is kept in a folder beside the checkpoint, from which a stopped run is resumed; `end_early` ends
    one instead.
    """
    require_diffusion()
    people = training_people(config, portraits)
    crops, identities = cached_crop_dataset(people, context), cached_identities(people, context).values
    base, steps_done, start_hash = build_first(config), 0, ""
    if config.start:
        start_hash = base.weights_hash
    else:
        callbacks = log_losses(context.log_dir, loss_name="autoencoder")
        train = partial(train_autoencoder, config.autoencoder, crops=crops, callbacks=callbacks)
        base, steps_done = _run_stage("autoencoder", base, train, context), config.autoencoder.trainer.steps
    latents = cached_latents(config, base, crops, context)
    callbacks = log_losses(context.log_dir, steps_done, loss_name="denoiser")
    train = partial(
        train_denoiser,
        config.denoiser,
        latents=latents,
        identities=identities,
        train_text_encoder=not config.start,
        callbacks=callbacks,
    )
    base = _run_stage("denoiser", base, train, context)
    base.provenance = {**asdict(config), "start_hash": start_hash}
    return base


def end_early(config: LdmTrainingConfig, context: RunContext) -> DiffusionBase:
    """The base of a run that was stopped while its denoiser was trained, from the last checkpoint of that.

    Its provenance tells the steps that were made.

    Example:
        >>> context = RunContext(checkpoint=Path("ldm-small.checkpoint"))  # doctest: +SKIP
        >>> base = end_early(ldm_small(), context)  # doctest: +SKIP
        >>> save_base("ldm-small", base)  # doctest: +SKIP

    Raises:
        WeightsError: when there is no such checkpoint.
    """
    path = context.checkpoint.with_suffix(".denoiser-checkpoint")
    if not path.is_file():
        raise WeightsError(f"There is no checkpoint {path}; train a denoiser for some minutes first.")
    base = build_first(config) if config.start else load_base(context.checkpoint.with_suffix(".autoencoder"))
    start_hash = base.weights_hash if config.start else ""
    stopped = torch.load(path, map_location="cpu", weights_only=True)
    Denoiser(base).load_state_dict(stopped["ema"])
    base.provenance = {**asdict(config), "start_hash": start_hash, "denoiser_steps_made": stopped["step"]}
    return base


def training_people(config: LdmTrainingConfig, portraits: Portraits) -> Portraits:
    """The portraits that a base is trained on, with the ages of their captions."""
    training = portraits.pick(portraits.split == "train")
    return pick_useful(with_taught_ages(training, dict(config.query_ages)), config.max_yaw_degrees)


def build_first(config: LdmTrainingConfig) -> DiffusionBase:
    """The base before its training; one that takes texts alone gets an identity projection."""
    torch.manual_seed(config.seed)
    if not config.start:
        return build_base(config.net, build_tokenizer(all_prompts()), DEFAULT_BASE)
    base = load_base(config.start)
    if base.identity is None and config.net.identity is not None:
        base.identity = IdentityProjection(config.net.identity, base.text_encoder.config.hidden_size)
    return base


def _run_stage(name: str, base: DiffusionBase, train: Callable[..., None], context: RunContext) -> DiffusionBase:
    """The base after a stage, read from its folder, which is made first unless it is there."""
    folder = context.checkpoint.with_suffix(f".{name}")
    if not folder.exists():
        train(base=base, checkpoint=context.checkpoint.with_suffix(f".{name}-checkpoint"))
        save_base(folder, base)
    return load_base(folder)


def cached_crop_dataset(portraits: Portraits, context: RunContext) -> CropDataset:
    """The crops of training people with the scores of their zones; measured once for a run."""

    def make() -> CropDataset:
        scorer, parser = ZoneScorer.load("zones-a"), FaceParser.load()
        return make_crop_dataset(portraits, scorer, parser, lambda rows: track(rows, "portraits"))

    return context.cached(".crops.npz", CropDataset, make)


@dataclass(frozen=True, kw_only=True)
class Identities:
    """Embeddings (N, 128) float32 of the faces of N portraits, by `reage.measure.DlibRecognizer`."""

    values: NDArray[np.float32]


def cached_identities(portraits: Portraits, context: RunContext) -> Identities:
    """The embeddings of training people; measured once for a run."""

    def make() -> Identities:
        return Identities(values=DlibRecognizer.load().embed_crops(portraits.crops, portraits.landmarks))

    return context.cached(".identities.npz", Identities, make)


def cached_latents(config: LdmTrainingConfig, base: DiffusionBase, crops: CropDataset, context: RunContext) -> Latents:
    """The latents of the crops; encoded once for a run."""

    def make() -> Latents:
        return encode_crops(
            base,
            crops,
            config.num_versions,
            config.num_extra_faces,
            config=config.autoencoder.dataset,
            track=lambda rows: track(rows, "latents"),
        )

    return context.cached(".latents.npz", Latents, make)
