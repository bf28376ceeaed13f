"""The recipes of latent diffusion: from portraits to a base of our own, and from any base to LDLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import torch
from rich.progress import track

from reage.engines.prototype import PrototypeEngine
from reage.matte import Parser
from reage.nets.diffusion import Base, build_base, load_base, require_diffusion, save_base, small
from reage.nets.tokens import build_tokenizer
from reage.portraits import Portraits
from reage.prompts import all_prompts
from reage.training.album import Album, make_album
from reage.training.autoencoder import AutoencoderRecipe, train_autoencoder
from reage.training.denoiser import FACES, DenoiserRecipe, train_denoiser
from reage.training.journal import Watch, watch_losses
from reage.training.latents import Latents, encode_album
from reage.training.ldla import LdlaRecipe, describe, train_ldla, trained_tensors
from reage.training.lessons import Teacher
from reage.training.pairs import VERSIONS, Pairs, Version, age_album, encode_pairs
from reage.training.run import DEFAULT_BASE, Run, Weights
from reage.training.shades import Shades, fit_shades
from reage.training.stored import load_arrays, save_arrays
from reage.zone_scores import ZoneScorer

NUM_VERSIONS = 2
"""Of each picture, in other light and place."""
NUM_FACES = 6
"""More of whole faces."""


def fit_base(portraits: Portraits, run: Run) -> Base:
    """The autoencoder; the denoiser with the text encoder; the denoiser once more, on faces.

    A stopped run goes on where it was.
    """
    require_diffusion()
    first, second, third = AutoencoderRecipe(), DenoiserRecipe(), FACES
    album = open_album(portraits.pick(portraits.split == "train"), run)
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


def _denoiser_stage(recipe: DenoiserRecipe, latents: Latents, watch: Watch | None) -> Callable[[Base, Path], None]:
    return lambda base, path: train_denoiser(recipe, base, latents, path, watch)


def _stage(run: Run, name: str, base: Base, learn: Callable[[Base, Path], None]) -> Base:
    """The base after it has learned: the folder that is left of it where that is done already."""
    folder = run.checkpoint.with_suffix(f".{name}")
    if not folder.exists():
        learn(base, run.checkpoint.with_suffix(f".{name}-checkpoint"))
        save_base(folder, base)
    return load_base(folder)


def fit_ldla(portraits: Portraits, run: Run) -> Weights:
    """The denoiser of `run.base`, or LoRA matrices for it."""
    recipe, base, training = LdlaRecipe(), load_base(run.base), portraits.pick(portraits.split == "train")
    album = open_album(training, run)
    train_ldla(recipe, base, open_pairs(base, training, album, run), run.checkpoint, watch_losses(run.journal))
    return trained_tensors(base, recipe), describe(recipe, base)


def open_album(training: Portraits, run: Run) -> Album:
    """Training people with the scores of their zones, made once."""
    stored = run.checkpoint.with_suffix(".album.npz")
    if not stored.exists():
        parts = ZoneScorer.load("zones-a"), Parser.load()
        save_arrays(stored, make_album(training, *parts, lambda rows: track(rows, "portraits")))
    return load_arrays(stored, Album)


def open_latents(base: Base, album: Album, run: Run) -> Latents:
    """The album's pictures as this base encodes them, made once."""
    stored = run.checkpoint.with_suffix(".latents.npz")
    if not stored.exists():
        latents = encode_album(base, album, NUM_VERSIONS, NUM_FACES, track=lambda rows: track(rows, "latents"))
        save_arrays(stored, latents)
    return load_arrays(stored, Latents)


def open_pairs(base: Base, training: Portraits, album: Album, run: Run) -> Pairs:
    """The album's zones beside younger and older ones, as this base encodes them, made once."""
    stored = run.checkpoint.with_suffix(".pairs.npz")
    if not stored.exists():
        shades = open_shades(training, album, run)
        albums = [album, *(_open_aged(training, shades, run, version) for version in VERSIONS)]
        save_arrays(stored, encode_pairs(base, albums, lambda rows: track(rows, "pairs")))
    return load_arrays(stored, Pairs)


def open_shades(training: Portraits, album: Album, run: Run) -> Shades:
    """The shades of training people's zones, made once."""
    stored = run.checkpoint.with_suffix(".shades.npz")
    if not stored.exists():
        shades = fit_shades(training, album.scores, Parser.load(), lambda rows: track(rows, "shades"))
        save_arrays(stored, shades)
    return load_arrays(stored, Shades)


def _open_aged(training: Portraits, shades: Shades, run: Run, version: Version) -> Album:
    stored = run.checkpoint.with_suffix(f".{version.age_years:.0f}.npz")
    if not stored.exists():
        label = f"at {version.age_years:.0f}"
        save_arrays(stored, age_album(training, load_teacher(), shades, version, lambda rows: track(rows, label)))
    return load_arrays(stored, Album)


def load_teacher() -> Teacher:
    """Who makes the versions of a zone: `prototype` without its change of shape."""
    prototype = PrototypeEngine.load()
    prototype.strengths = replace(prototype.strengths, shape=0.0)
    return Teacher.load(prototype)
