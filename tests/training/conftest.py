"""What tests of training share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from reage.nets.diffusion import DiffusionBase, build_base, tiny
from reage.nets.dlib_resnet import DlibResNet, TrunkConfig
from reage.nets.tokens import build_tokenizer
from reage.prompts import all_prompts
from reage.training.diffusion.dataset import CropDataset, unroll_crops
from reage.training.skin_changes import SkinChangeConfig, SkinChangeDataset, make_skin_change_dataset
from reage.types import Face
from reage.zones import ZONES


@pytest.fixture
def check_two_train_as_one(tmp_path: Path) -> Callable[..., None]:
    """Runs a script alone and launched as two processes: what it prints, its number of processes first, is the same."""

    def check(script: str, *arguments: object) -> None:
        (tmp_path / "launched.py").write_text(script)
        command = [str(tmp_path / "launched.py"), *map(str, arguments)]
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        outputs = [
            subprocess.run([sys.executable, *how, *command], capture_output=True, text=True, check=True).stdout.split()
            for how in ([], launch)
        ]
        one, two = ([float(word) for word in words] for words in outputs)
        assert (one[0], two[0]) == (1, 2)
        np.testing.assert_allclose(two[1:], one[1:], rtol=1e-4)

    return check


@pytest.fixture(scope="session")
def crops(face: Face) -> CropDataset:
    """The demo face and its mirror image, every zone with a score of its own, one of them hidden."""
    scores = np.linspace(0.05, 0.95, len(ZONES), dtype=np.float32)
    scores = np.stack([scores, scores[::-1]])
    scores[1, 0] = np.nan
    mirrored = face.to_crop(face.landmarks)[[3, 2, 1, 0, 4]] * [-1, 1] + [len(face.crop) - 1, 0]
    plane = unroll_crops(face.crop[None], face.to_crop(face.mesh)[None])[0]
    return CropDataset(
        crops=np.stack([face.crop, face.crop[:, ::-1]]),
        planes=np.stack([plane, plane[:, ::-1]]),
        landmarks=np.stack([face.to_crop(face.landmarks), mirrored]).astype(np.float32),
        age_years=np.array([30.0, 70.0], np.float32),
        scores=scores,
    )


@pytest.fixture(scope="session")
def skin_changes(make_portrait: Callable, to_columns: Callable, face: Face) -> SkinChangeDataset:
    """Two faces, taught by `exemplar`."""
    portraits = to_columns([make_portrait(face.crop), make_portrait(face.crop[:, ::-1].copy(), person="P1")])
    return make_skin_change_dataset(portraits, SkinChangeConfig(plane_px=128, crop_px=64))


@pytest.fixture(scope="session")
def build_tiny_base() -> Callable[[], DiffusionBase]:
    """Builds a tiny base, always with the same random weights."""

    def build() -> DiffusionBase:
        torch.manual_seed(0)
        return build_base(tiny(), build_tokenizer(all_prompts()), "ldm-tiny")

    return build


@pytest.fixture
def base(build_tiny_base: Callable[[], DiffusionBase]) -> DiffusionBase:
    """A tiny base with random weights."""
    return build_tiny_base()


def to_tensor(values: np.ndarray) -> bytes:
    """A tensor as dlib writes it: version 2, four sizes, numbers."""
    sizes = [len(values), 1, 1, 1]
    integers = b"".join(bytes([4]) + size.to_bytes(4, "little") for size in sizes)
    return b"\x01\x02" + integers + values.astype("<f4").tobytes()


@pytest.fixture(scope="session")
def dlib_content() -> bytes:
    """A file like dlib's, with random weights."""
    rng, parts = np.random.default_rng(0), []
    net = DlibResNet(TrunkConfig())
    for convolution in net.trunk.convolutions():
        channels, num_weights = convolution.out_channels, convolution.weight.numel()
        scale = (2 * channels / num_weights) ** 0.5
        values = np.concatenate([rng.normal(0, scale, num_weights), rng.normal(0, 0.1, channels)])
        parts.append(b"\x05con_4" + to_tensor(values))
        scales = np.concatenate([rng.uniform(0.5, 1, channels), rng.normal(0, 0.1, channels)])
        parts.append(b"\x07affine_" + to_tensor(scales))
    parts.append(b"\x04fc_2" + b"\x01\x80" + b"\x02\x00\x01" + to_tensor(rng.normal(0, 0.1, net.head.weight.numel())))
    return b"".join(parts)
