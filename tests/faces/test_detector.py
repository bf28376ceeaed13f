"""dlib's detector: patterns are dropped, overlaps suppressed, landmarks aligned."""

from __future__ import annotations

import dlib
import numpy as np
import pytest

from reage.faces.detector import (
    Detection,
    DlibDetectorConfig,
    DlibFaceDetector,
    align,
    face_box,
    suppress_overlaps,
)
from reage.faces.geometry import FIVE_POINTS, template_points
from reage.types import FACE_BOX_IN_CROP, Pixels

FALSE_FIND = (126, 335, 215, 425)
"""Box in the demo photo that dlib's detector takes for a face."""


@pytest.fixture(scope="module")
def detector() -> DlibFaceDetector:
    return DlibFaceDetector()


@pytest.fixture(scope="module")
def head(photo: Pixels) -> Pixels:
    return np.ascontiguousarray(photo[:256, 96:352])


def test_pattern_that_the_detector_takes_for_a_face_is_dropped(photo: Pixels, detector: DlibFaceDetector) -> None:
    boxes = dlib.get_frontal_face_detector()(photo, 1)
    corners = [(box.left(), box.top(), box.right(), box.bottom()) for box in boxes]
    assert any(np.allclose(box, FALSE_FIND, atol=6) for box in corners), corners
    (found,) = detector.detect(photo)
    assert found.box[3] < FALSE_FIND[1]


def test_landmarks_at_the_template_need_no_matrix() -> None:
    np.testing.assert_allclose(align(template_points(FIVE_POINTS, 200), 200), np.eye(2, 3), atol=1e-4)


def test_stricter_config_drops_the_face(head: Pixels) -> None:
    assert len(DlibFaceDetector().detect(head)) == 1
    assert DlibFaceDetector(DlibDetectorConfig(min_score=5.0)).detect(head) == []


def test_the_box_of_the_mean_face_is_that_of_a_crop() -> None:
    box = face_box(template_points(FIVE_POINTS, 1000))
    np.testing.assert_allclose(box, np.array(FACE_BOX_IN_CROP) * 1000, atol=0.1)


def test_of_overlapping_detections_the_highest_score_is_kept() -> None:
    points = template_points(FIVE_POINTS, 100)
    boxes = [(0.0, 0.0, 100.0, 100.0), (10.0, 10.0, 90.0, 90.0), (95.0, 0.0, 195.0, 100.0)]
    hits = [Detection(points, box, score) for box, score in zip(boxes, (1.0, 2.0, 0.5), strict=True)]
    assert [hit.score for hit in suppress_overlaps(hits, 0.4)] == [2.0, 0.5]
    assert len(suppress_overlaps(hits, 1.1)) == 3
