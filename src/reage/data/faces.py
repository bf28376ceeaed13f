"""Rows of shards as `Face` values."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from reage.data.shards import Portraits
from reage.faces.expression import measure_expression
from reage.faces.segmentation import FaceParser, make_matte
from reage.images import geometry
from reage.types import FACE_BOX_IN_CROP, Face


def portrait_to_face(portraits: Portraits, row: int, parser: FaceParser) -> Face:
    """The face of one row, as if its crop were the whole picture.

    Args:
        portraits: rows of shards.
        row: number of the row.
        parser: finds skin and hair in the crop.
    """
    crop, landmarks, mesh = portraits.crops[row], portraits.landmarks[row], portraits.mesh[row]
    segmentation = parser.parse(crop, mesh)
    side, (x0, y0, x1, y1) = len(crop), FACE_BOX_IN_CROP
    return Face(
        box=(x0 * side, y0 * side, x1 * side, y1 * side),
        score=float(portraits.score[row]),
        mesh=mesh,
        crop_from_image=np.eye(2, 3),
        crop=crop,
        matte=make_matte(segmentation, landmarks, mesh),
        skin=segmentation.skin,
        bare=segmentation.bare,
        hair=segmentation.hair,
        expression=measure_expression(mesh),
    )


def resize_portrait(portrait: Portraits, side_px: int) -> Portraits:
    """One portrait with a crop of another side, which becomes its photo.

    Args:
        portrait: a single row.
        side_px: of the crop.
    """
    scale = side_px / portrait.crops.shape[1]
    return replace(
        portrait,
        crops=geometry.resize(portrait.crops[0], side_px, side_px)[None],
        landmarks=((portrait.landmarks + 0.5) * scale - 0.5).astype(np.float32),
        mesh=(portrait.mesh * scale + (scale - 1) / 2 * np.array([1, 1, 0])).astype(np.float32),
    )
