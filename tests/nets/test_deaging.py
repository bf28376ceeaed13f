"""The de-aging net."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch

from reage.errors import WeightsError
from reage.nets.deaging import Upscale, build_deaging_net, load_deaging_net
from reage.nets.deaging_config import DeagingConfig, cpu, paper, plain, tiny
from reage.weights import save_weights


def published() -> DeagingConfig:
    return replace(tiny(), num_skips=0, adds_to_input=False)


@pytest.mark.parametrize("config", [tiny(), published()])
def test_both_decoders_give_pictures(config: DeagingConfig) -> None:
    young, old = build_deaging_net(config)(torch.zeros(2, 3, 32, 32))
    assert young.shape == old.shape == (2, 3, 32, 32)


def test_a_net_that_adds_starts_with_no_change() -> None:
    picture = torch.randn(2, 3, 32, 32)
    for made in build_deaging_net(tiny())(picture):
        torch.testing.assert_close(made, picture)


def test_as_published_the_middle_is_the_only_way() -> None:
    net = build_deaging_net(published())
    torch.nn.init.zeros_(net.encoder.narrow.weight)
    young, _ = net(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(young[0], young[1])
    shipped = build_deaging_net(tiny())
    torch.nn.init.zeros_(shipped.encoder.narrow.weight)
    torch.nn.init.normal_(shipped.young.out.weight)
    young, _ = shipped(torch.randn(2, 3, 32, 32))
    assert (young[0] - young[1]).abs().mean() > 0.01


def test_each_row_has_its_decoder() -> None:
    torch.manual_seed(0)
    net = build_deaging_net(published())
    picture = torch.randn(3, 3, 32, 32)
    young, old = net(picture)
    made = net.decode_rows(picture, torch.tensor([True, False, True]))
    torch.testing.assert_close(made, torch.stack([young[0], old[1], young[2]]))
    torch.testing.assert_close(net.decode_rows(picture, torch.zeros(3, dtype=torch.bool)), old)


def test_an_upscale_doubles_the_side() -> None:
    assert Upscale(4, 6)(torch.zeros(1, 4, 5, 5)).shape == (1, 6, 10, 10)


def test_sizes_are_those_of_face_swaps() -> None:
    net = build_deaging_net(paper())
    assert net.encoder.narrow.weight.shape == (1024, 16384)
    code, maps = net.encoder(torch.zeros(1, 3, 64, 64))
    assert code.shape == (1, 512, 8, 8)
    assert [one.shape[1] for one in maps] == [128, 256, 512, 1024]


def test_the_shipped_size_fits_five_megabytes() -> None:
    assert all(2 * sum(one.numel() for one in build_deaging_net(size).parameters()) < 5e6 for size in (cpu(), plain()))


def test_weights_are_read_back(tmp_path: Path) -> None:
    net, path = build_deaging_net(tiny()), tmp_path / "deaging.safetensors"
    save_weights(path, net.state_dict(), {"net": asdict(net.config)}, fp16=False)
    loaded = load_deaging_net(path)
    assert loaded.config == net.config
    torch.testing.assert_close(loaded.state_dict(), net.state_dict())
    save_weights(path, net.state_dict(), {"net": asdict(replace(net.config, latent=4))})
    with pytest.raises(WeightsError, match="not made for a de-aging net"):
        load_deaging_net(path)


def test_a_config_goes_through_json() -> None:
    values = {**asdict(tiny()), "widths": list(tiny().widths), "decoder_widths": list(tiny().decoder_widths)}
    assert DeagingConfig.from_json(values) == tiny()
