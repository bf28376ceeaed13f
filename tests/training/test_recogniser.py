"""A face net that learns who is one person at several ages."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import Generator

from reage.data.augment import AugmentConfig
from reage.data.shards import Portrait, Portraits
from reage.measure.recognizers import DlibRecognizer, make_chip
from reage.training.distillation import Teacher
from reage.training.dreambooth.losses import find_partners
from reage.training.measures.recognizer import (
    AGES,
    Chips,
    RecognizerTrainingConfig,
    draw_twice,
    harden,
    hardening_loss,
    make_chips,
)
from reage.training.trainer import TrainerConfig
from reage.types import Aged, Face, Plan, Reading

RECIPE = RecognizerTrainingConfig(temperature=0.5, anchor=2.0)


class Painter:
    """An engine whose crops are as light as the age that was asked for."""

    zone_driven = True

    def render(self, face: Face, reading: Reading, plan: Plan) -> Aged:
        return Aged(crop=np.full_like(face.crop, round(plan.age)))


def test_of_each_person_two_pictures_are_drawn_that_differ_where_they_can() -> None:
    people = [np.array([4]), np.array([0, 3]), np.array([1]), np.array([2])]
    rows, versions = draw_twice(people, 3, 3, Generator().manual_seed(0))
    first, second = zip(rows[:3], versions[:3], strict=True), zip(rows[3:], versions[3:], strict=True)
    owner = {row: who for who, own in enumerate(people) for row in own.tolist()}
    drawn = []
    for a, b in zip(first, second, strict=True):
        assert a != b
        assert owner[a[0]] == owner[b[0]]
        drawn.append(owner[a[0]])
    assert len(set(drawn)) == 3
    rows, versions = draw_twice([np.array([7])], 1, 1, Generator().manual_seed(0))
    assert (rows.tolist(), versions.tolist()) == ([7, 7], [0, 0])


def test_finding_partners_costs_what_the_others_draw_away() -> None:
    alike = torch.tensor([[9.0, 0, 2, 0], [0, 9, 0, 2], [2, 0, 9, 0], [0, 2, 0, 9]])
    assert find_partners(alike).item() == pytest.approx(-math.log(math.exp(2) / (math.exp(2) + 2)), abs=1e-6)
    assert find_partners(alike.roll(1, 1)) > find_partners(alike)


def test_the_loss_knows_partners_and_where_photos_were() -> None:
    people = torch.eye(4, 128)
    found = torch.cat([people, people])
    photos = torch.arange(8) < 4
    near = hardening_loss(found, found, photos, RECIPE)
    assert near.item() == pytest.approx(-math.log(1 / (1 + 6 * math.exp(-2 / RECIPE.temperature))), abs=1e-5)
    mixed = torch.cat([people, people.roll(1, 0)])
    assert hardening_loss(mixed, mixed, photos, RECIPE) > near + 1
    moved = found + 0.1
    more = hardening_loss(moved, found, photos, RECIPE) - hardening_loss(moved, moved, photos, RECIPE)
    assert more.item() == pytest.approx(RECIPE.anchor * 0.5 * 128 * 0.01, abs=1e-4)


def test_the_net_learns_that_what_was_changed_is_the_same_person(face: Face) -> None:
    """People are lights of one face; made older, all are grey, and in stripes."""
    chip = make_chip(face.crop, face.to_crop(face.landmarks)).astype(float)
    photos = [np.clip(chip * light, 0, 255) for light in ((1, 1, 1), (1, 0.6, 0.4), (0.5, 0.9, 0.5), (0.4, 0.5, 1.0))]
    stripes = 60.0 * (np.arange(150) % 6 < 3)[:, None, None]
    pixels = np.array([[photo, np.clip(photo.mean() + 0.5 * photo - stripes, 0, 255)] for photo in photos], np.uint8)
    chips = Chips(pixels=pixels, person=np.array([f"P{who}" for who in range(4)]))
    schedule = TrainerConfig(steps=12, batch=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=2, half=False)
    recipe = RecognizerTrainingConfig(
        schedule=schedule, rate=3e-3, augment=AugmentConfig(compressed=0.0, small=0.0, noise=0.0)
    )

    def losses(recognizer: DlibRecognizer) -> float:
        places = torch.from_numpy(recognizer.embed_chips(pixels.swapaxes(0, 1).reshape(-1, 150, 150, 3)))
        return hardening_loss(places, places, torch.ones(8), recipe).item()

    before = DlibRecognizer.load()
    after = DlibRecognizer(harden(recipe, chips))
    assert losses(after) < 0.8 * losses(before)
    assert not any(weight.requires_grad for weight in after.net.parameters())
    assert chips.photos.pixels.shape[1] == 1
    np.testing.assert_array_equal(chips.pick(np.array([False, True, False, False])).pixels, pixels[1:2])


def test_chips_are_the_photo_and_what_the_engine_made_of_it(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    portrait = make_portrait(face.crop, person="A", age_years=40.0, sex="F")
    chips = make_chips(to_columns([portrait]), Teacher.load(Painter()))
    assert chips.pixels.shape == (1, 1 + len(AGES), 150, 150, 3)
    assert chips.person.tolist() == [portrait.person]
    np.testing.assert_array_equal(chips.pixels[0, 0], make_chip(portrait.crop, portrait.landmarks))
    centre = chips.pixels[0, 1:, 70:80, 70:80].mean((1, 2, 3))
    np.testing.assert_allclose(centre, AGES, atol=2)
