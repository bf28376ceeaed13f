"""References: photos of the same person are found in a folder, and others left out with a reason."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from reage.errors import FaceNotFound, ImageError
from reage.faces.finder import FaceFinder
from reage.images import Image, geometry, save_image
from reage.measure import SAME_PERSON_DISTANCE, AgeEstimator
from reage.measure.references import References, describe_left_out
from reage.types import CompletePlan, Face, Pixels


@pytest.fixture(scope="module")
def age_estimator() -> AgeEstimator:
    return AgeEstimator.load()


@pytest.fixture(scope="module")
def person(photo: Pixels) -> Pixels:
    return np.ascontiguousarray(photo[:256, 96:352])


@pytest.fixture(scope="module")
def stranger(person: Pixels) -> Pixels:
    """A face of other proportions, which the recognizer takes for another person's."""
    return geometry.resize(person, 150, 256)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, person: Pixels, stranger: Pixels) -> Path:
    """A folder as people keep them."""
    blurred = geometry.blur(person.astype(np.float32), 4.0)
    beside = np.full_like(person, person[0, 0])
    beside[:150] = stranger
    pictures = {
        "a-mirrored.png": person[:, ::-1],
        "b-together.png": np.hstack([beside, person]),
        "c-stranger.png": stranger,
        "d-blurred.png": np.clip(blurred, 0, 255),
        "e-wall.png": np.full((80, 80, 3), 90),
    }
    path = tmp_path_factory.mktemp("references")
    for name, pixels in pictures.items():
        save_image(Image(pixels=np.ascontiguousarray(pixels, np.uint8)), path / name, altered=False)
    (path / "f-broken.jpg").write_bytes(b"no picture")
    (path / "notes.txt").write_text("not a picture")
    return path


@pytest.fixture(scope="module")
def references(folder: Path, finder: FaceFinder, age_estimator: AgeEstimator) -> References:
    return References.load([folder, folder / "a-mirrored.png"], finder, age_estimator)


def test_photos_of_a_folder_are_used_or_left_out_with_a_reason(references: References, face: Face) -> None:
    (chosen,) = references.choose([face])
    by_name = {one.file.name: one for one in chosen}
    assert list(by_name) == [
        *("a-mirrored.png", "b-together.png", "c-stranger.png", "d-blurred.png", "e-wall.png", "f-broken.jpg")
    ]
    assert [name for name, one in by_name.items() if one.reference] == ["a-mirrored.png", "b-together.png"]
    together = by_name["b-together.png"].reference
    assert together is not None
    assert together.face.box[0] > 256, "the face of the person, not the other one"
    reasons = describe_left_out(chosen)
    for reason in ("c-stranger.png (it shows another person)", "blurred", "e-wall.png (no face was found in it)"):
        assert reason in reasons
    assert "'" in by_name["f-broken.jpg"].left_out
    assert by_name["a-mirrored.png"].identity_distance < 0.4 < SAME_PERSON_DISTANCE
    assert by_name["c-stranger.png"].identity_distance > SAME_PERSON_DISTANCE


def test_plain_values(references: References, face: Face) -> None:
    (chosen,) = references.choose([face])
    used, stranger, wall = (chosen[index].to_json() for index in (0, 2, 4))
    assert set(used) == {"file", "used", "age_years", "identity_distance"}
    assert used["used"] is True
    assert stranger["used"] is False
    assert stranger["left_out"] == "it shows another person"
    assert set(wall) == {"file", "used", "left_out"}


def test_a_face_serves_one_person_of_the_picture(
    references: References, face: Face, finder: FaceFinder, person: Pixels, stranger: Pixels
) -> None:
    (other,) = finder.find(stranger)
    of_face, of_other = references.choose([face, other])
    used = [{one.file.name for one in own if one.reference} for own in (of_face, of_other)]
    assert used[0] == {"a-mirrored.png", "b-together.png"}
    assert used[1] == {"b-together.png", "c-stranger.png"}


def test_references_on_the_wrong_side_of_the_age_are_left_out(references: References, face: Face) -> None:
    (chosen,) = references.choose([face])
    used = chosen[0]
    assert used.within(CompletePlan(age=25, age_from=40)).reference is not None
    assert used.within(CompletePlan(age=70, age_from=40)).reference is not None
    left_out = used.within(CompletePlan(age=20, age_from=30))
    assert left_out.reference is None
    assert "older than the picture" in left_out.left_out


def test_nobody_is_refused(
    folder: Path, references: References, finder: FaceFinder, age_estimator: AgeEstimator, face: Face, tmp_path: Path
) -> None:
    with pytest.raises(FaceNotFound, match=r"No reference shows a person of the picture \(c-stranger\.png\)"):
        References.load([folder / "c-stranger.png"], finder, age_estimator).choose([face])
    with pytest.raises(FaceNotFound, match=r"No reference can be used \(d-blurred\.png: the face is .*blurred"):
        References.load([folder / "d-blurred.png"], finder, age_estimator).choose([face])
    with pytest.raises(FaceNotFound, match="No face was found in the references"):
        References.load([folder / "e-wall.png"], finder, age_estimator)
    with pytest.raises(ImageError, match="holds no pictures"):
        References.load([tmp_path], finder, age_estimator)
    with pytest.raises(ImageError, match="missing"):
        References.load([tmp_path / "missing"], finder, age_estimator)
