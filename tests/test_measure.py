import dlib
import numpy as np
import pytest
import torch

from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance, make_chip
from reage.nets.dlib_resnet import DLIB_FILE
from reage.types import Face, Pixels, Plane
from reage.weights import find_dlib_model, find_weights, weights_hash

BOX = (175, 76, 265, 166)


@pytest.fixture(scope="module")
def dlib_shape(photo: Pixels) -> dlib.full_object_detection:
    predictor = dlib.shape_predictor(str(find_dlib_model("shape_predictor_5_face_landmarks.dat")))
    return predictor(photo, dlib.rectangle(*BOX))


@pytest.fixture(scope="module")
def landmarks(dlib_shape: dlib.full_object_detection) -> Plane:
    points = np.array([(part.x, part.y) for part in dlib_shape.parts()], np.float32)
    return points[[2, 3, 1, 0, 4]]


@pytest.fixture(scope="module")
def recognizer() -> DlibRecognizer:
    return DlibRecognizer.load()


@pytest.mark.parametrize("weights", ["age-a", "age-b"])
def test_the_astronaut_is_a_grown_woman(weights: str, face: Face) -> None:
    age_estimator = AgeEstimator.load(weights)
    reading = age_estimator.measure(face)
    assert 30 < reading.age_years < 55
    assert 2 < reading.age_std_years < 25
    assert reading.masculinity < 0.5
    assert age_estimator.weights_hash == weights_hash(find_weights(weights))


def test_both_estimators_are_different_nets_of_allowed_size() -> None:
    assert weights_hash(find_weights("age-a")) != weights_hash(find_weights("age-b"))
    assert all(find_weights(name).stat().st_size <= 12e6 for name in ("age-a", "age-b"))


def test_a_mirrored_crop_reads_the_same(face: Face) -> None:
    age_estimator = AgeEstimator.load()
    crops = np.stack([face.crop, face.crop[:, ::-1]])
    first, mirrored = age_estimator.measure_crops(crops)
    assert first.age_years == pytest.approx(mirrored.age_years, abs=1e-3)
    assert age_estimator.measure_crops(crops[:0]) == []


def test_readings_do_not_depend_on_the_batch(face: Face) -> None:
    age_estimator = AgeEstimator.load()
    crops = np.stack([np.roll(face.crop, shift, axis=1) for shift in range(34)])
    together = [reading.age_years for reading in age_estimator.measure_crops(crops)]
    assert together[33] == pytest.approx(age_estimator.measure_crops(crops[33:])[0].age_years, abs=1e-2)


def test_measuring_leaves_the_crop_alone(face: Face) -> None:
    before = face.crop.copy()
    AgeEstimator.load().measure(face)
    np.testing.assert_array_equal(face.crop, before)


def test_the_chip_is_dlibs_own(photo: Pixels, landmarks: Plane, dlib_shape: dlib.full_object_detection) -> None:
    np.testing.assert_array_equal(
        make_chip(photo, landmarks), dlib.get_face_chip(photo, dlib_shape, size=150, padding=0.25)
    )


def test_the_identity_is_dlibs_own(
    photo: Pixels, landmarks: Plane, dlib_shape: dlib.full_object_detection, recognizer: DlibRecognizer
) -> None:
    net = dlib.face_recognition_model_v1(str(find_dlib_model(DLIB_FILE)))
    dlibs = np.array(net.compute_face_descriptor(photo, dlib_shape))
    assert identity_distance(recognizer.embed(photo, landmarks), dlibs) < 1e-4


def test_a_darker_copy_is_the_same_person(face: Face, recognizer: DlibRecognizer) -> None:
    points = face.to_crop(face.landmarks)
    dark = (face.crop * 0.6).astype(np.uint8)
    crops = np.stack([face.crop, dark, face.crop[:, ::-1]])
    mirrored_points = (points * (-1, 1) + (len(face.crop) - 1, 0))[[3, 2, 1, 0, 4]]
    identities = recognizer.embed_crops(crops, np.stack([points, points, mirrored_points]))
    distances = identity_distance(identities[:1], identities)
    assert distances.shape == (3,)
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2] < SAME_PERSON_DISTANCE


def test_noise_is_nobody_the_astronaut_knows(face: Face, recognizer: DlibRecognizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, face.crop.shape, np.uint8)
    points = face.to_crop(face.landmarks)
    assert (
        identity_distance(recognizer.embed(face.crop, points), recognizer.embed(noise, points)) > SAME_PERSON_DISTANCE
    )


def test_nets_are_frozen(recognizer: DlibRecognizer) -> None:
    for net in (recognizer.net, AgeEstimator.load().net):
        assert not net.training
        assert not any(isinstance(part, torch.nn.Parameter) and part.requires_grad for part in net.parameters())
