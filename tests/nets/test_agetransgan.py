"""AgeTransGAN's nets: the published sizes, labels between groups, and what each part depends on."""

from __future__ import annotations

import pytest
import torch

from reage.nets.agetransgan import (
    BIAS_RATE,
    RGB_RATE,
    STYLE_RATE,
    ModulatedConv,
    add_deviation,
    blur_down,
    build_discriminator,
    build_generator,
    enlarge,
    equalised_groups,
    load_generator,
)
from reage.nets.agetransgan_config import (
    GROUP_YEARS,
    NUM_GROUPS,
    AgeTransGanConfig,
    cpu,
    group_of,
    middle_of,
    paper,
    soft_label,
    tiny,
)


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


def make_inputs(config: AgeTransGanConfig, num: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    px = config.generator.picture_px
    return 2 * torch.rand(num, 3, px, px) - 1, torch.eye(NUM_GROUPS)[:num]


# Labels


def test_a_label_is_one_hot_in_the_middle_of_a_group_and_shared_between_two() -> None:
    for group in range(NUM_GROUPS):
        label = soft_label(middle_of(group))
        assert label[group] == pytest.approx(1)
        assert group_of(middle_of(group)) == group
    for years in range(1, 91):
        label = soft_label(years)
        assert label.sum() == pytest.approx(1)
        assert (label > 0).sum() <= 2
        assert label[group_of(years)] > 0
    assert soft_label(34.0)[5:7].tolist() == pytest.approx([0.1, 0.9])
    assert soft_label(0)[0] == soft_label(100)[-1] == 1


def test_a_label_moves_with_every_year_between_the_first_and_the_last_middle() -> None:
    places = [float(soft_label(years) @ range(NUM_GROUPS)) for years in range(2, 81)]
    assert places == sorted(set(places))
    assert len(GROUP_YEARS) == NUM_GROUPS


# Sizes


def test_the_paper_has_the_published_channels_and_sides() -> None:
    """On the device "meta", which computes shapes alone."""
    config = paper()
    with torch.device("meta"):
        generator, discriminator = build_generator(config.generator), build_discriminator(config.discriminator)
        x, labels = torch.zeros(4, 3, 1024, 1024), torch.zeros(4, NUM_GROUPS)
        trunk = generator.run_trunk(x, labels)
        assert [tuple(features.shape[1:]) for features in trunk] == [
            *((32, 1024, 1024), (64, 512, 512), (128, 256, 256), (256, 128, 128)),
            *((512, 64, 64), (512, 32, 32), (512, 16, 16)),
        ]
        assert generator.make_content(x, labels).shape == (4, 512, 16, 16)
        assert generator.make_style(trunk[-1], labels).shape == (4, 512)
        assert generator(x, labels).shape == x.shape
        scores, logits = discriminator(x, labels)
    assert generator.first.in_channels == 13
    assert len([layer for layer in generator.style if isinstance(layer, torch.nn.Linear)]) == 8
    assert (scores.shape, logits.shape) == ((4,), (4, NUM_GROUPS))
    assert len(discriminator.pixel_heads) == 3
    assert discriminator.features.in_features == 8192
    assert generator.label is None


@pytest.mark.parametrize("side", [32, 64])
def test_the_published_parts_work_at_small_sides(side: int) -> None:
    config = paper(side)
    assert config.generator.picture_px == side
    with torch.device("meta"):
        x, labels = torch.zeros(2, 3, side, side), torch.zeros(2, NUM_GROUPS)
        assert build_generator(config.generator)(x, labels).shape == x.shape
        assert build_discriminator(config.discriminator)(x, labels)[0].shape == (2,)


def test_the_shipped_size_fits_into_its_file() -> None:
    config = cpu().generator
    assert config.picture_px == 128
    assert 2 * sum(weight.numel() for weight in build_generator(config).parameters()) < 15e6


# Generator


def test_an_untrained_generator_hardly_changes_a_picture() -> None:
    x, labels = make_inputs(tiny())
    change = build_generator(tiny().generator)(x, labels) - x
    assert 0 < change.abs().mean() < 0.2


def test_the_label_and_the_picture_both_count() -> None:
    net, (x, labels) = build_generator(tiny().generator), make_inputs(tiny())
    first = net(x, labels)
    assert (net(x, labels.flip(0)) - first).abs().max() > 1e-4
    assert (net(x.flip(3), labels) - first).abs().max() > 1e-2
    torch.testing.assert_close(net(x, labels), first)


def test_the_noise_is_the_same_for_every_picture_and_part_of_the_weights() -> None:
    net, (x, labels) = build_generator(tiny().generator), make_inputs(tiny(), 1)
    for name, weight in net.named_parameters():
        if name.endswith("noise_strength"):
            torch.nn.init.constant_(weight, 0.5)
    first, second = net(x, labels), net(torch.cat([x, x]), torch.cat([labels, labels]))
    torch.testing.assert_close(second, torch.cat([first, first]))
    assert any(name.endswith(".noise") for name in net.state_dict())
    net.content.noise.neg_()
    assert (net(x, labels) - first).abs().max() > 1e-4


def test_a_modulated_convolution_is_one_whose_weights_are_scaled_and_normalised() -> None:
    layer = ModulatedConv(3, 5, 4)
    x, style = torch.randn(2, 3, 8, 8), torch.randn(2, 4)
    for one, found in zip(range(2), layer(x, style), strict=True):
        weight = layer.convolution.weight * (layer.scale(style[one]) + 1)[None, :, None, None]
        weight = weight * torch.rsqrt(weight.square().sum((1, 2, 3), keepdim=True) + 1e-8)
        torch.testing.assert_close(found, torch.conv2d(x[one][None], weight, padding=1)[0])


def test_shrinking_and_enlarging_keep_the_light() -> None:
    x = torch.full((1, 2, 8, 8), 0.7)
    torch.testing.assert_close(enlarge(x), torch.full((1, 2, 16, 16), 0.7))
    torch.testing.assert_close(blur_down(x)[..., 1:-1, 1:-1], torch.full((1, 2, 2, 2), 0.7))


# Discriminator


def test_scores_depend_on_the_label_and_classes_do_not() -> None:
    net, (x, labels) = build_discriminator(tiny().discriminator), make_inputs(tiny(), 4)
    (scores, logits), (others, other_logits) = net(x, labels), net(x, labels.flip(0))
    assert (scores - others).abs().max() > 1e-4
    torch.testing.assert_close(logits, other_logits)


def test_every_head_adds_to_the_score() -> None:
    net, (x, labels) = build_discriminator(tiny().discriminator), make_inputs(tiny(), 4)
    net(x, labels)[0].sum().backward()
    heads = [*(head.head for head in net.pixel_heads.values()), net.head]
    assert len(heads) == 2
    for head in heads:
        assert head.embed.weight.grad.abs().max() > 0


def test_the_deviation_is_nought_where_all_pictures_are_alike() -> None:
    x = torch.randn(1, 3, 4, 4).expand(4, -1, -1, -1)
    assert add_deviation(x)[:, 3].abs().max() < 1e-3
    mixed = add_deviation(torch.cat([x, torch.randn(4, 3, 4, 4)]))
    assert mixed.shape == (8, 4, 4, 4)
    assert mixed[:4, 3].abs().max() < 1e-3 < mixed[4:, 3].min()
    assert add_deviation(torch.randn(3, 3, 4, 4)).shape == (3, 4, 4, 4)


# Learning rates and files


def test_learning_rates_are_equalised_and_every_parameter_has_one() -> None:
    net = build_generator(tiny().generator)
    groups = equalised_groups(net, 0.1)
    rates = {id(weight): rate for part, rate in groups for weight in part.parameters()}
    assert set(rates) == {id(weight) for weight in net.parameters()}
    assert sum(len(list(part.parameters())) for part, _ in groups) == len(rates)
    assert rates[id(net.identity[0].first.weight)] == pytest.approx(0.1 / (9 * 8) ** 0.5)
    assert rates[id(net.identity[0].first.bias)] == pytest.approx(0.1 * BIAS_RATE)
    assert rates[id(net.content_rgb.modulated.convolution.weight)] == pytest.approx(0.1 * RGB_RATE / 8**0.5)
    assert rates[id(net.style[0].weight)] == pytest.approx(STYLE_RATE * 0.1 / 8**0.5)


def test_shipped_weights_draw_the_same_picture_at_the_same_age() -> None:
    net = load_generator()
    x = torch.zeros(1, 3, net.config.picture_px, net.config.picture_px)
    with torch.inference_mode():
        aged = net(x, torch.from_numpy(soft_label(40.0))[None])
    assert torch.isfinite(aged).all()
