"""The nets of pix2pix."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from reage.errors import WeightsError
from reage.nets.pix2pix import build_patch_gan, build_unet, load_unet
from reage.nets.pix2pix_config import UNetConfig, cpu, paper, tiny
from reage.weights import save_weights


@pytest.mark.parametrize("side_px", [128, 256])
def test_the_generator_keeps_the_size(side_px: int) -> None:
    net = build_unet(tiny().generator).eval()
    drawn = net(torch.zeros(2, 4, side_px, side_px))
    assert drawn.shape == (2, 1, side_px, side_px)
    assert drawn.abs().max() <= 1


def test_a_discriminator_judges_patches_of_70_px() -> None:
    net = build_patch_gan(5, tiny().discriminator).eval()
    source = torch.zeros(1, 4, 256, 256)
    drawn = torch.zeros(1, 1, 256, 256, requires_grad=True)
    logits = net(source, drawn)
    assert logits.shape == (1, 1, 30, 30)
    logits[0, 0, 15, 15].backward()
    assert drawn.grad is not None
    seen = drawn.grad[0, 0].abs() > 0
    assert seen.any(0).sum() == seen.any(1).sum() == 70


def test_sizes_are_those_of_the_paper() -> None:
    sizes = paper()
    net = build_unet(sizes.generator)
    assert len(net.downs) == len(net.ups) + 1 == 8
    assert 54e6 < sum(weight.numel() for weight in net.parameters()) < 55e6
    assert sum(isinstance(layer, torch.nn.Dropout) for layer in net.modules()) == 3


def test_the_shipped_size_fits_eight_megabytes() -> None:
    weights = [build_unet(cpu(*sizes).generator).state_dict() for sizes in ((4, 1), (1, 3))]
    assert all(2 * sum(tensor.numel() for tensor in own.values()) < 8e6 for own in weights)


def test_weights_are_read_back(tmp_path: Path) -> None:
    net = build_unet(tiny().generator).eval()
    path = tmp_path / "sketch.safetensors"
    save_weights(path, net.state_dict(), {"net": asdict(net.config)}, fp16=False)
    source = torch.randn(1, 4, 128, 128)
    assert torch.equal(load_unet(path)(source), net(source))
    save_weights(path, net.state_dict(), {"net": asdict(replace(net.config, channels_in=3))})
    with pytest.raises(WeightsError, match="not made for a sketch net"):
        load_unet(path)


def test_a_config_goes_through_json() -> None:
    config = tiny().generator
    assert UNetConfig.from_json({**asdict(config), "widths": list(config.widths)}) == config
