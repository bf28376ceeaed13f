"""Labelled photos for the face parser: made from folders of photos, stored as Parquet, read back.

Most labels are automatic, see `reage.training.measures.segmentation_labels`. The polygons of `face_labels.json` were
drawn by hand, by looking at the photos; a photo that has some is labelled by them alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from reage.data.prepare import read_table
from reage.data.split import split_of
from reage.errors import ImageError
from reage.face_classes import CLASSES
from reage.faces.detector import BlazeFaceDetector, align
from reage.faces.segmentation import FaceParser
from reage.files import replace_file
from reage.images import geometry, load_image, shapes
from reage.images.codec import decode, encode_png
from reage.mesh_points import NUM_POINTS
from reage.training.measures.losses import UNLABELLED
from reage.training.measures.occlusions import Scene
from reage.training.measures.segmentation_labels import LABEL_PX, WIDE, label_wide_crop, shrink
from reage.types import Matrix, Pixels, Plane

WIDE_PX = 512
_HAND_LABELS = Path(__file__).with_name("face_labels.json")
_STORED_UNLABELLED = 255
_SURE_SHARE = 0.9
"""Share of a class from which a parser is sure."""
_ENLARGED = 4
"""Polygons are drawn so many times larger than the photo."""

SCHEMA = pa.schema(
    {
        "file": pa.string(),
        "collection": pa.string(),
        "split": pa.string(),
        "by_hand": pa.bool_(),
        "has_glasses": pa.bool_(),
        "pixels_png": pa.binary(),
        "labels_png": pa.binary(),
        "person_png": pa.binary(),
        "mesh": pa.list_(pa.float32(), 2 * NUM_POINTS),
    }
)


@dataclass(frozen=True)
class LabelledScenes:
    """Labelled photos.

    Args:
        scenes: wide crops with their labels.
        collection: (N,) name of the folder that each is from.
        split: (N,) "train" or "val".
        by_hand: (N,) whether a scene was labelled by hand.
        has_glasses: (N,) whether the person is known to wear glasses.
    """

    scenes: Sequence[Scene]
    collection: NDArray[np.str_]
    split: NDArray[np.str_]
    by_hand: NDArray[np.bool_]
    has_glasses: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.scenes)

    def pick(self, rows: NDArray[np.bool_]) -> LabelledScenes:
        """The scenes of a mask (N,)."""
        scenes = [scene for scene, chosen in zip(self.scenes, rows, strict=True) if chosen]
        return LabelledScenes(
            scenes, self.collection[rows], self.split[rows], self.by_hand[rows], self.has_glasses[rows]
        )


def label_photos(
    folder: str | Path,
    out: str | Path,
    person_matte: Callable[[Pixels], Plane],
    *,
    parser: FaceParser | None = None,
    table: str = "portraits.csv",
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> int:
    """Labels the photos in a table and writes them to `scenes-NAME.parquet`, NAME being that of the folder.

    Photos of people of the "val" split are taken only when they are labelled by hand.

    Args:
        folder: holds the photos and the table, see `reage.data.prepare.read_table`.
        out: folder for the file.
        person_matte: for example `PersonMatte.measure`.
        parser: labels what stays doubtful, where it is sure; none by default.
        table: name of the table.
        track: shows the progress over the rows.

    Returns:
        The number of labelled photos.

    Raises:
        ImageError: when the table or a photo cannot be read.
    """
    folder, detector, rows = Path(folder), BlazeFaceDetector(), []
    for row in track(read_table(folder / table)):
        key = f"{folder.name}/{row['file']}"
        by_hand, split = key in hand_labels()["polygons"], split_of(row["person"])
        if split == "val" and not by_hand:
            continue
        pixels = load_image(folder / row["file"]).pixels
        faces = detector.detect(pixels)
        if not faces:
            continue
        face = max(faces, key=lambda hit: hit.box[3] - hit.box[1])
        wide_from_image = wide_from_crop(align(face.landmarks, WIDE_PX // int(WIDE)))
        scene = _label(pixels, face.mesh[:, :2], wide_from_image, key, row["query"], person_matte, parser)
        has_glasses = bool((scene.labels == CLASSES.index("glasses")).any()) if by_hand else "glasses" in row["query"]
        rows.append(_to_row(scene, row["file"], folder.name, split, by_hand, has_glasses))
    path = Path(out) / f"scenes-{folder.name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    with replace_file(path, ImageError) as unfinished:
        pq.write_table(pa.Table.from_pylist(rows, SCHEMA), unfinished)
    return len(rows)


def read_scenes(folder: str | Path) -> LabelledScenes:
    """The labelled photos of all files of a folder.

    Raises:
        ImageError: when there are none, or a file is damaged.
    """
    files = sorted(Path(folder).glob("scenes-*.parquet"))
    if not files:
        raise ImageError(f"There are no labelled photos in {folder}; make them with `reage training label`.")
    try:
        rows = [row for file in files for row in pq.read_table(file).cast(SCHEMA).to_pylist()]
    except (pa.ArrowException, OSError, ValueError) as error:  # ValueError: other columns
        raise ImageError(f"A file of labelled photos in {folder} is damaged; label the photos again.") from error
    return LabelledScenes(
        [_to_scene(row) for row in rows],
        np.array([row["collection"] for row in rows], str),
        np.array([row["split"] for row in rows], str),
        np.array([row["by_hand"] for row in rows], bool),
        np.array([row["has_glasses"] for row in rows], bool),
    )


@cache
def hand_labels() -> Mapping[str, Any]:
    """What was labelled by hand.

    Returns:
        "polygons": COLLECTION/FILE -> outlines {"class", "points"} in px of the photo, painted in order;
        "unsure_hair_queries": words in a query, "unsure_hair_files": COLLECTION/FILE, of photos in which what the
        automatic labels call hair may be a hat; "covered_hair_files": COLLECTION/FILE, where it is a hat or scarf.
    """
    labels: Mapping[str, Any] = json.loads(_HAND_LABELS.read_text())
    return labels


def draw_polygons(polygons: Sequence[Mapping[str, Any]], height: int, width: int) -> NDArray[np.int8]:
    """(`_ENLARGED` * height, `_ENLARGED` * width) classes of a photo, background where no polygon is."""
    labels = np.zeros((height * _ENLARGED, width * _ENLARGED), np.int8)
    for polygon in polygons:
        outline = (np.array(polygon["points"]) + 0.5) * _ENLARGED - 0.5
        labels[shapes.fill_polygon(outline, *labels.shape) > 0] = CLASSES.index(polygon["class"])
    return labels


def wide_from_crop(crop_from_image: Matrix) -> Matrix:
    """(2, 3) matrix into a wide crop of `WIDE` sides, from the one into a crop of `WIDE_PX` / `WIDE` px."""
    matrix = np.array(crop_from_image, np.float64)
    matrix[:, 2] += WIDE_PX * (WIDE - 1) / (2 * WIDE)
    return matrix


def label_doubtful(labels: NDArray[np.int8], wide: Pixels, mesh: Plane, parser: FaceParser) -> None:
    """Gives unlabelled pixels of labels (L, L) of a wide crop the class of which a parser is sure."""
    shares = geometry.resize(parser.measure_shares(wide, mesh, WIDE).transpose(1, 2, 0), *labels.shape)
    sure = (labels == UNLABELLED) & (shares.max(-1) > _SURE_SHARE)
    labels[sure] = shares.argmax(-1)[sure]


def _label(
    pixels: Pixels,
    mesh: Plane,
    wide_from_image: Matrix,
    key: str,
    query: str,
    person_matte: Callable[[Pixels], Plane],
    parser: FaceParser | None,
) -> Scene:
    wide = geometry.warp(pixels, wide_from_image, WIDE_PX, WIDE_PX)
    points = geometry.move_points(mesh, wide_from_image)
    height, width = pixels.shape[:2]
    if key in hand_labels()["polygons"]:
        drawn = draw_polygons(hand_labels()["polygons"][key], height, width)
        offset = 0.5 / _ENLARGED - 0.5
        image_from_drawn = np.array([[1 / _ENLARGED, 0, offset], [0, 1 / _ENLARGED, offset], [0, 0, 1]])
        labels = geometry.warp_labels(drawn, wide_from_image @ image_from_drawn, WIDE_PX, WIDE_PX, UNLABELLED)
        person = np.rint(geometry.blur(np.where(labels > 0, 255, 0).astype(np.float32), 1.5)).astype(np.uint8)
        return Scene(wide, labels, person, points)
    matte = person_matte(wide)
    visible = geometry.warp(np.full((height, width, 3), 255, np.uint8), wide_from_image, WIDE_PX, WIDE_PX, edge="zero")
    small = label_wide_crop(wide, points, matte, visible[..., 0] > 127, has_glasses="glasses" in query)
    if parser is not None:
        label_doubtful(small, wide, points, parser)
        small[~shrink(visible[..., 0] > 127)] = UNLABELLED
    doubtful = any(word in query for word in hand_labels()["unsure_hair_queries"])
    if doubtful or key in hand_labels()["unsure_hair_files"]:
        small[small == CLASSES.index("hair")] = UNLABELLED
    if key in hand_labels()["covered_hair_files"]:
        small[small == CLASSES.index("hair")] = CLASSES.index("hat")
    matrix = geometry.resize_matrix(LABEL_PX, WIDE_PX)
    labels = geometry.warp_labels(small, matrix, WIDE_PX, WIDE_PX, UNLABELLED)
    person = np.rint(255 * geometry.resize(matte, WIDE_PX, WIDE_PX)).astype(np.uint8)
    return Scene(wide, labels, person, points)


def _to_row(
    scene: Scene, file: str, collection: str, split: str, by_hand: bool, has_glasses: bool
) -> dict[str, object]:
    stored = np.where(scene.labels == UNLABELLED, _STORED_UNLABELLED, scene.labels).astype(np.uint8)
    return {
        "file": file,
        "collection": collection,
        "split": split,
        "by_hand": by_hand,
        "has_glasses": has_glasses,
        "pixels_png": encode_png(scene.pixels),
        "labels_png": encode_png(np.repeat(stored[..., None], 3, -1)),
        "person_png": encode_png(np.repeat(scene.person[..., None], 3, -1)),
        "mesh": np.ravel(scene.mesh).astype(np.float32).tolist(),
    }


def _to_scene(row: Mapping[str, Any]) -> Scene:
    labels = decode(row["labels_png"])[..., 0]
    return Scene(
        decode(row["pixels_png"]),
        np.where(labels == _STORED_UNLABELLED, UNLABELLED, labels).astype(np.int8),
        decode(row["person_png"])[..., 0].copy(),
        np.array(row["mesh"], np.float32).reshape(NUM_POINTS, 2),
    )
