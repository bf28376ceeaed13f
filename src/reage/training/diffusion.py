"""The recipes of latent diffusion: from portraits to a base of our own, and from any base to LDLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from reage.engines import DEFAULT_ENGINE, load_engine
from reage.engines.ldla import LdlaConfig, LdlaEngine
from reage.evaluation.subjects import face_of
from reage.matte import Parser
from reage.measure import Meter
from reage.nets.diffusion import Base, build_base, load_base, require_diffusion, save_base, small
from reage.nets.tokens import build_tokenizer
from reage.portraits import Portraits
from reage.prompts import all_prompts
from reage.training.album import Album, make_album
from reage.training.autoencoder import AutoencoderRecipe, train_autoencoder
from reage.training.denoiser import FACES, DenoiserRecipe, train_denoiser
from reage.training.journal import watch_losses
from reage.training.latents import Latents, encode_album
from reage.training.ldla import LdlaRecipe, describe, train_ldla, trained_tensors
from reage.training.lessons import Teacher
from reage.training.pairs import Pairs, encode_pairs, smooth_album
from reage.training.run import DEFAULT_BASE, Run, Weights
from reage.training.stored import load_arrays, save_arrays
from reage.training.zone_gains import measure_zone_gains
from reage.types import ZONES
from reage.zone_scores import ZoneScorer

NUM_VERSIONS = 2
"""Of each picture, in other light and place."""
NUM_FACES = 6
"""More of whole faces."""
NUM_SMOOTH = 2
"""Smoother ones beside each portrait."""
NUM_MEASURED = 12
"""Faces on which the gains of zones are measured."""


def fit_base(portraits: Portraits, run: Run) -> Base:
    """The autoencoder, then the denoiser with the text encoder, twice; a stopped run goes on where it was stopped."""
    require_diffusion()
    first, second, third = AutoencoderRecipe(), DenoiserRecipe(), FACES
    album, done = open_album(portraits.pick(portraits.split == "train"), run), first.schedule.steps
    torch.manual_seed(first.seed)
    base = _stage(
        run,
        "autoencoder",
        build_base(small(), build_tokenizer(all_prompts()), DEFAULT_BASE),
        lambda base, path: train_autoencoder(first, base, album, path, watch_losses(run.journal)),
    )
    latents = open_latents(base, album, run)
    base = _stage(
        run,
        "zones",
        base,
        lambda base, path: train_denoiser(second, base, latents, path, watch_losses(run.journal, done)),
    )
    done += second.schedule.steps
    base = _stage(
        run,
        "faces",
        base,
        lambda base, path: train_denoiser(third, base, latents, path, watch_losses(run.journal, done)),
    )
    base.provenance = {
        "autoencoder": asdict(first),
        "zones": asdict(second),
        "faces": asdict(third),
        "seed": first.seed,
    }
    return base


def _stage(run: Run, name: str, base: Base, learn: Callable[[Base, Path], None]) -> Base:
    """The base after it has learned: the folder that is left of it where that is done already."""
    folder = run.checkpoint.with_suffix(f".{name}")
    if not folder.exists():
        learn(base, run.checkpoint.with_suffix(f".{name}-checkpoint"))
        save_base(folder, base)
    return load_base(folder)


def fit_ldla(portraits: Portraits, run: Run) -> Weights:
    """The denoiser of `run.base`, or LoRA matrices for it, and the gains of its zones."""
    recipe, base, training = LdlaRecipe(), load_base(run.base), portraits.pick(portraits.split == "train")
    album = open_album(training, run)
    train_ldla(recipe, base, open_pairs(base, training, album, run), run.checkpoint, watch_losses(run.journal))
    engine, parser = LdlaEngine(base, dict.fromkeys(ZONES, 1.0), "", LdlaConfig(refiner=None)), Parser.load()
    rows = np.linspace(0, len(training) - 1, min(NUM_MEASURED, len(training))).astype(int)
    faces = [face_of(training, row, parser) for row in rows]
    readers = Meter.load("age-a"), ZoneScorer.load("zones-a")
    gains = measure_zone_gains(engine, faces, *readers, lambda faces: track(faces, "gains"))
    return trained_tensors(base, recipe), describe(recipe, base, gains)


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
    """The album's zones beside smoother ones, as this base encodes them, made once."""
    stored = run.checkpoint.with_suffix(".pairs.npz")
    if not stored.exists():
        smoother = [_open_smooth(training, run, seed) for seed in range(NUM_SMOOTH)]
        save_arrays(stored, encode_pairs(base, album, smoother, lambda rows: track(rows, "pairs")))
    return load_arrays(stored, Pairs)


def _open_smooth(training: Portraits, run: Run, seed: int) -> Album:
    stored = run.checkpoint.with_suffix(f".smooth{seed}.npz")
    if not stored.exists():
        teacher = Teacher(
            engine=load_engine(DEFAULT_ENGINE),
            reader=Meter.load("age-a"),
            scorer=ZoneScorer.load("zones-a"),
            parser=Parser.load(),
        )
        save_arrays(stored, smooth_album(training, teacher, seed, lambda rows: track(rows, "smoother")))
    return load_arrays(stored, Album)
