"""Batches of young and old faces."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Generator

from reage.errors import ReageError
from reage.nets.deaging_config import cpu, tiny
from reage.training.cross_age import CrossAgeDataset
from reage.training.deaging.dataset import DeagingDataset, DeagingDatasetConfig, make_mask, warp

STILL = DeagingDatasetConfig(warp=0, flip_prob=0, max_light=0)


def light(pictures: torch.Tensor) -> torch.Tensor:
    return pictures.mean((1, 2, 3))


def test_a_batch_holds_both_decoders_faces(dataset: DeagingDataset) -> None:
    batch = dataset.sample(6, Generator().manual_seed(0))
    assert batch.young.tolist() == [True, False] * 3
    assert batch.source.shape == batch.target.shape == batch.real.shape == (6, 3, 32, 32)
    assert all(one.abs().max() <= 1.001 for one in (batch.source, batch.target, batch.real))


@pytest.mark.parametrize("photo_target_share", [0.0, 1.0])
def test_pairs_grow_young_and_old(stored: CrossAgeDataset, photo_target_share: float) -> None:
    config = replace(STILL, pair_share=1.0, photo_target_share=photo_target_share)
    batch = DeagingDataset(stored, tiny(), config).sample(16, Generator().manual_seed(0))
    brighter = light(batch.target) > light(batch.source)
    if photo_target_share == 1:  # the target is the photo, of which the source was made
        assert set((light(batch.target) * 1e4).round().tolist()) == set((light(batch.real) * 1e4).round().tolist())
        assert brighter.all()
    else:
        assert not brighter.any()


def test_without_pairs_a_decoder_sees_photos_of_its_age(stored: CrossAgeDataset) -> None:
    dataset = DeagingDataset(stored, tiny(), replace(STILL, pair_share=0.0))
    batch = dataset.sample(4, Generator().manual_seed(0))
    torch.testing.assert_close(batch.source, batch.target, atol=1e-5, rtol=0)
    photos = torch.from_numpy(dataset.pictures[:, 0]).permute(0, 3, 1, 2).float() / 127.5 - 1
    torch.testing.assert_close(batch.target, photos[[0, 1, 0, 1]], atol=1e-5, rtol=0)


def test_as_published_only_the_source_is_warped(stored: CrossAgeDataset) -> None:
    config = replace(STILL, pair_share=0.0, warp=0.05, warps_target=False)
    batch = DeagingDataset(stored, tiny(), config).sample(4, Generator().manual_seed(0))
    assert (batch.source - batch.target).abs().mean() > 0.02
    torch.testing.assert_close(batch.target[0], batch.target[2])


def test_a_warp_is_smooth_and_as_large_as_asked() -> None:
    ramp = torch.linspace(-1, 1, 64).expand(8, 1, 64, 64)
    torch.testing.assert_close(warp(ramp, 0.0, Generator()), ramp, atol=1e-5, rtol=0)
    moved = (warp(ramp, 0.02, Generator().manual_seed(0)) - ramp)[..., 8:-8] / 2
    assert 0.01 < moved.std() < 0.03


def test_faces_of_both_ages_are_needed(stored: CrossAgeDataset) -> None:
    with pytest.raises(ReageError, match="Too few faces: photos of 18 to 35 years and of 55 to 90 are needed"):
        DeagingDataset(replace(stored, age_years=np.array([65, 66], np.float32)), tiny())


def test_the_mask_is_the_face() -> None:
    mask = make_mask(cpu())
    assert mask.shape == (1, 1, 128, 128)
    assert mask[0, 0, 64, 64] == 1
    assert mask[0, 0, 2, 2] == pytest.approx(0.05)
