"""Fine-tuning of a recognizer on photos and their aged versions."""

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
from reage.training.dreambooth.losses import in_batch_cross_entropy
from reage.training.measures.recognizer import (
    TARGET_AGES,
    RecognizerDataset,
    RecognizerTrainingConfig,
    TorchRecognizer,
    draw_two_views,
    make_recognizer_dataset,
    recognizer_loss,
    train_recognizer,
)
from reage.training.trainer import TrainerConfig
from reage.types import Aged, Face, Plan, Reading

CONFIG = RecognizerTrainingConfig(temperature=0.5, anchor_weight=2.0)


class BrightnessEngine:
    """An engine whose crops are as bright as the target age."""

    zone_driven = True

    def render(self, face: Face, reading: Reading, plan: Plan) -> Aged:
        return Aged(crop=np.full_like(face.crop, round(plan.age)))


def test_two_views_of_a_person_differ_unless_there_is_one_image() -> None:
    people = [np.array([4]), np.array([0, 3]), np.array([1]), np.array([2])]
    rows, versions = draw_two_views(people, 3, 3, Generator().manual_seed(0))
    first, second = zip(rows[:3], versions[:3], strict=True), zip(rows[3:], versions[3:], strict=True)
    owner = {row: who for who, own in enumerate(people) for row in own.tolist()}
    drawn = []
    for a, b in zip(first, second, strict=True):
        assert a != b
        assert owner[a[0]] == owner[b[0]]
        drawn.append(owner[a[0]])
    assert len(set(drawn)) == 3
    rows, versions = draw_two_views([np.array([7])], 1, 1, Generator().manual_seed(0))
    assert (rows.tolist(), versions.tolist()) == ([7, 7], [0, 0])


def test_in_batch_cross_entropy_is_that_of_finding_the_other_view() -> None:
    similarities = torch.tensor([[9.0, 0, 2, 0], [0, 9, 0, 2], [2, 0, 9, 0], [0, 2, 0, 9]])
    assert in_batch_cross_entropy(similarities).item() == pytest.approx(
        -math.log(math.exp(2) / (math.exp(2) + 2)), abs=1e-6
    )
    assert in_batch_cross_entropy(similarities.roll(1, 1)) > in_batch_cross_entropy(similarities)


def test_the_loss_compares_views_and_anchors_photos() -> None:
    people = torch.eye(4, 128)
    found = torch.cat([people, people])
    photos = torch.arange(8) < 4
    near = recognizer_loss(found, found, photos, CONFIG)
    assert near.item() == pytest.approx(-math.log(1 / (1 + 6 * math.exp(-2 / CONFIG.temperature))), abs=1e-5)
    mixed = torch.cat([people, people.roll(1, 0)])
    assert recognizer_loss(mixed, mixed, photos, CONFIG) > near + 1
    moved = found + 0.1
    more = recognizer_loss(moved, found, photos, CONFIG) - recognizer_loss(moved, moved, photos, CONFIG)
    assert more.item() == pytest.approx(CONFIG.anchor_weight * 0.5 * 128 * 0.01, abs=1e-4)


def test_training_pulls_changed_images_of_a_person_together(face: Face) -> None:
    """The people are one face in several colours of light; its aged versions are striped."""
    chip = make_chip(face.crop, face.to_crop(face.landmarks)).astype(float)
    photos = [np.clip(chip * light, 0, 255) for light in ((1, 1, 1), (1, 0.6, 0.4), (0.5, 0.9, 0.5), (0.4, 0.5, 1.0))]
    stripes = 60.0 * (np.arange(150) % 6 < 3)[:, None, None]
    pixels = np.array([[photo, np.clip(photo.mean() + 0.5 * photo - stripes, 0, 255)] for photo in photos], np.uint8)
    dataset = RecognizerDataset(pixels=pixels, person=np.array([f"P{who}" for who in range(4)]))
    trainer = TrainerConfig(steps=12, batch_size=4, weight_decay=0.0, ema_decay=0.0, warmup_steps=2, bf16=False)
    config = RecognizerTrainingConfig(
        trainer=trainer,
        learning_rate=3e-3,
        augment=AugmentConfig(jpeg_prob=0.0, downscale_prob=0.0, noise_prob=0.0),
    )

    def losses(recognizer: DlibRecognizer) -> float:
        places = torch.from_numpy(recognizer.embed_chips(pixels.swapaxes(0, 1).reshape(-1, 150, 150, 3)))
        return recognizer_loss(places, places, torch.ones(8), config).item()

    before = DlibRecognizer.load()
    after = TorchRecognizer(train_recognizer(config, dataset))
    assert losses(after) < 0.8 * losses(before)
    assert not any(weight.requires_grad for weight in after.net.parameters())
    assert dataset.photos.pixels.shape[1] == 1
    np.testing.assert_array_equal(dataset.pick(np.array([False, True, False, False])).pixels, pixels[1:2])


def test_a_dataset_holds_each_photo_and_its_aged_versions(
    face: Face, make_portrait: Callable[..., Portrait], to_columns: Callable[..., Portraits]
) -> None:
    portrait = make_portrait(face.crop, person="A", age_years=40.0, sex="F")
    dataset = make_recognizer_dataset(to_columns([portrait]), Teacher.load(BrightnessEngine()))
    assert dataset.pixels.shape == (1, 1 + len(TARGET_AGES), 150, 150, 3)
    assert dataset.person.tolist() == [portrait.person]
    np.testing.assert_array_equal(dataset.pixels[0, 0], make_chip(portrait.crop, portrait.landmarks))
    centre = dataset.pixels[0, 1:, 70:80, 70:80].mean((1, 2, 3))
    np.testing.assert_allclose(centre, TARGET_AGES, atol=2)
