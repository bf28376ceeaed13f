"""BlazeFace (arXiv 1907.05047), a fully convolutional face detector, run on copies of a picture at several sizes.

The net is MediaPipe's full-range model (Apache-2.0), see the card models/mediapipe.md.

Convention:
    boxes are squares around brow to chin, px; points (x, y) px: the eye on the left of the picture, the eye on the
    right, nose tip, mouth, the ear on the left, the ear on the right.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.nets.runtime import load_session
from reage.types import Pixels, Plane

Box = tuple[float, float, float, float]

_STRIDE_PX = 4
_MULTIPLE_PX = 64
"""Sides of an input are multiples of this."""
_LOGIT_LIMIT = 80.0


@dataclass(frozen=True, kw_only=True)
class BlazeFaceConfig:
    """Where faces are searched for.

    Args:
        padded_copies: side of small copies with a margin around them, and the margin as a share of the picture's long
            side. They show faces from 1/6 of the long side up to the whole of it, the first one those from 1/14.
        search_px: long sides of the copies that are searched, rising. The first one is always, and shows faces of 1/35
            to 1/6 of the long side; each other one where those before show no face, or a small one: beside it there
            may be smaller ones.
        small_face_px: height on the last searched copy up to which a face is small.
        max_enlargement: a small picture is enlarged at most by this factor.
        tile_px: larger copies are searched in tiles of this side, so that memory stays flat.
        overlap_px: by which neighbouring tiles overlap.
        min_score: in [0, 1], from which a place is a face.
        min_small_score: that of faces of less than an eighth of the long side, which far more places look like.
        min_face_px: side of the box in the picture below which a place is no face: so few pixels show patterns too.
        max_overlap: intersection over the smaller of two boxes from which they are one face.
    """

    padded_copies: tuple[tuple[int, float], ...] = ((256, 0.3), (192, 0.8))
    search_px: tuple[int, ...] = (576, 1152, 3456)
    small_face_px: float = 48.0
    max_enlargement: float = 4.0
    tile_px: int = 1216
    overlap_px: int = 96
    min_score: float = 0.6
    min_small_score: float = 0.7
    min_face_px: float = 16.0
    max_overlap: float = 0.4


@dataclass(frozen=True)
class BlazeFaceHit:
    """A face.

    Args:
        centre: (2,) of the box.
        side_px: of the box.
        points: (6, 2), see the convention of this module.
        score: in [0, 1].
    """

    centre: Plane
    side_px: float
    points: Plane
    score: float

    @property
    def box(self) -> Box:
        """Xyxy, px."""
        (x, y), half_px = self.centre.tolist(), self.side_px / 2
        return (x - half_px, y - half_px, x + half_px, y + half_px)

    def moved(self, factor: float, offset: Sequence[float]) -> BlazeFaceHit:
        """The hit in another frame: px there are px here times the factor plus the offset (2,)."""
        shift = np.asarray(offset, np.float32)
        return BlazeFaceHit(
            self.centre * factor + shift, self.side_px * factor, self.points * factor + shift, self.score
        )


def search(pixels: Pixels, config: BlazeFaceConfig = BlazeFaceConfig()) -> list[BlazeFaceHit]:
    """Every face of a picture (H, W, 3) RGB uint8 that is tilted by less than 45 degrees, once, the surest first."""
    long_side = max(pixels.shape[:2])
    factor = min(config.search_px[0] / long_side, config.max_enlargement)
    copy = geometry.resize_by(pixels, factor)
    found = detect_once(copy, config.min_score)
    for side_px, margin in config.padded_copies:
        found += _search_padded(copy, side_px, margin, config)
    hits = _keep_sure([hit.moved(1 / factor, (0, 0)) for hit in found], long_side, config)
    for before_px, search_px in pairwise(config.search_px):
        smallest_px = min((hit.side_px for hit in hits), default=0.0) * before_px / long_side
        if smallest_px > config.small_face_px or long_side * config.max_enlargement <= before_px:
            break
        hits += _keep_sure(_search_copy(pixels, search_px, config), long_side, config)
    return suppress_overlaps(hits, config.max_overlap)


def _keep_sure(hits: Sequence[BlazeFaceHit], long_side: int, config: BlazeFaceConfig) -> list[BlazeFaceHit]:
    return [hit for hit in hits if _is_sure(hit, long_side, config)]


def _is_sure(hit: BlazeFaceHit, long_side: int, config: BlazeFaceConfig) -> bool:
    min_score = config.min_score if hit.side_px >= long_side / 8 else config.min_small_score
    return hit.side_px >= config.min_face_px and hit.score >= min_score


class Scored(Protocol):
    """What non-maximum suppression reads of a find."""

    @property
    def box(self) -> Box:
        """Xyxy, px."""
        ...

    @property
    def score(self) -> float:
        """In [0, 1]."""
        ...


Find = TypeVar("Find", bound=Scored)


def suppress_overlaps(finds: Sequence[Find], max_overlap: float) -> list[Find]:
    """Non-maximum suppression: of finds that overlap by at least that share, the surest alone is kept."""
    kept: list[Find] = []
    for find in sorted(finds, key=lambda find: -find.score):
        if all(overlap(find.box, other.box) < max_overlap for other in kept):
            kept.append(find)
    return kept


def overlap(a: Box, b: Box) -> float:
    """Shared area over the smaller of two boxes."""
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    return width * height / min((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))


def detect_once(copy: Pixels, min_score: float) -> list[BlazeFaceHit]:
    """One pass of the net over a picture (H, W, 3) RGB uint8; hits are not suppressed."""
    height, width = (_MULTIPLE_PX * math.ceil(side / _MULTIPLE_PX) for side in copy.shape[:2])
    x = np.full((1, height, width, 3), -1, np.float32)
    x[0, : copy.shape[0], : copy.shape[1]] = copy.astype(np.float32) / 127.5 - 1
    regressors, logits = load_session("face-detector").run(None, {"input": x})
    scores = 1 / (1 + np.exp(-np.clip(logits[0, :, 0], -_LOGIT_LIMIT, _LOGIT_LIMIT)))
    places = np.flatnonzero(scores >= min_score)
    rows, columns = np.divmod(places, width // _STRIDE_PX)
    anchors = (np.stack([columns, rows], -1) + 0.5).astype(np.float32) * _STRIDE_PX
    found = regressors[0, places].reshape(-1, 8, 2)
    return [
        BlazeFaceHit(one[0] + anchor, float(one[1].max()), one[2:] + anchor, float(score))
        for one, anchor, score in zip(found, anchors, scores[places], strict=True)
    ]


def _search_padded(pixels: Pixels, side_px: int, margin: float, config: BlazeFaceConfig) -> list[BlazeFaceHit]:
    long_side = max(pixels.shape[:2])
    copy = geometry.resize_by(pixels, side_px / ((1 + 2 * margin) * long_side))
    factor = max(copy.shape[:2]) / long_side
    margin_px = round(margin * max(copy.shape[:2]))
    padded = np.pad(copy, ((margin_px, margin_px), (margin_px, margin_px), (0, 0)))
    hits = suppress_overlaps(detect_once(padded, config.min_score), config.max_overlap)
    return [hit.moved(1 / factor, (-margin_px / factor,) * 2) for hit in hits]


def _search_copy(pixels: Pixels, search_px: int, config: BlazeFaceConfig) -> list[BlazeFaceHit]:
    long_side = max(pixels.shape[:2])
    factor = min(search_px / long_side, config.max_enlargement)
    hits: list[BlazeFaceHit] = []
    for top, left, tile in cut_tiles(pixels, factor, config):
        hits += [hit.moved(1 / factor, (left, top)) for hit in detect_once(tile, config.min_score)]
    return suppress_overlaps(hits, config.max_overlap)


def cut_tiles(pixels: Pixels, factor: float, config: BlazeFaceConfig) -> Iterator[tuple[int, int, Pixels]]:
    """Overlapping tiles of the resized picture with their top left corner in px of the picture."""
    side, step = config.tile_px / factor, (config.tile_px - config.overlap_px) / factor
    starts = [
        [round(index * step) for index in range(max(1, math.ceil((length - side) / step - 1e-6) + 1))]
        for length in pixels.shape[:2]
    ]
    for top in starts[0]:
        for left in starts[1]:
            part = pixels[top : top + math.ceil(side), left : left + math.ceil(side)]
            yield top, left, geometry.resize_by(np.ascontiguousarray(part), factor)


def roll_degrees(points: NDArray[np.floating]) -> float:
    """Tilt of the line between the eyes of `BlazeFaceHit.points`, clockwise."""
    across = points[1] - points[0]
    return math.degrees(math.atan2(float(across[1]), float(across[0])))
