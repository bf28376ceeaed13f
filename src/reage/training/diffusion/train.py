"""The recipes of latent diffusion: from portraits to a base of our own, and from any base to LDLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.progress import track

from reage.data.shards import Portraits
from reage.engines.prototype import PrototypeEngine
from reage.faces.segmentation import FaceParser
from reage.faces.zone_scorer import ZoneScorer
from reage.nets.diffusion import DiffusionBase, build_base, load_base, require_diffusion, save_base, small
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.diffusion.autoencoder import AutoencoderTrainingConfig, train_autoencoder
from reage.training.diffusion.dataset import CropDataset, make_crop_dataset
from reage.training.diffusion.denoiser import FACES, DenoiserTrainingConfig, train_denoiser
from reage.training.diffusion.latents import Latents, encode_crops
from reage.training.distillation import Teacher
from reage.training.ldla.dataset import VERSIONS, PairedLatents, Version, age_crop_dataset, encode_pairs
from reage.training.ldla.shading import ZoneShading, fit_shading
from reage.training.ldla.train import LdlaTrainingConfig, describe, train_ldla, trained_tensors
from reage.training.logger import Watch, watch_losses
from reage.training.runner import DEFAULT_BASE, Run, Weights
from reage.training.stored import load_arrays, save_arrays

NUM_VERSIONS = 2
"""Of each picture, in other light and place."""
NUM_FACES = 6
"""More of whole faces."""


def fit_base(portraits: Portraits, run: Run) -> DiffusionBase:
    """The autoencoder; the denoiser with the text encoder; the denoiser once more, on faces.

    A stopped run goes on where it was.
    """
    require_diffusion()
    first, second, third = AutoencoderTrainingConfig(), DenoiserTrainingConfig(), FACES
    album = open_crop_dataset(portraits.pick(portraits.split == "train"), run)
    torch.manual_seed(first.seed)
    base = _stage(
        run,
        "autoencoder",
        build_base(small(), build_tokenizer(all_prompts()), DEFAULT_BASE),
        lambda base, path: train_autoencoder(first, base, album, path, watch_losses(run.journal)),
    )
    latents, done = open_latents(base, album, run), first.schedule.steps
    for name, recipe in (("zones", second), ("faces", third)):
        base = _stage(run, name, base, _denoiser_stage(recipe, latents, watch_losses(run.journal, done)))
        done += recipe.schedule.steps
    base.provenance = {
        "autoencoder": asdict(first),
        "denoiser": asdict(second),
        "faces": asdict(third),
        "seed": first.seed,
    }
    return base


def _denoiser_stage(
    recipe: DenoiserTrainingConfig, latents: Latents, watch: Watch | None
) -> Callable[[DiffusionBase, Path], None]:
    return lambda base, path: train_denoiser(recipe, base, latents, path, watch)


def _stage(run: Run, name: str, base: DiffusionBase, learn: Callable[[DiffusionBase, Path], None]) -> DiffusionBase:
    """The base after it has learned: the folder that is left of it where that is done already."""
    folder = run.checkpoint.with_suffix(f".{name}")
    if not folder.exists():
        learn(base, run.checkpoint.with_suffix(f".{name}-checkpoint"))
        save_base(folder, base)
    return load_base(folder)


def fit_ldla(portraits: Portraits, run: Run) -> Weights:
    """The denoiser of `run.base`, or LoRA matrices for it."""
    recipe, base, training = LdlaTrainingConfig(), load_base(run.base), portraits.pick(portraits.split == "train")
    album = open_crop_dataset(training, run)
    train_ldla(recipe, base, open_pairs(base, training, album, run), run.checkpoint, watch_losses(run.journal))
    return trained_tensors(base, recipe), describe(recipe, base)


def open_crop_dataset(training: Portraits, run: Run) -> CropDataset:
    """Training people with the scores of their zones, made once."""
    stored = run.checkpoint.with_suffix(".album.npz")
    if not stored.exists():
        parts = ZoneScorer.load("zones-a"), FaceParser.load()
        save_arrays(stored, make_crop_dataset(training, *parts, lambda rows: track(rows, "portraits")))
    return load_arrays(stored, CropDataset)


def open_latents(base: DiffusionBase, album: CropDataset, run: Run) -> Latents:
    """The album's pictures as this base encodes them, made once."""
    stored = run.checkpoint.with_suffix(".latents.npz")
    if not stored.exists():
        latents = encode_crops(base, album, NUM_VERSIONS, NUM_FACES, track=lambda rows: track(rows, "latents"))
        save_arrays(stored, latents)
    return load_arrays(stored, Latents)


def open_pairs(base: DiffusionBase, training: Portraits, album: CropDataset, run: Run) -> PairedLatents:
    """The album's zones beside younger and older ones, as this base encodes them, made once."""
    stored = run.checkpoint.with_suffix(".pairs.npz")
    if not stored.exists():
        shades = open_shading(training, album, run)
        albums = [album, *(_open_aged(training, shades, run, version) for version in VERSIONS)]
        save_arrays(stored, encode_pairs(base, albums, lambda rows: track(rows, "pairs")))
    return load_arrays(stored, PairedLatents)


def open_shading(training: Portraits, album: CropDataset, run: Run) -> ZoneShading:
    """The shades of training people's zones, made once."""
    stored = run.checkpoint.with_suffix(".shades.npz")
    if not stored.exists():
        shades = fit_shading(training, album.scores, FaceParser.load(), lambda rows: track(rows, "shades"))
        save_arrays(stored, shades)
    return load_arrays(stored, ZoneShading)


def _open_aged(training: Portraits, shades: ZoneShading, run: Run, version: Version) -> CropDataset:
    stored = run.checkpoint.with_suffix(f".{version.age_years:.0f}.npz")
    if not stored.exists():
        label = f"at {version.age_years:.0f}"
        save_arrays(
            stored, age_crop_dataset(training, load_teacher(), shades, version, lambda rows: track(rows, label))
        )
    return load_arrays(stored, CropDataset)


def load_teacher() -> Teacher:
    """Who makes the versions of a zone: `prototype` without its change of shape."""
    prototype = PrototypeEngine.load()
    prototype.strengths = replace(prototype.strengths, shape=0.0)
    return Teacher.load(prototype)
