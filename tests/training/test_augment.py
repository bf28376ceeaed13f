from dataclasses import fields, replace

import pytest
import torch
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, augment, move, to_grey

CALM = AugmentConfig(**{field.name: 0.0 for field in fields(AugmentConfig)})


@pytest.fixture
def crops() -> Tensor:
    smooth = torch.rand(6, 3, 8, 8, generator=Generator().manual_seed(1)) * 1.6 - 0.8
    return torch.nn.functional.interpolate(smooth, (64, 64), mode="bicubic").clamp(-1, 1)


def draw(crops: Tensor, config: AugmentConfig, seed: int = 0) -> Tensor:
    return augment(crops, config, Generator().manual_seed(seed))


def test_shape_and_range_stay(crops: Tensor) -> None:
    changed = draw(crops, AugmentConfig())
    assert changed.shape == crops.shape
    assert changed.min() >= -1
    assert changed.max() <= 1
    assert torch.isfinite(changed).all()


def test_a_seed_decides_everything_and_the_input_is_left_alone(crops: Tensor) -> None:
    before = crops.clone()
    assert torch.equal(draw(crops, AugmentConfig()), draw(crops, AugmentConfig()))
    assert not torch.equal(draw(crops, AugmentConfig()), draw(crops, AugmentConfig(), seed=1))
    assert torch.equal(crops, before)


def test_without_accidents_nothing_changes(crops: Tensor) -> None:
    torch.testing.assert_close(draw(crops, CALM), crops, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "accident",
    [
        {"mirror": 1.0},
        {"turn_degrees": 8.0},
        {"scale": 0.1},
        {"shift": 0.05},
        {"exposure": 0.2},
        {"gamma": 0.4},
        {"contrast": 0.3},
        {"saturation": 0.5},
        {"tint": 0.05},
        {"lamp": 1.0},
        {"blur": 1.0, "blur_px": 2.0},
        {"small": 1.0, "smallest": 4.0},
        {"noise": 1.0, "noise_std": 0.1},
        {"compressed": 1.0, "coarsest": 3.0},
    ],
)
def test_each_accident_alone_changes_the_picture(crops: Tensor, accident: dict[str, float]) -> None:
    change = (draw(crops, replace(CALM, **accident)) - crops).abs().mean()
    assert 1e-3 < change < 0.6


def test_a_mirror_is_exact(crops: Tensor) -> None:
    mirrored = move(crops, replace(CALM, mirror=1.0), Generator().manual_seed(0))
    torch.testing.assert_close(mirrored, crops.flip(3), atol=1e-4, rtol=0)


def test_grey_pictures_have_no_colour_and_keep_their_luma(crops: Tensor) -> None:
    grey = draw(crops, replace(CALM, grey=1.0))
    assert (grey.amax(1) - grey.amin(1)).max() < 1e-6
    torch.testing.assert_close(grey, to_grey(crops), atol=2e-3, rtol=0)


def test_blur_and_shrinking_smooth(crops: Tensor) -> None:
    noisy = crops + 0.2 * torch.randn(crops.shape, generator=Generator().manual_seed(2))

    def roughness(x: Tensor) -> float:
        return float((x[..., 1:] - x[..., :-1]).abs().mean())

    for accident in ({"blur": 1.0, "blur_px": 2.0}, {"small": 1.0, "smallest": 4.0}):
        assert roughness(draw(noisy, replace(CALM, **accident))) < 0.8 * roughness(noisy.clamp(-1, 1))
