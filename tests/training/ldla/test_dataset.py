"""Training pairs of LDLA: zones of the common face and changes of their skin, their latents, and batches of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, replace

import numpy as np
import pytest
import torch

from reage.data.shards import Portrait, Portraits
from reage.faces.patches import ZONE_PATCHES
from reage.images import geometry
from reage.nets.diffusion import DiffusionBase
from reage.training.ldla.dataset import (
    PairedLatents,
    PairedLatentsConfig,
    choose_faces,
    encode_pairs,
    make_versions,
    sample_pairs,
)
from reage.training.skin_changes import NUM_CHANGES, SkinChangeDataset
from reage.types import Face
from reage.zones import MIRRORED_ZONES, ZONES

PLAIN = PairedLatentsConfig(augment=replace(PairedLatentsConfig().augment, max_brightness=0.0, max_channel_shift=0.0))


def test_versions_differ_in_fine_light(skin_changes: SkinChangeDataset) -> None:
    photo, *changed = (one.astype(np.float32) for one in make_versions(skin_changes, 0, PLAIN))
    assert len(changed) == NUM_CHANGES
    np.testing.assert_array_equal(photo, skin_changes.levels[0])
    assert all(np.abs(one - photo).max() > 3 for one in changed)
    ratio = np.log(changed[1] + 8) - np.log(photo + 8)
    shown = skin_changes.usable[0] > 128
    assert np.ptp(ratio, axis=-1)[shown].mean() < 0.25 * np.abs(ratio)[shown].mean() + 0.01
    assert np.abs(geometry.blur(ratio.mean(-1), 12.0)).max() < 0.25 * np.abs(ratio).max()


def test_every_zone_is_encoded_in_all_versions(pairs: PairedLatents, skin_changes: SkinChangeDataset) -> None:
    assert pairs.values.shape[1] == pairs.scores.shape[1] == 1 + NUM_CHANGES
    assert len(pairs) <= len(skin_changes) * len(ZONE_PATCHES)
    seen = {zone for row in skin_changes.zone_scores for zone in np.flatnonzero(~np.isnan(row)).tolist()}
    assert set(pairs.zones.tolist()) <= seen | {MIRRORED_ZONES[zone] for zone in seen}
    assert not np.isnan(pairs.scores).any()
    assert np.isfinite(pairs.values).all()
    assert (pairs.values[:, 0] != pairs.values[:, 2]).any((1, 2, 3)).mean() > 0.9


def test_a_mirrored_face_shows_the_other_zones(
    skin_changes: SkinChangeDataset, build_tiny_base: Callable[[], DiffusionBase]
) -> None:
    """Each seed mirrors some faces, and the score goes with the zone that is then seen."""
    base, found = build_tiny_base(), set()
    columns = {field.name: getattr(skin_changes, field.name)[:1] for field in fields(skin_changes)}
    one_face = SkinChangeDataset(**columns)
    for seed in range(6):
        pairs = encode_pairs(base, one_face, PLAIN, seed)
        left = ZONES.index("crows_feet.left")
        (place,) = np.flatnonzero(pairs.zones == left)
        found.add(float(pairs.scores[place, 0]))
    own = {float(skin_changes.zone_scores[0, zone]) for zone in (left, MIRRORED_ZONES[left])}
    assert found == own


def test_a_zone_that_is_hidden_is_left_out(
    skin_changes: SkinChangeDataset, build_tiny_base: Callable[[], DiffusionBase]
) -> None:
    hidden = skin_changes.zone_scores.copy()
    hidden[:, ZONES.index("upper_lip")] = np.nan
    shown, rest = (
        {ZONES[zone] for zone in encode_pairs(build_tiny_base(), changes, PLAIN).zones}
        for changes in (skin_changes, replace(skin_changes, zone_scores=hidden))
    )
    assert shown - rest == {"upper_lip"}


def test_half_of_the_chosen_faces_are_the_sharpest(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    people = [
        replace(make_portrait(face.crop, person=f"P{number}"), image_px_per_crop_px=number / 10) for number in range(20)
    ]
    chosen, other = (choose_faces(to_columns(people), 8, seed) for seed in (0, 1))
    assert len(chosen) == 8
    assert {"P16", "P17", "P18", "P19"} <= set(chosen.person) & set(other.person)
    assert set(chosen.person) != set(other.person)


def test_any_two_versions_are_a_pair(pairs: PairedLatents) -> None:
    batch = sample_pairs(pairs, 300, torch.Generator().manual_seed(0))
    photo = torch.tensor([float(score) in set(pairs.scores[:, 0].tolist()) for score in batch.scores.numpy()])
    assert photo.float().mean() == pytest.approx(0.5, abs=0.1)
    assert (batch.values != batch.paired_values).flatten(1).any(1).float().mean() > 0.9
    again = sample_pairs(pairs, 300, torch.Generator().manual_seed(0))
    assert torch.equal(batch.values, again.values)
    assert torch.equal(batch.paired_values, again.paired_values)
