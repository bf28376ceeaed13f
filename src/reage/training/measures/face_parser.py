"""Trains the net that tells skin, hair and the rest apart, on self-labelled portraits before random backgrounds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Generator, Tensor, nn

from reage.data.augment import AugmentConfig, augment, move
from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.images.tensors import to_net
from reage.nets.segmentation import CLASSES, SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.measures.parser_labels import label_parts
from reage.training.trainer import TrainerConfig, fit


@dataclass(frozen=True, kw_only=True)
class ParserTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the run.
        net: what is trained.
        schedule: length and speed.
        rate: highest learning rate.
        place: random mirror, turn, scale and shift.
        accidents: of light and camera, after the background is put in.
        dyed: share of pictures whose hair gets another colour.
        own_backdrop: share of pictures that keep their own backdrop.
    """

    seed: int = 0
    net: SegmentationNetConfig = SegmentationNetConfig()
    schedule: TrainerConfig = TrainerConfig(steps=2200, batch=16, ema_decay=0.99, weight_decay=0.01)
    rate: float = 3e-3
    place: AugmentConfig = AugmentConfig(turn_degrees=12.0, scale=0.12, shift=0.05)
    accidents: AugmentConfig = AugmentConfig(
        mirror=0.0, turn_degrees=0.0, scale=0.0, shift=0.0, grey=0.3, blur_px=1.2, smallest=2.0, coarsest=2.0
    )
    dyed: float = 0.5
    own_backdrop: float = 0.15


@dataclass(frozen=True)
class LabelledCrops:
    """Small crops with their labels.

    Args:
        crops: (N, S, S, 3) uint8.
        person: (N, S, S) share of the person.
        labels: (N, S, S) int64, numbered as in `CLASSES`.
    """

    crops: NDArray[np.uint8]
    person: NDArray[np.float32]
    labels: NDArray[np.int64]


def label_portraits(portraits: Portraits) -> LabelledCrops:
    """The colour portraits whose backdrop could be keyed out, in order.

    Raises:
        ReageError: when there is none.
    """
    rows = np.flatnonzero(~portraits.grey)
    labelled = [label_parts(portraits.crops[row], portraits.dense_landmarks[row]) for row in rows]
    found = [one for one in labelled if one is not None]
    if not found:
        raise ReageError("No portrait stands before a blue backdrop, so none can label itself; add such portraits.")
    crops, person, labels = zip(*found, strict=True)
    return LabelledCrops(np.stack(crops), np.stack(person), np.stack(labels))


def train_parser(
    recipe: ParserTrainingConfig,
    portraits: Portraits,
    checkpoint: Path | None = None,
    watch: Callable[[int, float, nn.Module], None] | None = None,
) -> SegmentationNet:
    """Trains on the people of the "train" split; for the other arguments see `reage.training.trainer.fit`."""
    known = label_portraits(portraits.pick(portraits.split == "train"))
    torch.manual_seed(recipe.seed)
    net = build_segmentation_net(recipe.net)

    def loss_of(generator: Generator) -> Tensor:
        rows = torch.randint(len(known.crops), (recipe.schedule.batch,), generator=generator).numpy()
        person = torch.from_numpy(known.person[rows])[:, None]
        labels = F.one_hot(torch.from_numpy(known.labels[rows]), len(CLASSES)).permute(0, 3, 1, 2).float()
        stack = move(torch.cat([to_net(known.crops[rows]), person, labels], 1), recipe.place, generator)
        people = dye_hair(stack[:, :3], stack[:, 4 + CLASSES.index("hair")][:, None], recipe.dyed, generator)
        crops = put_before(
            people, stack[:, 3:4], make_backgrounds(stack[:, :3], generator), recipe.own_backdrop, generator
        )
        sure = stack[:, 4:].max(1)
        target = torch.where(sure.values > 0.75, sure.indices, -1)
        return net.loss(augment(crops, recipe.accidents, generator), target)

    rates = [(net, recipe.rate)]
    mean = fit(net, loss_of, rates, recipe.schedule, seed=recipe.seed, checkpoint=checkpoint, watch=watch)
    assert isinstance(mean, SegmentationNet)
    return mean


def put_before(crops: Tensor, person: Tensor, backgrounds: Tensor, kept: float, generator: Generator) -> Tensor:
    """People (B, 3, S, S) cut out by their share (B, 1, S, S) and put before other backgrounds; some keep their own."""
    own = torch.rand(len(crops), 1, 1, 1, generator=generator) < kept
    return torch.where(own, crops, crops * person + backgrounds * (1 - person))


def dye_hair(crops: Tensor, hair: Tensor, share: float, generator: Generator) -> Tensor:
    """Hair (B, 1, S, S) of some pictures in another colour, from black to white: few of the people are blond or red."""
    num = len(crops)
    lighter = torch.rand(num, 1, 1, 1, generator=generator) * 2.4 - 0.8
    tint = 0.2 * torch.randn(num, 3, 1, 1, generator=generator)
    dyed = ((crops + 1) * (lighter + tint).exp() - 1).clamp(-1, 1)
    chosen = (torch.rand(num, 1, 1, 1, generator=generator) < share).float()
    return crops + (dyed - crops) * hair * chosen


def make_backgrounds(crops: Tensor, generator: Generator) -> Tensor:
    """(B, 3, S, S) plain colours, gradients, clouds, stripes, and blurred or mirrored pieces of other pictures."""
    num, _, side, _ = crops.shape
    colour, other = _draw_colours(crops, generator), _draw_colours(crops, generator)
    cells = int(torch.randint(2, 24, (1,), generator=generator))
    noise = torch.randn(num, 1, cells, cells, generator=generator).repeat(1, 3, 1, 1)
    noise = noise + 0.5 * torch.randn(num, 3, cells, cells, generator=generator)
    cloud = F.interpolate(noise, (side, side), mode="bicubic", align_corners=False)
    grain = 0.3 * torch.rand(num, 1, 1, 1, generator=generator) * torch.randn(num, 1, side, side, generator=generator)
    drawn = colour + (other - colour) * torch.sigmoid(3 * cloud) + grain
    shuffled = crops[torch.randperm(num, generator=generator)].flip(2)
    pieces = F.interpolate(shuffled[..., : side // 2, :], (side, side), mode="bilinear", align_corners=False)
    kind = torch.rand(num, 1, 1, 1, generator=generator)
    return torch.where(kind < 0.25, colour.expand_as(drawn), torch.where(kind < 0.7, drawn, pieces)).clamp(-1, 1)


def _draw_colours(crops: Tensor, generator: Generator) -> Tensor:
    """(B, 3, 1, 1) any colour, or, every second time, one near a colour of the picture itself: the hard case."""
    num = len(crops)
    row, column = torch.randint(crops.shape[-1], (2, num), generator=generator)
    own = crops[torch.arange(num), :, row, column] + 0.15 * torch.randn(num, 3, generator=generator)
    free = torch.rand(num, 3, generator=generator) * 2 - 1
    return torch.where(torch.rand(num, 1, generator=generator) < 0.5, own, free)[:, :, None, None]


@torch.no_grad()
def overlap_of_parts(net: SegmentationNet, known: LabelledCrops) -> dict[str, float]:
    """Intersection over union of each part on labelled crops."""
    found = torch.cat([net(to_net(known.crops[i : i + 16])).argmax(1) for i in range(0, len(known.crops), 16)]).numpy()
    return {
        part: float(((found == k) & (known.labels == k)).sum() / max(1, ((found == k) | (known.labels == k)).sum()))
        for k, part in enumerate(CLASSES)
    }


def describe(recipe: ParserTrainingConfig) -> dict[str, object]:
    """What the weights file says about the weights."""
    return {"net": asdict(recipe.net), "recipe": asdict(recipe), "seed": recipe.seed}
