"""Pairs drawn by rules, and the batches made of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Generator

from reage.data.augment import AugmentConfig
from reage.faces.drawn_sketch import STYLES
from reage.training.sketch.dataset import (
    Direction,
    SketchAugmentConfig,
    SketchDataset,
    change_sketch,
    make_source,
    sample_batch,
)

STILL = SketchAugmentConfig(
    photo=AugmentConfig(
        flip_prob=0, max_rotation_degrees=0, max_scale=0, max_shift=0, grey_prob=0, max_brightness=0, max_gamma=0,
        max_contrast=0, max_saturation=0, max_channel_shift=0, side_light_prob=0,
    ),
    max_proportion_error=0,
    max_tone=0,
)  # fmt: skip


def test_every_photo_is_drawn_in_every_style(drawn: SketchDataset) -> None:
    assert drawn.photos.shape == (2, 256, 256, 3)
    assert drawn.sketches.shape == (2, len(STYLES), 256, 256)
    assert (drawn.sketches[0, 0] != drawn.sketches[0, 1]).any()


@pytest.mark.parametrize(("direction", "channels"), [("sketch", (4, 1)), ("photo", (1, 3))])
@pytest.mark.parametrize("side_px", [128, 256])
def test_a_batch_holds_pairs(
    drawn: SketchDataset, direction: Direction, channels: tuple[int, int], side_px: int
) -> None:
    batch = sample_batch(drawn, direction, 3, side_px, SketchAugmentConfig(), Generator().manual_seed(0))
    assert batch.source.shape == (3, channels[0], side_px, side_px)
    assert batch.truth.shape == (3, channels[1], side_px, side_px)
    for values in (batch.source, batch.truth):
        assert values.min() >= -1.001
        assert values.max() <= 1.001


def test_without_changes_a_pair_is_that_of_the_dataset(drawn: SketchDataset) -> None:
    batch = sample_batch(drawn, "sketch", 4, 256, STILL, Generator().manual_seed(1))
    for source, truth in zip(batch.source, batch.truth, strict=True):
        style = round((source[3].mean().item() + 1) / 2)
        levels = ((truth[0] + 1) * 127.5).round().numpy()
        assert any(np.abs(levels - own[style]).max() <= 1 for own in drawn.sketches)


def test_the_light_changes_the_photo_and_not_its_sketch(drawn: SketchDataset) -> None:
    dark = SketchAugmentConfig(photo=AugmentConfig(flip_prob=0, max_rotation_degrees=0, max_scale=0, max_shift=0))
    still, changed = (
        sample_batch(drawn, "sketch", 2, 256, config, Generator().manual_seed(2)) for config in (STILL, dark)
    )
    assert torch.equal(still.truth, changed.truth)
    assert (changed.source[:, :3] - still.source[:, :3]).abs().mean() > 0.02


def test_a_plane_names_the_style() -> None:
    source = make_source(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]))
    assert source[0, 3].unique().tolist() == [-1]
    assert source[1, 3].unique().tolist() == [1]


def test_a_changed_sketch_is_out_of_proportion_and_keeps_its_range(drawn: SketchDataset) -> None:
    sketch = torch.from_numpy(drawn.sketches[:, :1]).float() / 127.5 - 1
    changed = change_sketch(sketch, SketchAugmentConfig(max_proportion_error=0.05), Generator().manual_seed(0))
    assert changed.min() >= -1
    assert (changed - sketch).abs().mean() > 0.02
    torch.testing.assert_close(change_sketch(sketch, STILL, Generator().manual_seed(0)), sketch, atol=0.02, rtol=0)
