"""The training data of one person: which photos are accepted, what is cut out, latents and captions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import skimage.data
import torch
from torch import Generator

from reage.errors import FaceNotFound, ImageError
from reage.faces.finder import FaceFinder
from reage.images import Image, save_image
from reage.measure import SAME_PERSON_DISTANCE, AgeEstimator, DlibRecognizer
from reage.nets.diffusion import DiffusionBase, load_base
from reage.training.dreambooth.dataset import (
    MAX_PHOTOS,
    CaptionedLatents,
    SubjectPhotos,
    check_one_person,
    encode_images,
    gather_photos,
)
from reage.types import Pixels


@pytest.fixture(scope="module")
def recognizer() -> DlibRecognizer:
    return DlibRecognizer.load()


def save(pixels: Pixels, path: Path) -> Path:
    save_image(Image(pixels=pixels), path, altered=False)
    return path


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demo person, lighter and mirrored, and a cup of coffee."""
    folder, person = tmp_path_factory.mktemp("photos"), skimage.data.astronaut()[:256, 96:352]
    return [
        save(person.copy(), folder / "a.png"),
        save(np.clip(person * 1.1, 0, 255).astype(np.uint8)[:, ::-1].copy(), folder / "b.png"),
        save(skimage.data.coffee(), folder / "c.png"),
    ]


def test_faces_of_one_person_are_cut_out(photos: list[Path], recognizer: DlibRecognizer) -> None:
    found = gather_photos(photos, FaceFinder(), recognizer, AgeEstimator.load(), 96)
    assert found.images.shape == (2, 96, 96, 3)
    assert [path.name for path in found.files] == ["a.png", "b.png"]
    assert len(found.age_years) == 2
    assert all(20 < age < 60 for age in found.age_years)
    assert [path.name for path in found.without_face] == ["c.png"]
    assert found.identity.shape == (128,)
    assert found.advice.startswith("There are only 2 photos")


def test_photos_without_any_face_are_refused(photos: list[Path], recognizer: DlibRecognizer) -> None:
    with pytest.raises(FaceNotFound, match="No face was found in 1 photos"):
        gather_photos(photos[2:], FaceFinder(), recognizer, AgeEstimator.load(), 96)


@pytest.mark.parametrize(("num", "words"), [(1, "There are only 1 "), (2, "There are only 2 "), (3, ""), (30, "")])
def test_few_photos_are_advised_against(num: int, words: str) -> None:
    photos = SubjectPhotos(
        np.zeros((num, 8, 8, 3), np.uint8), (Path("a.png"),) * num, (40.0,) * num, np.zeros(128, np.float32), ()
    )
    assert photos.advice.startswith(words)
    assert bool(photos.advice) == bool(words)


def test_many_photos_are_advised_against() -> None:
    num = MAX_PHOTOS + 1
    photos = SubjectPhotos(
        np.zeros((num, 8, 8, 3), np.uint8), (Path("a.png"),) * num, (40.0,) * num, np.zeros(128, np.float32), ()
    )
    assert photos.advice == "There are 31 photos with a face; more than 30 bring nothing new."


def test_two_people_are_refused_with_their_distance() -> None:
    identities = np.zeros((4, 128), np.float32)
    identities[3, 0] = SAME_PERSON_DISTANCE + 0.1
    files = [Path(f"{name}.jpg") for name in "abcd"]
    with pytest.raises(
        ImageError, match=r"a.jpg and d.jpg show two people: they are 0.63 apart.*b.jpg 0.00, c.jpg 0.00"
    ):
        check_one_person(identities, files)
    identities[3, 0] = SAME_PERSON_DISTANCE - 0.1
    check_one_person(identities, files)


# Latents


def draw_images(num: int, seed: int) -> Pixels:
    return np.random.default_rng(seed).integers(0, 256, (num, 16, 16, 3), np.uint8)


@pytest.fixture(scope="module")
def base(save_tiny_base: Callable[..., Path]) -> DiffusionBase:
    return load_base(save_tiny_base())


def test_a_share_of_the_captions_names_the_age_group() -> None:
    without_labels = CaptionedLatents(torch.zeros(4, 4, 8, 8), ["photo of a sks person"] * 4)
    instance = replace(without_labels, label_prompts=["photo of a sks person as old"] * 4)
    prompts = instance.sample(400, Generator().manual_seed(0), 0.25).prompts
    assert prompts.count("photo of a sks person as old") / 400 == pytest.approx(0.25, abs=0.06)
    assert set(prompts) == {"photo of a sks person as old", "photo of a sks person"}
    assert set(instance.sample(40, Generator().manual_seed(0)).prompts) == {"photo of a sks person"}
    assert set(without_labels.sample(40, Generator().manual_seed(0), 1.0).prompts) == {"photo of a sks person"}


def test_images_and_mirror_images_keep_their_captions(base: DiffusionBase) -> None:
    images = draw_images(9, 2)
    captions = [f"number {place}" for place in range(9)]
    found = encode_images(base, images, captions)
    assert found.values.shape == (18, 4, 8, 8)
    for prompt, wanted in (("number 0", images[:1]), ("number 8", images[8:])):
        rows = [row for row, caption in enumerate(found.prompts) if caption == prompt]
        again = encode_images(base, wanted, [prompt])
        torch.testing.assert_close(found.values[rows], again.values, rtol=0, atol=1e-5)
