"""The photos of one person: whose they may be, and what is cut out of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import skimage.data

from reage.errors import FaceNotFound, ImageError
from reage.faces.finder import FaceFinder
from reage.images import Image, save_image
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer
from reage.training.dreambooth.subject import MOST, SubjectPhotos, check_one_person, gather_photos
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
    assert found.squares.shape == (2, 96, 96, 3)
    assert [path.name for path in found.files] == ["a.png", "b.png"]
    assert len(found.years) == 2
    assert all(20 < years < 60 for years in found.years)
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
    num = MOST + 1
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
