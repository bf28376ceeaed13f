"""Random windows and their locations."""

from __future__ import annotations

import torch

from reage.training.amgan.losses import to_luma
from reage.training.amgan.patches import cut_patches, cut_windows


def test_windows_carry_their_location() -> None:
    x = torch.arange(64.0).expand(5, 1, 64, 64)
    windows, centres = cut_windows(x, torch.Generator().manual_seed(0))
    assert windows.shape == (5, 1, 32, 32)
    torch.testing.assert_close(windows.mean((1, 2, 3)) + 0.5, 64 * centres[:, 0])


def test_pictures_and_maps_share_their_window() -> None:
    x = torch.arange(64.0).expand(3, 3, 64, 64)
    planes = torch.stack([2 * x[:, 0], 3 * x[:, 0], x[:, 0], x[:, 0]], 1)
    patches = cut_patches(x, -x, planes, torch.Generator().manual_seed(0))
    windows, centres = cut_windows(to_luma(x), torch.Generator().manual_seed(0))
    torch.testing.assert_close(patches.centres, centres)
    for found, factor in ((patches.real, 1), (patches.fake, -1), (patches.target_map, 2), (patches.source_map, 3)):
        torch.testing.assert_close(found, factor * windows)
