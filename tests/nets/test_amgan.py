"""AMGAN's nets: light enough, and the same on tiles as on the whole picture."""

from __future__ import annotations

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from reage.nets.amgan import apply_change, build_critic, build_generator, encode_planes, normalise
from reage.nets.amgan_config import AmganConfig, cpu, paper, read_config, tiny


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def pictures(num: int, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    return 2 * torch.rand(num, 3, side, side) - 1, 2 * torch.rand(num, 4, side, side) - 1


def test_the_shipped_generator_is_light() -> None:
    net = build_generator(cpu().generator).eval()
    assert sum(weight.numel() for weight in net.parameters()) < 4e6
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        net(*pictures(1, 512))
    assert counter.get_total_flops() / 2 < 25e9


@pytest.mark.parametrize("side", [32, 64])
@pytest.mark.parametrize("config", [tiny(), cpu()])
def test_pictures_keep_their_size_and_range(config: AmganConfig, side: int) -> None:
    x, planes = pictures(2, side)
    change, attention = build_generator(config.generator).predict_change(x, planes)
    assert (change.shape, attention.shape) == ((2, 3, side, side), (2, 1, side, side))
    assert 0 <= attention.min() <= attention.max() <= 1
    aged = apply_change(x, 20 * change)
    assert aged.shape == x.shape
    assert -1 <= aged.min() <= aged.max() <= 1


def test_no_change_is_exactly_none() -> None:
    x, _ = pictures(1, 16)
    torch.testing.assert_close(apply_change(x, torch.zeros_like(x)), x, atol=1e-6, rtol=0)


def test_a_change_is_a_ratio_of_light() -> None:
    grey = torch.full((1, 3, 8, 8), 0.0)
    doubled = apply_change(grey, torch.full_like(grey, 0.5).log().neg())
    torch.testing.assert_close(doubled, torch.full_like(grey, 2 * (0.54 * 2 - 0.04) - 1).clamp(-1, 1))


def test_colour_of_a_change_has_no_light_of_its_own() -> None:
    net = build_generator(tiny().generator)
    torch.nn.init.normal_(net.change.weight)
    with torch.inference_mode():
        change, _ = net.predict_change(*pictures(1, 32))
    light = change.mean(1, keepdim=True)
    assert (change - light).abs().max() < 0.6
    assert (change - light).std() > 0


def test_what_lies_far_away_does_not_matter() -> None:
    """So that a tile of a large face and the whole face agree: no statistics are taken over the picture."""
    net = build_generator(tiny().generator).eval()
    x, planes = pictures(1, 256)
    other, other_planes = x.clone(), planes.clone()
    other[..., 192:, 192:] *= -1
    other_planes[..., 192:, 192:] *= -1
    with torch.inference_mode():
        first, second = net(x, planes), net(other, other_planes)
    assert torch.equal(first[..., :96, :96], second[..., :96, :96])
    assert not torch.equal(first, second)


def test_pixels_are_brought_to_one_scale() -> None:
    y = normalise(5 + 3 * torch.randn(2, 16, 4, 4))
    torch.testing.assert_close(y.mean(1), torch.zeros(2, 4, 4), atol=1e-5, rtol=0)
    torch.testing.assert_close((y**2).mean(1), torch.ones(2, 4, 4), atol=1e-3, rtol=0)


def test_conditions_hold_maps_and_locations() -> None:
    planes = torch.zeros(1, 4, 8, 8)
    planes[:, 0], planes[:, 1] = 0.5, -0.25
    conditions = encode_planes(planes)
    torch.testing.assert_close(conditions[0, :3, 0, 0], torch.tensor([0.5, -0.25, 1.5]))
    assert conditions.shape[1] == build_generator(tiny().generator).blocks[0].spades[0].look.in_channels


def test_the_map_steers_the_picture() -> None:
    net = build_generator(tiny().generator)
    for spade in [*net.blocks[0].spades, *net.fine_block.spades]:
        torch.nn.init.normal_(spade.modulate.weight)
    x, planes = pictures(1, 64)
    steered = planes.clone()
    steered[:, 0, 16:32, 16:32] += 1
    with torch.inference_mode():
        assert not torch.equal(net(x, planes), net(x, steered))


@pytest.mark.parametrize("config", [tiny(), cpu(), paper()])
def test_the_critic_predicts_realism_map_and_location(config: AmganConfig) -> None:
    side = 2 ** (len(config.critic.widths) + 2)
    with torch.inference_mode():
        realism, aging_map, location = build_critic(config.critic)(torch.randn(2, 1, side, side))
    assert (realism.shape, aging_map.shape, location.shape) == ((2, 1, 4, 4), (2, 1, 4, 4), (2, 2))


def test_configs_survive_a_file() -> None:
    values = {"widths": [4, 8, 8], "num_blocks": 1, "hidden": 4}
    assert read_config(values) == tiny().generator
