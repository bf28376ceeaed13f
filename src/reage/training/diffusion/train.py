"""The recipe `ldm-small`: from portraits to a small latent diffusion base."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from functools import partial

import torch
from rich.progress import track

from reage.data.shards import Portraits
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.nets.diffusion import (
    DiffusionBase,
    DiffusionConfig,
    build_base,
    load_base,
    require_diffusion,
    save_base,
    small,
)
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.diffusion.autoencoder import AutoencoderTrainingConfig, train_autoencoder
from reage.training.diffusion.dataset import CropDataset, make_crop_dataset
from reage.training.diffusion.denoiser import FACE_DENOISER, DenoiserTrainingConfig, train_denoiser
from reage.training.diffusion.latents import Latents, encode_crops
from reage.training.logger import log_losses
from reage.training.runner import DEFAULT_BASE, RunContext


@dataclass(frozen=True, kw_only=True)
class LdmTrainingConfig:
    """Everything that decides on the weights of a base.

    Args:
        seed: of the first weights.
        net: sizes.
        autoencoder: its training.
        num_versions: latents of each crop, augmented differently.
        num_extra_faces: further versions of the whole face.
        denoiser: training of denoiser and text encoder, mainly on zones.
        face_denoiser: second training of the denoiser, mainly on faces.
    """

    seed: int = 0
    net: DiffusionConfig = field(default_factory=small)
    autoencoder: AutoencoderTrainingConfig = field(default_factory=AutoencoderTrainingConfig)
    num_versions: int = 2
    num_extra_faces: int = 6
    denoiser: DenoiserTrainingConfig = field(default_factory=DenoiserTrainingConfig)
    face_denoiser: DenoiserTrainingConfig = FACE_DENOISER


def ldm_small() -> LdmTrainingConfig:
    """The configuration of the shipped base."""
    return LdmTrainingConfig()


def run(config: LdmTrainingConfig, portraits: Portraits, context: RunContext) -> DiffusionBase:
    """Trains the autoencoder, the denoiser with the text encoder, and the denoiser once more on faces.

    Each finished stage is kept in a folder beside the checkpoint, from which a stopped run is resumed.
    """
    require_diffusion()
    crops = cached_crop_dataset(portraits.pick(portraits.split == "train"), context)
    torch.manual_seed(config.seed)
    base = build_base(config.net, build_tokenizer(all_prompts()), DEFAULT_BASE)
    callbacks = log_losses(context.log_dir, loss_name="autoencoder")
    train = partial(train_autoencoder, config.autoencoder, crops=crops, callbacks=callbacks)
    base = _run_stage("autoencoder", base, train, context)
    latents, steps_done = cached_latents(config, base, crops, context), config.autoencoder.trainer.steps
    for name, stage in (("denoiser", config.denoiser), ("face-denoiser", config.face_denoiser)):
        callbacks = log_losses(context.log_dir, steps_done, loss_name="denoiser")
        train = partial(train_denoiser, stage, latents=latents, callbacks=callbacks)
        base = _run_stage(name, base, train, context)
        steps_done += stage.trainer.steps
    base.provenance = asdict(config)
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
