"""The whole run that learns a person from photos: its config, the training, the checkpoint, and a sheet of samples."""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.util import find_spec
from pathlib import Path

import torch

import reage
from reage.errors import ReageError
from reage.images import draw_sheet
from reage.nets.diffusion import DiffusionBase
from reage.nets.dreambooth import Person, add_token
from reage.nets.sampling import generate_pictures
from reage.prompts import AGE_LABELS, label_of, person_prompt
from reage.training.dreambooth.class_images import ClassImages
from reage.training.dreambooth.dataset import SubjectPhotos, encode_images
from reage.training.dreambooth.identity_encoder import load_identity_encoder
from reage.training.dreambooth.train import (
    FULL_LEARNING_RATE,
    PRESETS,
    DreamBoothConfig,
    IdentityLoss,
    train_dreambooth,
)
from reage.training.runner import find_commit
from reage.training.trainer import Callback, process_state
from reage.types import Pixels

_CELL_PX = 192


@dataclass(frozen=True, kw_only=True)
class PersonRequest:
    """What is to be learned of a person.

    Args:
        token: rare token that will stand for the person.
        class_word: the class of the person, such as `person`.
        preset: name of the preset that the config came from.
        config: of the training.
    """

    token: str
    class_word: str
    preset: str
    config: DreamBoothConfig


def choose_config(
    preset: str,
    *,
    identity_loss: IdentityLoss | None = None,
    full: bool = False,
    steps: int | None = None,
    learning_rate: float | None = None,
    seed: int = 0,
) -> DreamBoothConfig:
    """The config of a preset with changes; None keeps the value of the preset.

    Args:
        preset: one of `reage.training.dreambooth.train.PRESETS`.
        identity_loss: the loss on identity.
        full: train all weights instead of LoRA, at the published learning rate.
        steps: number of updates.
        learning_rate: highest learning rate.
        seed: of the run.

    Raises:
        ReageError: when there is no such preset.
    """
    if preset not in PRESETS:
        raise ReageError(f"There is no preset '{preset}'; choose one of {', '.join(PRESETS)}.")
    config = replace(PRESETS[preset], seed=seed)
    if identity_loss is not None:
        config = replace(config, identity_loss=identity_loss)
    if full and config.lora_rank:
        config = replace(config, lora_rank=0, learning_rate=FULL_LEARNING_RATE)
    if steps is not None:
        config = replace(config, trainer=replace(config.trainer, steps=steps))
    return config if learning_rate is None else replace(config, learning_rate=learning_rate)


def fit_person(
    request: PersonRequest,
    base: DiffusionBase,
    photos: SubjectPhotos,
    class_images: ClassImages | None = None,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
    track: Callable[[range], Iterable[int]] = iter,
) -> Person:
    """Trains a base in place until it draws the person of the photos under a rare token.

    Args:
        request: what is to be learned, and how.
        base: to be trained; its autoencoder stays as it is.
        photos: of the person.
        class_images: other people, for prior preservation; None for none.
        checkpoint: file that a stopped run is resumed from, see `name_checkpoint`.
        callbacks: called after each step.
        track: wraps the encoding of pictures in a progress bar.
    """
    config, prompt = request.config, person_prompt(request.token, request.class_word)
    base.to(process_state().device)
    add_token(base, request.token, config.seed)
    instance = encode_images(base, photos.images, [prompt] * len(photos.images), track)
    label_prompts = [person_prompt(request.token, request.class_word, label_of(age)) for age in photos.age_years]
    instance = replace(instance, label_prompts=2 * label_prompts)  # of the photos and of their mirror images
    prior = None
    if class_images and config.prior_loss_weight:
        prior = encode_images(base, class_images.images, class_images.captions, track)
    identity_encoder = load_identity_encoder(base.device) if config.identity_loss == "biometric" else None
    train_dreambooth(config, base, instance, prior, identity_encoder, checkpoint, callbacks)
    return Person(
        token=request.token,
        class_word=request.class_word,
        identity=photos.identity,
        lora_rank=config.lora_rank,
        provenance=_describe_run(request, photos, class_images),
    )


def _describe_run(request: PersonRequest, photos: SubjectPhotos, class_images: ClassImages | None) -> dict[str, object]:
    config = request.config
    return {
        "preset": request.preset,
        "recipe": asdict(config),
        "identity_loss": config.identity_loss,
        "seed": config.seed,
        "steps": config.trainer.steps,
        "num_photos": len(photos.files),
        "num_class_images": len(class_images.images) if class_images else 0,
        "commit": find_commit(),
        "version": reage.__version__,
    }


def name_checkpoint(
    out: Path, request: PersonRequest, base: DiffusionBase, photos: SubjectPhotos, class_images: ClassImages | None
) -> Path:
    """The checkpoint beside a person's file; its name has a hash of the request, the base and all pictures.

    So a run with other settings or photos does not resume from it.
    """
    settings = [asdict(request), base.weights_hash, list(class_images.captions) if class_images else []]
    digest = hashlib.sha256(json.dumps(settings).encode())
    for images in (photos.images, class_images.images if class_images else None):
        digest.update(b"" if images is None else images.tobytes())
    return out.with_suffix(f".{digest.hexdigest()[:8]}.checkpoint")


def draw_sample_sheet(base: DiffusionBase, person: Person, num_each: int = 8, seed: int = 0) -> Pixels:
    """A sheet of pictures generated by a trained base: a row without an age, and one for each age group."""
    labels = ("", *AGE_LABELS)
    rows = [list(generate_pictures(base, person.prompt(label), num_each, seed)) for label in labels]
    names = [label or f"{person.token} {person.class_word}" for label in labels]
    return draw_sheet(rows, [str(number) for number in range(1, num_each + 1)], names, cell_px=_CELL_PX)


def peak_memory_mb() -> dict[str, float]:
    """The most memory that this process has held, "main" and "gpu"; without what the system does not report."""
    peaks = {}
    if find_spec("resource"):
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        peaks["main"] = peak / (1e6 if sys.platform == "darwin" else 1e3)
    if torch.cuda.is_available():
        peaks["gpu"] = torch.cuda.max_memory_allocated() / 1e6
    return peaks
