"""What tests of the de-aging net's training share."""

from __future__ import annotations

import numpy as np
import pytest

from reage.images import geometry
from reage.nets.deaging_config import tiny
from reage.training.cross_age import CrossAgeDataset
from reage.training.deaging.dataset import DeagingDataset
from reage.types import Face

PHOTO_YEARS = (25.0, 65.0)


@pytest.fixture(scope="session")
def stored(face: Face) -> CrossAgeDataset:
    """A young man and an old woman, at ages where the darker the picture, the older it is."""
    small = geometry.resize(face.crop, 64, 64)
    years = np.array([[5, 45, 60, 75], [5, 20, 30, 80]], np.float32)
    crops = np.stack([small, small[:, ::-1]])
    light = 1 - years[:, :, None, None, None] / 200
    return CrossAgeDataset(
        crops=crops,
        aged=np.clip(crops[:, None] * light, 0, 255).astype(np.uint8),
        age_years=np.array(PHOTO_YEARS, np.float32),
        aged_years=years,
        person=np.arange(2),
        landmarks=np.zeros((2, 5, 2), np.float32),
        masculinity=np.array([1, 0], np.float32),
        grey=np.zeros(2, bool),
    )


@pytest.fixture
def dataset(stored: CrossAgeDataset) -> DeagingDataset:
    return DeagingDataset(stored, tiny())
