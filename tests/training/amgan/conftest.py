"""What tests of AMGAN's training share."""

from __future__ import annotations

import pytest
import torch

from reage.nets.age import load_age_net
from reage.nets.amgan_config import tiny
from reage.training.amgan.dataset import AmganDataset, AmganDatasetConfig
from reage.training.amgan.model import Amgan
from reage.training.amgan.zone_scores import DifferentiableZoneScorer
from reage.training.skin_changes import SkinChangeDataset

SMALL_BATCHES = AmganDatasetConfig(patch_px=128)


@pytest.fixture(scope="session")
def dataset(skin_changes: SkinChangeDataset) -> AmganDataset:
    """Batches of them."""
    return AmganDataset(skin_changes, SMALL_BATCHES)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


@pytest.fixture
def net(seeded: None) -> Amgan:
    """Tiny untrained nets beside the shipped estimators."""
    return Amgan(tiny(), load_age_net("age-a"), DifferentiableZoneScorer.load("zones-a"))
