"""Automatic labels of studio portraits: the backdrop is keyed out, the head divided into skin and hair."""

from __future__ import annotations

import numpy as np
import pytest

from reage.images import geometry
from reage.nets.segmentation import CLASSES
from reage.training.measures.segmentation_labels import LABEL_PX, label_crop
from reage.types import Face, Pixels, Plane

OTHER, SKIN, HAIR = (CLASSES.index(name) for name in ("other", "skin", "hair"))


@pytest.fixture(scope="module")
def labelled(before_blue: tuple[Pixels, Plane], mesh: Plane) -> tuple[Pixels, Plane, np.ndarray]:
    found = label_crop(before_blue[0], mesh)
    assert found is not None
    return found


def overlap(first: np.ndarray, second: np.ndarray) -> float:
    return float((first & second).sum() / (first | second).sum())


def small(mask: Plane) -> np.ndarray:
    return geometry.resize(mask, LABEL_PX, LABEL_PX) > 0.5


def test_labels_have_the_size_of_the_net(labelled: tuple[Pixels, Plane, np.ndarray], before_blue: tuple) -> None:
    crop, person, labels = labelled
    np.testing.assert_array_equal(crop, geometry.resize(before_blue[0], LABEL_PX, LABEL_PX))
    assert person.shape == labels.shape == (LABEL_PX, LABEL_PX)
    assert labels.dtype == np.int64
    assert set(np.unique(labels)) == {OTHER, SKIN, HAIR}


def test_the_person_is_separated_from_the_backdrop(
    labelled: tuple[Pixels, Plane, np.ndarray], before_blue: tuple[Pixels, Plane]
) -> None:
    _, person, labels = labelled
    true = small(before_blue[1])
    assert overlap(person > 0.5, true) > 0.97
    assert person.min() >= 0
    assert person.max() <= 1
    surely_backdrop = geometry.grow(true.astype(np.float32), 2) == 0
    assert (labels[surely_backdrop] == OTHER).all()


def test_skin_and_hair_are_where_they_are(labelled: tuple[Pixels, Plane, np.ndarray], face: Face) -> None:
    _, _, labels = labelled
    assert overlap(labels == SKIN, small(face.skin)) > 0.85
    assert overlap(labels == HAIR, small(face.hair)) > 0.8


def test_features_count_as_skin(labelled: tuple[Pixels, Plane, np.ndarray], ibug: Plane) -> None:
    _, _, labels = labelled
    for landmarks in (ibug[36:42], ibug[42:48], ibug[48:60], ibug[17:22], ibug[31:36]):
        x, y = np.rint(landmarks.mean(0) * LABEL_PX / 512).astype(int)
        assert labels[y, x] == SKIN


def test_a_bald_head_has_no_hair(mesh: Plane) -> None:
    rows, columns = np.mgrid[0:512, 0:512]
    head = ((columns - 255) / 150) ** 2 + ((rows - 260) / 200) ** 2 < 1
    light = 1 + 0.1 * np.sin(columns / 60)[..., None]
    crop = np.where(head[..., None], np.array([200, 150, 125]) * light, (40, 75, 160)).astype(np.uint8)
    found = label_crop(crop, mesh)
    assert found is not None
    labels = found[2]
    assert (labels == HAIR).mean() < 0.01
    assert overlap(labels == SKIN, small(head.astype(np.float32))) > 0.9


def test_portrait_without_a_coloured_backdrop_has_no_labels(face: Face, mesh: Plane) -> None:
    assert label_crop(face.crop, mesh) is None


def test_labels_do_not_depend_on_the_size_of_the_crop(
    labelled: tuple[Pixels, Plane, np.ndarray], before_blue: tuple[Pixels, Plane], mesh: Plane
) -> None:
    half = label_crop(geometry.resize(before_blue[0], 256, 256), (mesh + 0.5) / 2 - 0.5)
    assert half is not None
    assert (half[2] == labelled[2]).mean() > 0.95
