"""Fits what tells headwear from hair: cells of training people, also in dyed and in drawn headwear."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track as show_progress
from torch import nn

from reage.data.shards import Portraits
from reage.face_classes import CLASSES
from reage.faces.headwear import CELLS, LARGEST, NUM_LOOKS, measure_cells
from reage.faces.segmentation import FaceParser
from reage.images import geometry, regions
from reage.nets.runtime import load_session
from reage.training.measures.occlusions import Scene, put_on_headwear
from reage.training.measures.sketch_detector import degrade
from reage.training.runner import RunContext, Weights
from reage.types import Pixels, Plane

_LABELS = Path(__file__).with_name("headwear_labels.json")
_CROP_PX = 256
_HAIR, _HAT = CLASSES.index("hair"), CLASSES.index("hat")
_SURE = 0.6
"""Share of a class in a cell, from which the cell is labelled."""
_FEWEST = 4
"""Labelled cells of a picture at least."""


@dataclass(frozen=True, kw_only=True)
class HeadwearTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of dyes, degradations, drawn headwear and training.
        dyed: pictures of each person with headwear in which it has another colour.
        drawn: share of the people without headwear of whom a picture with drawn headwear is made.
        cells: of a picture at most.
        hidden: size of the hidden layer.
        headwear_weight: weight of all cells of headwear.
        steps: of AdamW.
        batch: cells in a step.
        decay: of the weights.
        noise: standard deviation of what is added to the looks, standard deviations of these.
        dropout: probability that a look is dropped.
    """

    seed: int = 0
    dyed: int = 6
    drawn: float = 0.4
    cells: int = 150
    hidden: int = 24
    headwear_weight: float = 0.25
    steps: int = 1500
    batch: int = 2048
    decay: float = 0.03
    noise: float = 0.15
    dropout: float = 0.1


@dataclass(frozen=True)
class Cells:
    """Cells of many pictures.

    Args:
        looks: (N, F) as `measure_cells` gives them.
        cloth: (N,) whether they are headwear.
        weights: (N,) those of a picture weigh 1 in all.
    """

    looks: Plane
    cloth: NDArray[np.bool_]
    weights: Plane


def headwear() -> HeadwearTrainingConfig:
    """The configuration of the shipped weights."""
    return HeadwearTrainingConfig()


def run(config: HeadwearTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Measures training portraits and fits the net."""
    del context
    rows = np.flatnonzero(portraits.split == "train").tolist()
    cells = collect_cells(config, portraits, rows, track=lambda some: show_progress(some, "portraits"))
    return fit_cells(config, cells), {"recipe": asdict(config), "seed": config.seed}


@cache
def headwear_labels() -> Mapping[str, Sequence[str]]:
    """Files of photos, without the folder of their collection, by what was seen by eye.

    Returns:
        "covered": all that the parser calls hair or hat is cloth; "partly": its hats are, and its hair may be; "hats":
        its hats are, and its hair is hair; "doubtful": not to be learned from; "judged": people held out from training
        whose head is covered. Of all others, hair and hats are hair.
    """
    labels: Mapping[str, Sequence[str]] = json.loads(_LABELS.read_text())
    return labels


def label_cells(file: str, shares: Plane) -> NDArray[np.int8]:
    """(CELLS, CELLS) 1 in headwear, 0 in hair, -1 elsewhere, of a training photo with shares (10, P, P)."""
    hair, hat = (geometry.resize(shares[name], CELLS, CELLS) for name in (_HAIR, _HAT))
    labels = np.full((CELLS, CELLS), -1, np.int8)
    kinds = {kind for kind, files in headwear_labels().items() if file in files}
    if "doubtful" in kinds:
        return labels
    if "covered" in kinds:
        labels[hair + hat > _SURE] = 1
    elif kinds:
        labels[hat > _SURE] = 1
        if "hats" in kinds:
            labels[(hair > _SURE) & (geometry.blur(hat, 1.5) < 0.1)] = 0
    else:
        labels[hair + hat > _SURE] = 0
    return labels


def collect_cells(
    config: HeadwearTrainingConfig,
    portraits: Portraits,
    rows: Sequence[int],
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Cells:
    """The labelled cells of portraits, as they are, degraded, and with dyed and drawn headwear."""
    parser = FaceParser(load_session("face-parser"))
    looks, labels = list[Plane](), list[NDArray[np.int8]]()
    for row in track(rows):
        random = np.random.default_rng((config.seed, row))
        crop = geometry.resize(portraits.crops[row], _CROP_PX, _CROP_PX)
        mesh = geometry.move_points(portraits.mesh[row], geometry.resize_matrix(portraits.crops.shape[1], _CROP_PX))
        for picture, shares, found in make_pictures(config, crop, mesh, str(portraits.file[row]), parser, random):
            chosen = random.permutation(np.flatnonzero(found.ravel() >= 0))[: config.cells]
            if len(chosen) >= _FEWEST:
                looks.append(measure_cells(picture, shares, mesh).reshape(-1, NUM_LOOKS)[chosen])
                labels.append(found.ravel()[chosen])
    weights = np.concatenate([np.full(len(one), 1 / len(one), np.float32) for one in labels])
    return Cells(np.concatenate(looks), np.concatenate(labels) == 1, weights)


def make_pictures(
    config: HeadwearTrainingConfig,
    crop: Pixels,
    mesh: Plane,
    file: str,
    parser: FaceParser,
    random: np.random.Generator,
) -> Iterable[tuple[Pixels, Plane, NDArray[np.int8]]]:
    """Pictures (S, S, 3) of a portrait, their shares, and the labels of their cells."""
    shares = parser.measure_shares(crop, mesh)
    labels = label_cells(file, shares)
    yield crop, shares, labels
    yield degrade(crop, random), shares, labels
    if (labels == 1).any():
        for _ in range(config.dyed):
            yield degrade(dye_cloth(crop, shares, labels, random), random), shares, labels
    elif random.random() < config.drawn:
        yield _draw_on(crop, mesh, shares, parser, random)


def dye_cloth(crop: Pixels, shares: Plane, labels: NDArray[np.int8], random: np.random.Generator) -> Pixels:
    """The picture with headwear of another, mostly plain colour: dark, light, or any."""
    side = len(crop)
    cloth = geometry.resize((labels == 1).astype(np.float32), side, side) > 0.3
    share = geometry.resize(np.clip(shares[_HAIR] + shares[_HAT], 0, 1), side, side)[..., None] * cloth[..., None]
    levels = crop.astype(np.float32)
    mean = (levels * share).sum((0, 1)) / (share.sum() + 1)
    kind = random.choice(["dark", "light", "any"], p=[0.45, 0.2, 0.35])
    low, high = {"dark": (10, 50), "light": (130, 225), "any": (30, 200)}[kind]
    colour = random.uniform(low, high) + random.normal(0, 40 if kind == "any" else 4, 3)
    contrast = random.uniform(0.25, 0.9) * min(1.0, (colour.mean() + 15) / (mean.mean() + 15))
    light = (levels - mean).mean(-1, keepdims=True)
    dyed = colour + contrast * (light + random.uniform(0, 0.6) * (levels - mean - light))
    return regions.to_pixels(levels + share * (dyed - levels))


def _draw_on(
    crop: Pixels, mesh: Plane, shares: Plane, parser: FaceParser, random: np.random.Generator
) -> tuple[Pixels, Plane, NDArray[np.int8]]:
    """A portrait in drawn headwear, degraded, with the shares that the parser finds in it."""
    side, border = len(crop), len(crop) // 2
    matrix = np.array([[1.0, 0, border], [0, 1, border]])
    hair = (geometry.resize(shares[_HAIR], side, side) > 0.5).astype(np.uint8)
    labels = geometry.warp(hair * np.uint8(_HAIR), matrix, 2 * side, 2 * side, edge="zero").astype(np.int8)
    wide = geometry.warp(crop, matrix, 2 * side, 2 * side)
    scene = Scene(wide, labels, np.full(labels.shape, 255, np.uint8), geometry.move_points(mesh[:, :2], matrix))
    worn = put_on_headwear(scene, random)
    inside = slice(border, border + side)
    cloth = geometry.resize((worn.labels[inside, inside] == _HAT).astype(np.float32), CELLS, CELLS)
    picture = degrade(np.ascontiguousarray(worn.pixels[inside, inside]), random)
    found = parser.measure_shares(picture, mesh)
    cover = geometry.resize(found[_HAIR] + found[_HAT], CELLS, CELLS) > _SURE
    cells = np.full((CELLS, CELLS), -1, np.int8)
    cells[cover & (cloth > 0.9)] = 1
    cells[cover & (cloth < 0.05) & (geometry.resize(shares[_HAIR], CELLS, CELLS) > _SURE)] = 0
    return picture, found, cells


def fit_cells(config: HeadwearTrainingConfig, cells: Cells) -> dict[str, NDArray[Any]]:
    """The tensors of `reage.faces.headwear.HeadwearDetector`."""
    torch.manual_seed(config.seed)
    mean, std = cells.looks.mean(0), cells.looks.std(0) + np.float32(1e-3)
    looks = torch.from_numpy(((cells.looks - mean) / std).clip(-LARGEST, LARGEST).astype(np.float32))
    truth = torch.from_numpy(cells.cloth.astype(np.float32))
    net = nn.Sequential(nn.Linear(NUM_LOOKS, config.hidden), nn.Tanh(), nn.Linear(config.hidden, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=config.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, total_steps=config.steps)
    reached, random = np.cumsum(_balance(config, cells)), np.random.default_rng(config.seed)
    for _ in range(config.steps):
        rows = torch.from_numpy(
            np.searchsorted(reached, random.random(config.batch) * reached[-1]).clip(0, len(truth) - 1)
        )
        drawn = looks[rows] + config.noise * torch.randn(len(rows), NUM_LOOKS)
        drawn = drawn * (torch.rand_like(drawn) > config.dropout)
        loss = F.binary_cross_entropy_with_logits(net(drawn)[:, 0], truth[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    hidden, _, out = net
    assert isinstance(hidden, nn.Linear)
    assert isinstance(out, nn.Linear)
    tensors = {"hidden": hidden.weight, "hidden_bias": hidden.bias, "out": out.weight[0], "out_bias": out.bias}
    fitted = {name: value.detach().numpy().astype(np.float32) for name, value in tensors.items()}
    return {"mean": mean.astype(np.float32), "std": std.astype(np.float32), **fitted}


def _balance(config: HeadwearTrainingConfig, cells: Cells) -> NDArray[np.float64]:
    """(N,) weights with which cells are drawn."""
    weights = cells.weights.astype(np.float64)
    cloth = weights[cells.cloth].sum()
    share = np.where(
        cells.cloth, config.headwear_weight / cloth, (1 - config.headwear_weight) / (weights.sum() - cloth)
    )
    return weights * share
