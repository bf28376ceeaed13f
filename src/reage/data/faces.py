"""Portraits of shards as `Face` values."""

from __future__ import annotations

import numpy as np

from reage.data.shards import Portraits
from reage.faces.segmentation import FaceParser, bare_skin, make_matte
from reage.types import FACE_BOX_IN_CROP, Face


def portrait_to_face(portraits: Portraits, row: int, parser: FaceParser) -> Face:
    """The face of one row of portraits, in the frame of its own crop."""
    crop, landmarks, dense = portraits.crops[row], portraits.landmarks[row], portraits.dense_landmarks[row]
    parts = parser.parse(crop)
    side, (x0, y0, x1, y1) = len(crop), FACE_BOX_IN_CROP
    bare = bare_skin(crop, landmarks, parts.skin)
    return Face(
        box=(x0 * side, y0 * side, x1 * side, y1 * side),
        score=float(portraits.score[row]),
        landmarks=landmarks,
        crop_from_image=np.eye(2, 3),
        crop=crop,
        matte=make_matte(bare, parts.hair, landmarks, dense),
        skin=parts.skin,
        bare=bare,
        hair=parts.hair,
        dense_landmarks=dense,
    )
