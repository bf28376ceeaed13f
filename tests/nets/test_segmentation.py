"""The face parsing net: its shapes, and that it uses the picture, the map of the face and all it was taught."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from reage.face_classes import CLASSES
from reage.nets.segmentation import MAP_CHANNELS, SegmentationNet, SegmentationNetConfig, build_segmentation_net


@pytest.fixture
def net() -> SegmentationNet:
    torch.manual_seed(0)
    return build_segmentation_net(SegmentationNetConfig(input_px=64, widths=(8, 12, 16)))


def make_map(batch: int, side_px: int = 64) -> Tensor:
    """Places from -1 to 1, and masks of boxes that are smaller and smaller."""
    axis = torch.linspace(-1, 1, side_px // 2)
    x, y = torch.meshgrid(axis, axis, indexing="xy")
    masks = [(torch.maximum(x.abs(), y.abs()) < reach).float() for reach in (0.8, 0.6, 0.4, 0.2)]
    return torch.stack([x, y, *masks]).expand(batch, -1, -1, -1)


def test_each_pixel_gets_a_logit_for_each_class(net: SegmentationNet) -> None:
    logits = net(torch.randn(2, 3, 64, 64), make_map(2))
    assert logits.shape == (2, len(CLASSES), 64, 64)
    assert logits.dtype == torch.float32
    assert len(CLASSES) == len(set(CLASSES)) == 10


@pytest.mark.parametrize("widths", [(8,), (8, 8, 8, 8, 8)])
def test_it_has_as_many_stages_as_widths(widths: tuple[int, ...]) -> None:
    net = build_segmentation_net(SegmentationNetConfig(input_px=32, widths=widths)).eval()
    assert len(net.down) == len(widths)
    assert len(net.up) == len(widths) - 1
    assert net(torch.randn(1, 3, 32, 32), make_map(1, 32)).shape == (1, len(CLASSES), 32, 32)


@torch.no_grad()
def test_the_picture_and_every_channel_of_the_map_count(net: SegmentationNet) -> None:
    net.eval()
    pictures, face_map = torch.randn(1, 3, 64, 64), make_map(1)
    assert face_map.shape[1] == MAP_CHANNELS
    logits = net(pictures, face_map)
    assert torch.equal(net(pictures, face_map), logits)
    assert not torch.allclose(net(pictures.flip(1), face_map), logits, atol=1e-3)
    for channel in range(MAP_CHANNELS):
        changed = face_map.clone()
        changed[:, channel] = -changed[:, channel]
        assert not torch.allclose(net(pictures, changed), logits, atol=1e-3), channel


def test_pictures_do_not_mix_in_evaluation(net: SegmentationNet) -> None:
    net.eval()
    pictures = torch.randn(3, 3, 64, 64)
    together = net(pictures, make_map(3))
    alone = torch.cat([net(picture[None], make_map(1)) for picture in pictures])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=1e-4)


def test_every_part_is_trained(net: SegmentationNet) -> None:
    net(torch.randn(2, 3, 64, 64), make_map(2)).square().mean().backward()
    assert all(weight.grad is not None and weight.grad.abs().sum() > 0 for weight in net.parameters())


def test_it_learns_where_a_thing_of_one_colour_is(net: SegmentationNet) -> None:
    torch.manual_seed(1)
    optimizer = torch.optim.Adam(net.parameters(), 1e-2)
    losses = []
    for _ in range(60):
        blocks = torch.rand(4, 1, 4, 4) > 0.5
        inside = F.interpolate(blocks.float(), scale_factor=16)
        pictures = 2 * inside - 1 + 0.2 * torch.randn(4, 3, 64, 64)
        labels = torch.where(inside[:, 0] > 0.5, 2, 0)
        loss = F.cross_entropy(net(pictures, make_map(4)), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.35 < 1.8 < losses[0]


def test_the_shipped_size_has_less_than_a_million_parameters() -> None:
    net = build_segmentation_net(SegmentationNetConfig())
    assert 300_000 < sum(weight.numel() for weight in net.parameters()) < 1_000_000
