"""What tests of the sketch nets share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reage.faces.segmentation import FaceParser
from reage.nets.pix2pix_config import tiny
from reage.training.sketch.dataset import SketchDataset, make_sketch_dataset
from reage.training.sketch.train import Pix2Pix, SketchTrainerConfig, SketchTrainingConfig, Stage
from reage.types import Face

STEPS = SketchTrainerConfig(steps=2, batch_size=2, weight_decay=0.0, bf16=False)
TINY = SketchTrainingConfig(
    net=tiny(), stages=tuple(Stage(side_px=side, trainer=STEPS, learning_rate=1e-3) for side in (32, 64))
)


@pytest.fixture(scope="session")
def drawn(make_portrait: Callable, to_columns: Callable, face: Face) -> SketchDataset:
    """The demo face and its mirror image, drawn in both styles."""
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_sketch_dataset(portraits, FaceParser.load())


@pytest.fixture
def net() -> Pix2Pix:
    """Tiny untrained nets."""
    torch.manual_seed(0)
    return Pix2Pix(TINY)
