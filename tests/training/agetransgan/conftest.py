"""What tests of AgeTransGAN's training share."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from reage.images import geometry
from reage.nets.age import load_age_net
from reage.nets.agetransgan_config import tiny
from reage.training.agetransgan.dataset import AgeTransGanDataset
from reage.training.agetransgan.model import AgeTransGan
from reage.training.cross_age import CrossAgeDataset
from reage.types import Face


@pytest.fixture(scope="session")
def stored(face: Face) -> CrossAgeDataset:
    """Two people, the demo face and its mirror image, at ages where the darker the picture, the older it is."""
    small = geometry.resize(face.crop, 64, 64)
    years = np.array([[5, 26, 52, 75], [5, 15, 45, 80]], np.float32)
    crops = np.stack([small, small[:, ::-1]])
    light = 1.2 - years[:, :, None, None, None] / 100
    return CrossAgeDataset(
        crops=crops,
        aged=np.clip(crops[:, None] * light, 0, 255).astype(np.uint8),
        age_years=np.array([38, 36], np.float32),
        aged_years=years,
        person=np.arange(2),
        landmarks=np.zeros((2, 5, 2), np.float32),
        masculinity=np.zeros(2, np.float32),
        grey=np.zeros(2, bool),
    )


@pytest.fixture
def dataset(stored: CrossAgeDataset) -> AgeTransGanDataset:
    return AgeTransGanDataset(stored, tiny().generator)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


def embed(x: torch.Tensor) -> torch.Tensor:
    """(B, 3, S, S) -> (B, 48): a small encoder that stands for one of identities."""
    return torch.nn.functional.adaptive_avg_pool2d(x, 4).flatten(1)


@pytest.fixture
def net(seeded: None) -> AgeTransGan:
    """Tiny untrained nets."""
    return AgeTransGan(tiny(), load_age_net("age-a"), embed)
