"""What tests of the face generator share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reage.nets.reenactment_config import FaceGeneratorConfig, PatchCriticConfig
from reage.training.reenactment.dataset import ReenactmentDataset, make_reenactment_dataset
from reage.training.reenactment.train import Reenactment, ReenactmentTrainingConfig
from reage.training.trainer import TrainerConfig
from reage.types import Face

TINY = ReenactmentTrainingConfig(
    net=FaceGeneratorConfig(widths=(4, 4, 8), num_blocks=1, style=4, full=4),
    critic=PatchCriticConfig(widths=(4, 4)),
    trainer=TrainerConfig(steps=3, batch_size=2, weight_decay=0.0, bf16=False),
)


@pytest.fixture(scope="session")
def turned(make_portrait: Callable, to_columns: Callable, face: Face) -> ReenactmentDataset:
    """Two faces turned there and back."""
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_reenactment_dataset(portraits)


@pytest.fixture
def net() -> Reenactment:
    """Tiny untrained nets."""
    torch.manual_seed(0)
    return Reenactment(TINY)
