"""What tests of the age-invariant encoder's training share."""

from __future__ import annotations

import numpy as np
import pytest

from reage.training.aifd.dataset import CrossAgeFaces, make_cross_age_faces
from reage.training.cross_age import CrossAgeDataset
from reage.types import Face


@pytest.fixture(scope="session")
def cross_age(face: Face) -> CrossAgeDataset:
    """Six people in colours of light, the first two twice; the older, the darker."""
    light = np.random.default_rng(0).uniform(0.4, 1, (8, 1, 1, 3))
    points = face.to_crop(face.landmarks)
    crops = (face.crop * light).astype(np.uint8)
    aged_years = np.tile(np.array([10.0, 30, 50, 70], np.float32), (8, 1))
    darker = 1 - aged_years[..., None, None, None] / 100
    return CrossAgeDataset(
        crops=crops,
        aged=(crops[:, None] * darker).astype(np.uint8),
        age_years=np.full(8, 38, np.float32),
        aged_years=aged_years,
        person=np.array([0, 1, 0, 1, 2, 3, 4, 5]),
        landmarks=np.repeat(points[None], 8, 0),
        masculinity=np.linspace(0, 1, 8).astype(np.float32),
        grey=np.zeros(8, bool),
    )


@pytest.fixture(scope="session")
def faces(cross_age: CrossAgeDataset) -> CrossAgeFaces:
    """Its faces at 32 px."""
    return make_cross_age_faces(cross_age, 32)
