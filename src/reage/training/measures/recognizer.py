"""Fine-tunes dlib's face recognizer to be invariant to age: a person made younger or older stays the same person.

After the finding of identity-preserving aging (IJCB 2023, arXiv 2307.08585) that a recognizer misses fewer
people across years after it was fine-tuned on aged images. Training starts from dlib's weights. Two views of each
person, drawn from the photos and their aged versions, are pulled together and pushed away from everybody else in the
batch.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, augment
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.images.tensors import to_net
from reage.measure.recognizers import DlibRecognizer, make_chip
from reage.nets.dlib_resnet import DlibResNet, load_dlib_resnet
from reage.training.distillation import Teacher
from reage.training.measures.losses import anchor_loss, two_view_contrastive_loss
from reage.training.trainer import Callback, Trainer, TrainerConfig, scale_learning_rates
from reage.types import Pixels, Plane

TARGET_AGES = (25.0, 55.0, 80.0)
"""Ages in years of the aged versions of each photo."""


@dataclass(frozen=True, kw_only=True)
class RecognizerTrainingConfig:
    """Everything that determines the weights, apart from the dataset.

    Args:
        seed: of the run.
        trainer: length and optimisation; a batch of `batch_size` people has two views of each.
        learning_rate: highest learning rate of a layer, as a share of the standard deviation of its weights.
        temperature: of the squared distances in the contrastive loss.
        anchor_weight: loss weight of the anchors: photos shall keep their embeddings.
        augment: augmentation of all views.
    """

    seed: int = 0
    trainer: TrainerConfig = TrainerConfig(
        steps=150, batch_size=16, weight_decay=0.0, ema_decay=0.98, max_grad_norm=1.0
    )
    learning_rate: float = 1e-3
    temperature: float = 0.1
    anchor_weight: float = 1.0
    augment: AugmentConfig = field(
        default_factory=lambda: AugmentConfig(max_rotation_degrees=4.0, max_scale=0.05, max_shift=0.02, jpeg_prob=0.0)
    )


class TorchRecognizer(DlibRecognizer):
    """A recognizer with a net in torch, such as `train_recognizer` returns.

    Args:
        net: in evaluation mode.
    """

    def __init__(self, net: DlibResNet) -> None:
        self.net = net

    @torch.inference_mode()
    def _embed_batch(self, batch: Plane) -> Plane:
        embeddings: Plane = self.net(torch.from_numpy(batch)).numpy()
        return embeddings


@dataclass(frozen=True, kw_only=True)
class RecognizerDataset:
    """Photos with their aged versions, aligned as dlib's net takes them.

    Args:
        pixels: (N, V, 150, 150, 3) uint8, the V versions of each photo; version 0 is the photo itself.
        person: (N,) ids.
    """

    pixels: Pixels
    person: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.pixels)

    def pick(self, rows: NDArray[np.bool_]) -> RecognizerDataset:
        """Some of the photos, with their versions."""
        return RecognizerDataset(pixels=self.pixels[rows], person=self.person[rows])

    @property
    def photos(self) -> RecognizerDataset:
        """The photos without aged versions."""
        return RecognizerDataset(pixels=self.pixels[:, :1], person=self.person)


def make_recognizer_dataset(
    portraits: Portraits,
    teacher: Teacher,
    target_ages: Sequence[float] = TARGET_AGES,
    track: Callable[[range], Iterable[int]] = iter,
) -> RecognizerDataset:
    """Every portrait and its version at each target age.

    Args:
        portraits: photos.
        teacher: whose engine makes the aged versions.
        target_ages: in years.
        track: shows progress over a range; `iter` shows none.
    """
    versions = []
    for row in track(range(len(portraits))):
        face = portrait_to_face(portraits, row, teacher.parser)
        reading = teacher.read(face)
        crops = [face.crop, *(teacher.age(face, reading, age) for age in target_ages)]
        versions.append([make_chip(crop, portraits.landmarks[row]) for crop in crops])
    return RecognizerDataset(pixels=np.array(versions), person=portraits.person)


def train_recognizer(
    config: RecognizerTrainingConfig,
    dataset: RecognizerDataset,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> DlibResNet:
    """Dlib's net, fine-tuned on the people of a dataset.

    Args:
        config: of the run.
        dataset: of at least as many people as a batch holds.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.

    Raises:
        WeightsError: when dlib's net is missing.
    """
    torch.manual_seed(config.seed)
    anchors = torch.from_numpy(DlibRecognizer.load().embed_chips(dataset.pixels[:, 0]))
    net = load_dlib_resnet().requires_grad_(True)
    people = [np.flatnonzero(dataset.person == person) for person in np.unique(dataset.person)]

    def loss_fn(generator: Generator) -> Tensor:
        rows, versions = draw_two_views(people, dataset.pixels.shape[1], config.trainer.batch_size, generator)
        x = augment(to_net(dataset.pixels[rows, versions]), config.augment, generator)
        return recognizer_loss(net(x).float(), anchors[rows], torch.from_numpy(versions == 0), config)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    groups = scale_learning_rates([*net.trunk.convolutions(), net.head], config.learning_rate)
    ema = trainer.fit(net, loss_fn, groups)
    assert isinstance(ema, DlibResNet)
    return ema


def recognizer_loss(
    identities: Tensor, anchors: Tensor, are_photos: Tensor, config: RecognizerTrainingConfig
) -> Tensor:
    """Weighted sum of the contrastive loss and the anchors of the photos.

    Args:
        identities: (2 B, 128), ordered as `draw_two_views` does.
        anchors: (2 B, 128) embeddings of the same rows' photos before fine-tuning.
        are_photos: (2 B,) bool; aged versions have no anchor.
        config: with temperature and weight.
    """
    contrastive = two_view_contrastive_loss(identities, config.temperature)
    return contrastive + config.anchor_weight * anchor_loss(identities, anchors, are_photos)


def draw_two_views(
    people: list[NDArray[np.int64]], num_versions: int, num: int, generator: Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows (2 num,) and versions (2 num,) of two views of `num` random people: first one view of each, then the other.

    Args:
        people: rows of each person.
        num_versions: of each row. A person with a single image has it as both views.
        num: at most the number of people.
        generator: draws.
    """
    pairs = []
    for index in torch.randperm(len(people), generator=generator)[:num].tolist():
        num_images = len(people[index]) * num_versions
        chosen = torch.randperm(num_images, generator=generator)[:2].tolist()
        views = (chosen[0], chosen[-1])
        pairs.append([(people[index][view // num_versions], view % num_versions) for view in views])
    rows, versions = np.array(pairs).transpose(2, 1, 0).reshape(2, -1)
    return rows, versions
