"""Landmark transfer, at tiny size."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

import pytest
import torch

from reage.errors import WeightsError
from reage.nets.landmark_transfer import (
    LandmarkTransfer,
    LandmarkTransferConfig,
    build_landmark_transfer,
    load_landmark_transfer,
)
from reage.weights import save_weights

TINY = LandmarkTransferConfig(num_shapes=4, num_offsets=3, width=8, code=2)


def make_net() -> LandmarkTransfer:
    torch.manual_seed(0)
    net = build_landmark_transfer(TINY).eval()
    for rows in (net.shapes, net.offsets, net.blend_shapes):
        rows.normal_()
    return net


@torch.inference_mode()
def test_a_face_driven_by_itself_stays_and_another_moves_it() -> None:
    net, faces, none = make_net(), torch.randn(2, 468, 3), torch.zeros(2, 52)
    torch.testing.assert_close(net(faces, faces, none), faces)
    moved = net(faces, faces.flip(0), none)
    assert moved.shape == faces.shape
    assert (moved - faces).abs().mean() > 0.01


@torch.inference_mode()
def test_blend_shapes_are_added() -> None:
    net, faces, change = make_net(), torch.randn(1, 468, 3), torch.zeros(1, 52)
    change[0, 7] = 0.5
    torch.testing.assert_close(net(faces, faces, change) - faces, 0.5 * net.blend_shapes[7].reshape(1, 468, 3))


def test_weights_are_read_back(tmp_path: Path) -> None:
    net = make_net()
    save_weights(tmp_path / "mine.safetensors", net.state_dict(), {"net": asdict(TINY)})
    read = load_landmark_transfer(tmp_path / "mine.safetensors")
    assert read.config == TINY
    torch.testing.assert_close(read.offsets, net.offsets, atol=1e-3, rtol=1e-3)
    with pytest.raises(WeightsError, match="not made for landmark transfer"):
        load_landmark_transfer("age-a")
