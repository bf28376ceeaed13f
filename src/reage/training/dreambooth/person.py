"""A person learned from photos: pictures under their captions, the run, and a sheet of what the base draws then."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

import reage
from reage.errors import ReageError
from reage.images import draw_sheet
from reage.images.tensors import to_net
from reage.nets.diffusion import DiffusionBase
from reage.nets.dreambooth import Person, add_word
from reage.nets.sampling import generate_pictures
from reage.prompts import AGE_LABELS, label_of, person_prompt
from reage.training.dreambooth.losses import load_embed
from reage.training.dreambooth.subject import SubjectPhotos
from reage.training.dreambooth.train import (
    PRESETS,
    WHOLE_RATE,
    Captioned,
    DreamBoothConfig,
    IdentityLoss,
    train_dreambooth,
)
from reage.training.logger import Watch
from reage.training.runner import find_commit
from reage.training.trainer import process_state
from reage.types import Pixels

_TOGETHER = 8  # pictures that are encoded
_CELL_PX = 192


@dataclass(frozen=True, kw_only=True)
class ClassImages:
    """Other people, see `reage.training.dreambooth.class_images`: squares (N, P, P, 3) and their N captions."""

    squares: Pixels
    captions: Sequence[str]


@dataclass(frozen=True, kw_only=True)
class PersonRequest:
    """What is to be learned of a person.

    Args:
        word: rare one that is to stand for the person.
        class_word: what else the person is.
        preset: name of the settings that the recipe came from.
        recipe: of the run.
    """

    word: str
    class_word: str
    preset: str
    recipe: DreamBoothConfig


def choose_recipe(
    preset: str,
    *,
    identity: IdentityLoss | None = None,
    whole: bool = False,
    steps: int | None = None,
    rate: float | None = None,
    seed: int = 0,
) -> DreamBoothConfig:
    """The recipe of a preset, changed where something else is asked for.

    Args:
        preset: one of `reage.training.dreambooth.train.PRESETS`.
        identity: another loss on identity.
        whole: train whole nets, at the published rate.
        steps: another length.
        rate: another learning rate.
        seed: of the run.

    Raises:
        ReageError: when there is no such preset.
    """
    if preset not in PRESETS:
        raise ReageError(f"There is no preset '{preset}'; choose one of {', '.join(PRESETS)}.")
    recipe = replace(PRESETS[preset], seed=seed)
    if identity is not None:
        recipe = replace(recipe, identity=identity)
    if whole and recipe.lora_rank:
        recipe = replace(recipe, lora_rank=0, rate=WHOLE_RATE)
    if steps is not None:
        recipe = replace(recipe, schedule=replace(recipe.schedule, steps=steps))
    return recipe if rate is None else replace(recipe, rate=rate)


def fit_person(
    order: PersonRequest,
    base: DiffusionBase,
    photos: SubjectPhotos,
    others: ClassImages | None = None,
    checkpoint: Path | None = None,
    watch: Watch | None = None,
    track: Callable[[range], Iterable[int]] = iter,
) -> Person:
    """Trains a base in place until it draws the person of the photos under a rare word.

    Args:
        order: what is to be learned, and how.
        base: to be trained; its autoencoder stays as it is.
        photos: of the person.
        others: other people, which keep the base from forgetting; None for none.
        checkpoint: file that a stopped run is resumed from, see `name_checkpoint`.
        watch: is told the number of each step that was made, and its losses.
        track: wraps the encoding of pictures in a progress bar.
    """
    recipe, prompt = order.recipe, person_prompt(order.word, order.class_word)
    base.to(process_state().device)
    add_word(base, order.word, recipe.seed)
    person = encode_pictures(base, photos.squares, [prompt] * len(photos.squares), track)
    labels = [person_prompt(order.word, order.class_word, label_of(years)) for years in photos.years]
    person = replace(person, sometimes=2 * labels)
    prior = encode_pictures(base, others.squares, others.captions, track) if others and recipe.prior_weight else None
    embed = load_embed(base.device) if recipe.identity == "biometric" else None
    train_dreambooth(recipe, base, person, prior, embed, checkpoint, watch)
    return Person(
        word=order.word,
        class_word=order.class_word,
        identity=photos.identity,
        lora_rank=recipe.lora_rank,
        provenance={
            "preset": order.preset,
            "recipe": asdict(recipe),
            "identity_loss": recipe.identity,
            "seed": recipe.seed,
            "steps": recipe.schedule.steps,
            "num_photos": len(photos.files),
            "num_others": len(others.squares) if others else 0,
            "commit": find_commit(),
            "version": reage.__version__,
        },
    )


@torch.no_grad()
def encode_pictures(
    base: DiffusionBase, squares: Pixels, captions: Sequence[str], track: Callable[[range], Iterable[int]] = iter
) -> Captioned:
    """Latents of pictures (N, P, P, 3) and then of their mirror images, 2 N, and the captions of both."""
    both = np.concatenate([squares, squares[:, :, ::-1]])
    starts = track(range(0, len(both), _TOGETHER))
    values = [base.encode(to_net(both[start : start + _TOGETHER]).to(base.device)).cpu() for start in starts]
    return Captioned(torch.cat(values), [*captions, *captions])


def name_checkpoint(
    out: Path, order: PersonRequest, base: DiffusionBase, photos: SubjectPhotos, others: ClassImages | None
) -> Path:
    """The checkpoint of this very order beside its file: a run of other settings or photos does not go on from it."""
    settings = [asdict(order), base.weights_hash, list(others.captions) if others else []]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for squares in (photos.squares, others.squares if others else None):
        digest.update(b"" if squares is None else squares.tobytes())
    return out.with_suffix(f".{digest.hexdigest()[:8]}.checkpoint")


def draw_labels(base: DiffusionBase, person: Person, num_each: int = 8, seed: int = 0) -> Pixels:
    """A sheet of the person as the base draws them now: a row for their own age, and one for each age group."""
    labels = ("", *AGE_LABELS)
    rows = [list(generate_pictures(base, person.prompt(label), num_each, seed)) for label in labels]
    names = [label or f"{person.word} {person.class_word}" for label in labels]
    return draw_sheet(rows, [str(number) for number in range(1, num_each + 1)], names, cell_px=_CELL_PX)


def peak_memory_mb() -> dict[str, float]:
    """The most memory that this process ever held, by where; empty where the system does not say."""
    held = {}
    if find_spec("resource"):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        held["main"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    if torch.cuda.is_available():
        held["gpu"] = torch.cuda.max_memory_allocated() / 1e6
    return held
