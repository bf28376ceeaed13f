"""Pairs for the tests of LDLA."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from reage.nets.diffusion import DiffusionBase
from reage.training.diffusion.dataset import CropDataset
from reage.training.ldla.dataset import PairedLatents, encode_pairs


@pytest.fixture(scope="session")
def pairs(crops: CropDataset, build_tiny_base: Callable[[], DiffusionBase]) -> PairedLatents:
    """Three versions of every zone: the photo, a darker one with half its scores, and the photo again."""
    darker = replace(crops, crops=crops.crops // 2, scores=crops.scores / 2)
    return encode_pairs(build_tiny_base(), [crops, darker, crops])
