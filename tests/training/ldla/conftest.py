"""Pairs for the tests of LDLA."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from reage.nets.diffusion import DiffusionBase
from reage.training.ldla.dataset import PairedLatents, PairedLatentsConfig, encode_pairs
from reage.training.skin_changes import SkinChangeDataset


@pytest.fixture(scope="session")
def pairs(skin_changes: SkinChangeDataset, build_tiny_base: Callable[[], DiffusionBase]) -> PairedLatents:
    """Five versions of every zone of two faces: the photo, and four changes of its skin."""
    return encode_pairs(build_tiny_base(), skin_changes, PairedLatentsConfig())
