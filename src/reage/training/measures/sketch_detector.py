"""Fits the detector of sketches: photos of training people in many looks, against drawings of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from rich.progress import track as show_progress
from torch import Tensor, nn

from reage.data.shards import Portraits
from reage.faces.drawn_sketch import STYLES, Drafting, draw_portrait, find_person
from reage.faces.segmentation import FaceParser
from reage.faces.sketch_detection import NUM_LOOKS, measure_look
from reage.images import codec, geometry, regions
from reage.nets.pix2pix_config import SKETCH_PX
from reage.sketch import Sketcher
from reage.training.runner import RunContext, Weights
from reage.types import Pixels, Plane

PHOTOS = ("photo", "grey photo", "photo on white", "grey photo on white", "sepia photo on white")
"""Looks of photos; the first four as they are, or without colour, or with a white background, or both."""
DRAWINGS = tuple(
    f"{style}{by}{paper}" for style in STYLES for by, paper in (("", ""), ("", ", cream paper"), (" of the net", ""))
)
"""Looks of drawings: by rules, on white and on cream paper, and by the sketch net."""


@dataclass(frozen=True, kw_only=True)
class SketchDetectorTrainingConfig:
    """Everything that decides which weights come out.

    Args:
        seed: of the choice of portraits, of drawings and of degradations.
        count: portraits at most.
        hidden: size of the hidden layer.
        decay: weight of the squared weights in the loss.
        steps: iterations of L-BFGS.
    """

    seed: int = 0
    count: int = 400
    hidden: int = 12
    decay: float = 1e-3
    steps: int = 400


def sketch_detection() -> SketchDetectorTrainingConfig:
    """The configuration of the shipped weights."""
    return SketchDetectorTrainingConfig()


def run(config: SketchDetectorTrainingConfig, portraits: Portraits, context: RunContext) -> Weights:
    """Draws training portraits and fits the detector."""
    del context
    rows = choose_rows(portraits, "train", config.count, config.seed)
    looks = measure_looks(portraits, rows, seed=config.seed, track=lambda some: show_progress(some, "drawn faces"))
    tensors = fit_detector(config, looks)
    return tensors, {"recipe": asdict(config), "seed": config.seed}


def choose_rows(portraits: Portraits, split: str, count: int, seed: int) -> NDArray[np.int64]:
    """Random rows of a split, at most so many."""
    rows = np.flatnonzero(portraits.split == split)
    return np.random.default_rng(seed).permutation(rows)[:count]


def measure_looks(
    portraits: Portraits,
    rows: NDArray[np.int64],
    *,
    seed: int,
    degrades: bool = True,
    track: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> dict[str, Plane]:
    """Each of `PHOTOS` and `DRAWINGS` -> looks (N, F) of portraits; those without colour give no photo in colour.

    Args:
        portraits: of any people.
        rows: those to look at.
        seed: of drawings and degradations.
        degrades: whether each picture is degraded at random, see `degrade`, or left as it is.
        track: passes rows on, and may show progress.
    """
    parser, sketcher = FaceParser.load(), Sketcher()
    looks: dict[str, list[Plane]] = {}
    for row in track(rows.tolist()):
        generator = np.random.default_rng((seed, row))
        for name, picture in make_pictures(portraits, row, parser, sketcher, generator).items():
            shown = degrade(picture, generator) if degrades else picture
            looks.setdefault(name, []).append(measure_look(shown))
    return {name: np.stack(looks[name]) for name in (*PHOTOS, *DRAWINGS) if name in looks}


def make_pictures(
    portraits: Portraits, row: int, parser: FaceParser, sketcher: Sketcher, generator: np.random.Generator
) -> dict[str, Pixels]:
    """All looks of a portrait: name -> (256, 256, 3)."""
    crop, mesh = portraits.crops[row], portraits.mesh[row]
    small = geometry.resize(crop, SKETCH_PX, SKETCH_PX)
    small_mesh = geometry.move_points(mesh, geometry.resize_matrix(len(crop), SKETCH_PX))
    person = find_person(small, small_mesh, parser)[..., None]
    white = regions.to_pixels(person * small + (1 - person) * generator.uniform(235, 255))
    pictures = {"grey photo": _to_grey(small), "grey photo on white": _to_grey(white)}
    if not portraits.grey[row]:
        pictures |= {"photo": small, "photo on white": white}
    pictures["sepia photo on white"] = _tint(_to_grey(white), generator)
    for style in STYLES:
        drafting = Drafting(
            style=style,
            proportion_error=generator.uniform(0, 0.04),
            exaggeration=generator.uniform(0.8, 1.4),
            strokes=generator.uniform(0.3, 1.2),
            seed=row,
        )
        drawn = np.repeat(draw_portrait(small, small_mesh, parser, drafting)[..., None], 3, -1)
        by_net = geometry.resize(sketcher.draw(crop, style, mesh=mesh), SKETCH_PX, SKETCH_PX)
        pictures |= {style: drawn, f"{style}, cream paper": _tint(drawn, generator), f"{style} of the net": by_net}
    return pictures


def degrade(picture: Pixels, generator: np.random.Generator) -> Pixels:
    """The picture as a camera or scanner may give it: blurred, noisy, of other contrast, small, saved as JPEG."""
    light: NDArray[np.floating] = picture.astype(np.float32)
    if generator.random() < 0.5:
        light = geometry.blur(light.astype(np.float32), generator.uniform(0.3, 1.5))
    if generator.random() < 0.5:
        light = light + generator.normal(0, generator.uniform(0, 6), light.shape[:2])[..., None]
    if generator.random() < 0.5:
        light = 128 + (light - 128) * generator.uniform(0.7, 1.15) + generator.uniform(-20, 15)
    shown = regions.to_pixels(light)
    if generator.random() < 0.3:
        side, own = int(generator.integers(110, len(shown))), len(shown)
        shown = geometry.resize(geometry.resize(shown, side, side), own, own)
    return (
        codec.decode(codec.encode_jpeg(shown, int(generator.integers(40, 95)))) if generator.random() < 0.5 else shown
    )


def _to_grey(picture: Pixels) -> Pixels:
    return np.repeat(regions.to_pixels(regions.to_light(picture))[..., None], 3, -1)


def _tint(picture: Pixels, generator: np.random.Generator) -> Pixels:
    """On yellowed paper."""
    return regions.to_pixels(picture * np.array([1, generator.uniform(0.94, 1), generator.uniform(0.8, 0.97)]))


def fit_detector(config: SketchDetectorTrainingConfig, looks: Mapping[str, Plane]) -> dict[str, NDArray[Any]]:
    """The tensors of `reage.faces.sketch_detection.SketchDetector`; photos and drawings weigh as much in all."""
    torch.manual_seed(config.seed)
    values = np.concatenate(list(looks.values())).astype(np.float64)
    drawn = torch.from_numpy(np.concatenate([np.full(len(one), name in DRAWINGS) for name, one in looks.items()]))
    mean, std = values.mean(0), values.std(0) + 1e-3
    x, truth = torch.from_numpy((values - mean) / std), drawn.double()
    weights = torch.where(drawn, 1 / drawn.sum(), 1 / (~drawn).sum())
    net = nn.Sequential(nn.Linear(NUM_LOOKS, config.hidden), nn.Tanh(), nn.Linear(config.hidden, 1)).double()
    optimizer = torch.optim.LBFGS(net.parameters(), max_iter=config.steps)

    def step() -> Tensor:
        optimizer.zero_grad()
        found = F.binary_cross_entropy_with_logits(net(x)[:, 0], truth, reduction="none")
        loss: Tensor = (weights * found).sum() + config.decay * sum((one**2).sum() for one in net.parameters())
        loss.backward()
        return loss

    optimizer.step(step)
    hidden, _, out = net
    assert isinstance(hidden, nn.Linear)
    assert isinstance(out, nn.Linear)
    tensors = {"hidden": hidden.weight, "hidden_bias": hidden.bias, "out": out.weight[0], "out_bias": out.bias}
    fitted = {name: value.detach().numpy().astype(np.float32) for name, value in tensors.items()}
    return {"mean": mean.astype(np.float32), "std": std.astype(np.float32), **fitted}
