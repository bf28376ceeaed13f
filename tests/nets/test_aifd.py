"""The age-invariant identity encoder: its decomposition, heads, sizes, and its start from dlib's net."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from reage.errors import WeightsError
from reage.images.tensors import to_net
from reage.measure.recognizers import make_chip
from reage.nets.aifd import (
    AgeHead,
    Aifd,
    AifdConfig,
    Attention,
    age_group,
    build_aifd,
    calibrate_normalisation,
    cpu,
    expected_age,
    load_aifd,
    paper,
    pool_pyramid,
    tiny,
)
from reage.nets.dlib_resnet import TrunkConfig, load_dlib_resnet
from reage.types import Face
from reage.weights import save_weights

TINY_IR = replace(
    paper(), trunk=TrunkConfig(stem=4, stages=((4, 1), (8, 1))), input_px=30, embedding_size=8, reduction=4, age_size=8
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def pictures(config: AifdConfig, num: int = 3) -> Tensor:
    return 2 * torch.rand(num, 3, config.input_px, config.input_px) - 1


@pytest.fixture(params=[tiny(), TINY_IR], ids=["dlib", "ir"])
def net(request: pytest.FixtureRequest) -> Aifd:
    return build_aifd(request.param)


def test_both_parts_add_up_to_the_features(net: Aifd) -> None:
    x = pictures(net.config)
    net.eval()
    features = net.trunk(x)[-1]
    of_identity, of_age = net.decompose(x)
    assert features.shape == (3, net.config.channels, net.config.map_px, net.config.map_px)
    torch.testing.assert_close(of_identity + of_age, features)
    shares = net.attention(features)
    torch.testing.assert_close(of_age, features * shares)
    assert ((shares > 0) & (shares < 1)).all()


def test_the_attention_is_the_mean_of_both_gates() -> None:
    attention, x = Attention(tiny()).eval(), torch.randn(2, 8, 3, 3)
    by_channel, by_place = attention.channel(x), attention.spatial(x)
    assert (by_channel.shape, by_place.shape) == ((2, 8, 1, 1), (2, 1, 3, 3))
    torch.testing.assert_close(attention(x), (by_channel.expand_as(x) + by_place.expand_as(x)) / 2)


@pytest.mark.parametrize("side", [2, 3, 7])
def test_the_pyramid_pools_as_torch_does(side: int) -> None:
    x = torch.randn(2, 5, side, side)
    means, maxima = pool_pyramid(x, (1, 2, 3))
    assert means.shape == (2, 5 * 14)
    for found, pool in ((means, F.adaptive_avg_pool2d), (maxima, F.adaptive_max_pool2d)):
        expected = torch.cat([pool(x, bins).permute(0, 2, 3, 1).flatten(1) for bins in (1, 2, 3)], 1)
        torch.testing.assert_close(found, expected)


def test_sizes_of_the_papers_encoder() -> None:
    config = paper()
    with torch.device("meta"):
        net = Aifd(config)
    assert (config.channels, config.map_px) == (512, 7)
    assert (net.attention.channel.squeeze.in_features, net.attention.channel.squeeze.out_features) == (7168, 448)
    assert net.attention.channel.excite.out_features == 512
    assert net.attention.spatial.look.kernel_size == (7, 7)
    assert (net.identity.linear.in_features, net.identity.linear.out_features) == (512 * 49, 512)
    assert (net.age.hidden.out_features, net.age.years.out_features, net.age.groups.out_features) == (512, 101, 7)


def test_outputs_are_an_embedding_and_an_age(net: Aifd) -> None:
    x = pictures(net.config)
    embeddings, age_years = net.eval()(x)
    assert (embeddings.shape, age_years.shape) == ((3, 8), (3,))
    assert ((age_years > 0) & (age_years < 100)).all()
    torch.testing.assert_close(net.embed(x), embeddings)


def test_an_age_is_the_expectation_over_the_years() -> None:
    logits = torch.full((2, 101), -50.0)
    logits[0, 30], logits[0, 40], logits[1, 100] = 0.0, 0.0, 0.0
    torch.testing.assert_close(expected_age(logits), torch.tensor([35.0, 100.0]))


def test_groups_begin_above_their_limits() -> None:
    ages = torch.tensor([0.0, 10.0, 10.5, 20.0, 31.0, 60.0, 60.1, 99.0])
    assert age_group(ages).tolist() == [0, 0, 1, 1, 3, 5, 6, 6]


def test_groups_come_from_the_years() -> None:
    head = AgeHead(tiny()).eval()
    years, groups = head(torch.randn(2, 8, 3, 3))
    torch.testing.assert_close(groups, head.groups(years))
    assert (years.shape, groups.shape) == ((2, 101), (2, 7))


def test_it_starts_as_dlibs_net(face: Face) -> None:
    chip = to_net(make_chip(face.crop, face.to_crop(face.landmarks)))
    x = torch.cat([chip, 0.6 * chip - 0.2, chip.flip(3)])
    net, dlibs = build_aifd(cpu(), from_dlib=True).eval(), load_dlib_resnet()(x)
    assert net.config.map_px == net.trunk(x)[-1].shape[-1]
    torch.testing.assert_close(net.embed(x), dlibs, atol=1e-4, rtol=1e-4)
    calibrate_normalisation(net, [x[:2], x[2:]])
    torch.testing.assert_close(net.embed(x), dlibs - dlibs.mean(0), atol=1e-4, rtol=1e-4)


def test_gradients_reach_the_picture(net: Aifd) -> None:
    x = pictures(net.config).requires_grad_()
    net.eval().embed(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_a_net_of_another_size_cannot_start_from_dlibs() -> None:
    for config in (tiny(), replace(cpu(), embedding_size=512)):
        with pytest.raises(WeightsError, match="cannot start from it"):
            build_aifd(config, from_dlib=True)


def test_a_config_survives_json(net: Aifd) -> None:
    assert AifdConfig.from_json(json.loads(json.dumps(asdict(net.config)))) == net.config


def test_weights_are_read_back(net: Aifd, tmp_path: Path) -> None:
    path, x = tmp_path / "mine.safetensors", pictures(net.config)
    save_weights(path, net.state_dict(), {"net": asdict(net.config)}, fp16=False)
    read = load_aifd(path)
    assert not any(weight.requires_grad for weight in read.parameters())
    torch.testing.assert_close(read.embed(x), net.eval().embed(x))


def test_other_weights_are_refused(tmp_path: Path) -> None:
    save_weights(tmp_path / "other.safetensors", nn.Linear(2, 2).state_dict(), {"net": asdict(tiny())})
    for name in (tmp_path / "other.safetensors", "zones-a"):
        with pytest.raises(WeightsError, match="not made for an age-invariant identity encoder"):
            load_aifd(name)
