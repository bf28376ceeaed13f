"""What tests of AMGAN's training share."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch

from reage.engines import load_engine
from reage.nets.age import load_age_net
from reage.nets.amgan_config import tiny
from reage.training.amgan.model import Amgan
from reage.training.amgan.zone_scores import DifferentiableZoneScorer
from reage.training.distillation import DistillationDataset, Teacher, make_distillation_dataset
from reage.types import Face


@pytest.fixture(scope="session")
def distillation(make_portrait: Callable, to_columns: Callable, face: Face) -> DistillationDataset:
    """Two faces of 64 px, taught by `prototype`."""
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_distillation_dataset(portraits, Teacher.load(load_engine("prototype")), 64)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test starts from the same random numbers."""
    torch.manual_seed(0)


@pytest.fixture
def net(seeded: None) -> Amgan:
    """Tiny untrained nets beside the shipped estimators."""
    return Amgan(tiny(), load_age_net("age-a"), DifferentiableZoneScorer.load("zones-a"))
