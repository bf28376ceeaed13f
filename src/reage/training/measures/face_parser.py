"""Trains the face parser on automatically labelled portraits in front of random backgrounds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, augment, move
from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.images.tensors import to_net
from reage.nets.segmentation import CLASSES, SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.logger import log_losses
from reage.training.measures.losses import UNLABELLED, segmentation_loss
from reage.training.measures.segmentation_labels import label_crop
from reage.training.runner import RunContext, Weights
from reage.training.trainer import Callback, Trainer, TrainerConfig

_MIN_LABEL_SHARE = 0.75
"""Pixels that after augmentation belong to no class by this share are unlabelled."""


@dataclass(frozen=True, kw_only=True)
class FaceParserTrainingConfig:
    """Everything that determines the weights.

    Args:
        seed: of the run.
        net: architecture.
        trainer: length and optimisation.
        learning_rate: highest learning rate.
        geometric_augment: random flip, rotation, scale and shift of crops and labels.
        photometric_augment: random light, colour and camera, after the background was replaced.
        hair_dye_prob: probability that the hair gets another colour.
        keep_background_prob: probability that the background is kept.
    """

    seed: int = 0
    net: SegmentationNetConfig = SegmentationNetConfig()
    trainer: TrainerConfig = TrainerConfig(steps=2200, batch_size=16, ema_decay=0.99, weight_decay=0.01)
    learning_rate: float = 3e-3
    geometric_augment: AugmentConfig = AugmentConfig(max_rotation_degrees=12.0, max_scale=0.12, max_shift=0.05)
    photometric_augment: AugmentConfig = AugmentConfig(
        flip_prob=0.0,
        max_rotation_degrees=0.0,
        max_scale=0.0,
        max_shift=0.0,
        grey_prob=0.3,
        max_blur_px=1.2,
        max_downscale=2.0,
        max_jpeg_factor=2.0,
    )
    hair_dye_prob: float = 0.5
    keep_background_prob: float = 0.15


def face_parser() -> FaceParserTrainingConfig:
    """The shipped parser of skin and hair."""
    return FaceParserTrainingConfig()


def run(config: FaceParserTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Trains the parser of a recipe; returns its tensors by name and the config of the weights file."""
    net = train_face_parser(config, portraits, context.checkpoint, log_losses(context.log_dir))
    return net.state_dict(), describe(config)


@dataclass(frozen=True)
class LabelledCrops:
    """Crops of the net's input size with their labels.

    Args:
        crops: (N, S, S, 3) uint8.
        person: (N, S, S) share of the person, without the background.
        labels: (N, S, S) int64, indices into `CLASSES`.
    """

    crops: NDArray[np.uint8]
    person: NDArray[np.float32]
    labels: NDArray[np.int64]


def label_portraits(portraits: Portraits) -> LabelledCrops:
    """The colour portraits whose background could be keyed out, in order.

    Raises:
        ReageError: when there is none.
    """
    rows = np.flatnonzero(~portraits.grey)
    labelled = [label_crop(portraits.crops[row], portraits.mesh[row]) for row in rows]
    found = [one for one in labelled if one is not None]
    if not found:
        raise ReageError("No portrait stands before a blue backdrop, so none can label itself; add such portraits.")
    crops, person, labels = zip(*found, strict=True)
    return LabelledCrops(np.stack(crops), np.stack(person), np.stack(labels))


def train_face_parser(
    config: FaceParserTrainingConfig,
    portraits: Portraits,
    checkpoint: Path | None = None,
    callbacks: Sequence[Callback] = (),
) -> SegmentationNet:
    """The face parser, trained on the people of the "train" split.

    Args:
        config: of the run.
        portraits: all portraits; those of the "val" split are not used.
        checkpoint: file that a stopped run is resumed from.
        callbacks: called after each step.

    Raises:
        ReageError: when no portrait can be labelled.
    """
    labelled = label_portraits(portraits.pick(portraits.split == "train"))
    torch.manual_seed(config.seed)
    net = build_segmentation_net(config.net)

    def loss_fn(generator: Generator) -> Tensor:
        crops, labels = draw_batch(config, labelled, generator)
        return segmentation_loss(net(crops), labels)

    trainer = Trainer(config.trainer, seed=config.seed, checkpoint=checkpoint, callbacks=callbacks)
    ema = trainer.fit(net, loss_fn, [(net, config.learning_rate)])
    assert isinstance(ema, SegmentationNet)
    return ema


def draw_batch(
    config: FaceParserTrainingConfig, labelled: LabelledCrops, generator: Generator
) -> tuple[Tensor, Tensor]:
    """A random batch: augmented crops (B, 3, S, S) in [-1, 1] and labels (B, S, S), some of them `UNLABELLED`."""
    rows = torch.randint(len(labelled.crops), (config.trainer.batch_size,), generator=generator).numpy()
    person = torch.from_numpy(labelled.person[rows])[:, None]
    classes = F.one_hot(torch.from_numpy(labelled.labels[rows]), len(CLASSES)).permute(0, 3, 1, 2).float()
    moved = move(torch.cat([to_net(labelled.crops[rows]), person, classes], 1), config.geometric_augment, generator)
    crops, person, classes = moved[:, :3], moved[:, 3:4], moved[:, 4:]
    dyed = dye_hair(crops, classes[:, CLASSES.index("hair")][:, None], config.hair_dye_prob, generator)
    backgrounds = make_backgrounds(crops, generator)
    replaced = replace_background(dyed, person, backgrounds, config.keep_background_prob, generator)
    largest = classes.max(1)
    labels = torch.where(largest.values > _MIN_LABEL_SHARE, largest.indices, UNLABELLED)
    return augment(replaced, config.photometric_augment, generator), labels


def replace_background(
    crops: Tensor, person: Tensor, backgrounds: Tensor, keep_prob: float, generator: Generator
) -> Tensor:
    """Crops (B, 3, S, S) with the person (B, 1, S, S) alpha-blended onto backgrounds (B, 3, S, S).

    A crop keeps its own background with probability `keep_prob`.
    """
    keep = torch.rand(len(crops), 1, 1, 1, generator=generator) < keep_prob
    return torch.where(keep, crops, crops * person + backgrounds * (1 - person))


def dye_hair(crops: Tensor, hair: Tensor, prob: float, generator: Generator) -> Tensor:
    """Crops whose hair (B, 1, S, S) has another colour, black to white, with probability `prob`.

    It makes up for the few blond and red-haired people of the training set.
    """
    num = len(crops)
    brightness = torch.rand(num, 1, 1, 1, generator=generator) * 2.4 - 0.8
    hue = 0.2 * torch.randn(num, 3, 1, 1, generator=generator)
    dyed = ((crops + 1) * (brightness + hue).exp() - 1).clamp(-1, 1)
    chosen = (torch.rand(num, 1, 1, 1, generator=generator) < prob).float()
    return crops + (dyed - crops) * hair * chosen


def make_backgrounds(crops: Tensor, generator: Generator) -> Tensor:
    """(B, 3, S, S) random backgrounds: plain colours, coloured noise at several scales, flipped halves of the crops."""
    num, _, side, _ = crops.shape
    colour, other = _draw_colours(crops, generator), _draw_colours(crops, generator)
    cells = int(torch.randint(2, 24, (1,), generator=generator))
    coarse = torch.randn(num, 1, cells, cells, generator=generator).repeat(1, 3, 1, 1)
    coarse = coarse + 0.5 * torch.randn(num, 3, cells, cells, generator=generator)
    blend = F.interpolate(coarse, (side, side), mode="bicubic", align_corners=False)
    noise = 0.3 * torch.rand(num, 1, 1, 1, generator=generator) * torch.randn(num, 1, side, side, generator=generator)
    texture = colour + (other - colour) * torch.sigmoid(3 * blend) + noise
    flipped = crops[torch.randperm(num, generator=generator)].flip(2)
    pieces = F.interpolate(flipped[..., : side // 2, :], (side, side), mode="bilinear", align_corners=False)
    kind = torch.rand(num, 1, 1, 1, generator=generator)
    return torch.where(kind < 0.25, colour.expand_as(texture), torch.where(kind < 0.7, texture, pieces)).clamp(-1, 1)


def _draw_colours(crops: Tensor, generator: Generator) -> Tensor:
    """(B, 3, 1, 1) random colours, half of them near a colour of the crop itself, which is harder to segment."""
    num = len(crops)
    row, column = torch.randint(crops.shape[-1], (2, num), generator=generator)
    own = crops[torch.arange(num), :, row, column] + 0.15 * torch.randn(num, 3, generator=generator)
    free = torch.rand(num, 3, generator=generator) * 2 - 1
    return torch.where(torch.rand(num, 1, generator=generator) < 0.5, own, free)[:, :, None, None]


@torch.no_grad()
def measure_iou(net: SegmentationNet, labelled: LabelledCrops) -> dict[str, float]:
    """Intersection over union of each class on labelled crops."""
    batches = [labelled.crops[start : start + 16] for start in range(0, len(labelled.crops), 16)]
    predicted = torch.cat([net(to_net(batch)).argmax(1) for batch in batches]).numpy()
    return {name: _iou(predicted == index, labelled.labels == index) for index, name in enumerate(CLASSES)}


def _iou(predicted: NDArray[np.bool_], labelled: NDArray[np.bool_]) -> float:
    return float((predicted & labelled).sum() / max(1, (predicted | labelled).sum()))


def describe(config: FaceParserTrainingConfig) -> dict[str, object]:
    """The config of the weights file: the net, the recipe and its seed."""
    return {"net": asdict(config.net), "recipe": asdict(config), "seed": config.seed}
