from dataclasses import fields, replace

import pytest
import torch
from torch import Generator, Tensor

from reage.data.augment import AugmentConfig, augment, move, to_grey

UNCHANGED = AugmentConfig(**{field.name: 0.0 for field in fields(AugmentConfig)})


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


def test_with_everything_off_nothing_changes(crops: Tensor) -> None:
    torch.testing.assert_close(draw(crops, UNCHANGED), crops, atol=2e-3, rtol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"flip_prob": 1.0},
        {"max_rotation_degrees": 8.0},
        {"max_scale": 0.1},
        {"max_shift": 0.05},
        {"max_brightness": 0.2},
        {"max_gamma": 0.4},
        {"max_contrast": 0.3},
        {"max_saturation": 0.5},
        {"max_channel_shift": 0.05},
        {"side_light_prob": 1.0},
        {"blur_prob": 1.0, "max_blur_px": 2.0},
        {"downscale_prob": 1.0, "max_downscale": 4.0},
        {"noise_prob": 1.0, "max_noise_std": 0.1},
        {"jpeg_prob": 1.0, "max_jpeg_factor": 3.0},
    ],
)
def test_each_change_alone_changes_the_picture(crops: Tensor, change: dict[str, float]) -> None:
    difference = (draw(crops, replace(UNCHANGED, **change)) - crops).abs().mean()
    assert 1e-3 < difference < 0.6


def test_a_flip_is_exact(crops: Tensor) -> None:
    flipped = move(crops, replace(UNCHANGED, flip_prob=1.0), Generator().manual_seed(0))
    torch.testing.assert_close(flipped, crops.flip(3), atol=1e-4, rtol=0)


def test_grey_pictures_have_no_colour_and_keep_their_luma(crops: Tensor) -> None:
    grey = draw(crops, replace(UNCHANGED, grey_prob=1.0))
    assert (grey.amax(1) - grey.amin(1)).max() < 1e-6
    torch.testing.assert_close(grey, to_grey(crops), atol=2e-3, rtol=0)


def test_blur_and_downscaling_smooth(crops: Tensor) -> None:
    noisy = crops + 0.2 * torch.randn(crops.shape, generator=Generator().manual_seed(2))

    def roughness(x: Tensor) -> float:
        return float((x[..., 1:] - x[..., :-1]).abs().mean())

    for change in ({"blur_prob": 1.0, "max_blur_px": 2.0}, {"downscale_prob": 1.0, "max_downscale": 4.0}):
        assert roughness(draw(noisy, replace(UNCHANGED, **change))) < 0.8 * roughness(noisy.clamp(-1, 1))
