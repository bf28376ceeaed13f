"""What do a person's own photos add to the exemplar engine? Older photos made younger with and without a younger one.

Everyone has two portraits ten years apart, the earlier one grey. The later one is made as old as the engine's estimator
reads the earlier one, which is the only reference, and compared with it: as it is, aged without the reference, and with
it. Both pictures are made grey and equally coarse. People whose earlier photo does not look clearly younger, or is
refused as a reference, are left out.

    python benchmarks/reference_photos.py --shards shards/ --photos data/congress/
    python benchmarks/reference_photos.py ... --write benchmarks/reference_photos.md
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from common.markdown import show, to_markdown
from numpy.typing import NDArray

from reage import Plan, Reager
from reage.data.shards import read_shards
from reage.engines import DEFAULT_ENGINE
from reage.errors import FaceNotFound
from reage.evaluation.judges import Judges
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.evaluation.real_aging import make_alike, pairs_of
from reage.images import geometry, load_image
from reage.measure.references import ChosenReference, References
from reage.types import Face, Pixels

LEAST_YOUNGER_YEARS = 3.0
CROP_PX = 512
SPLITS = {"val": "held out", "train": "others"}
"""The strengths were chosen on 79 of the others, whose later photos the models of the engine know, too."""
KINDS = ("the later photo as it is", "aged without the reference", "aged with the reference")


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What a person's own photos add.")
    parser.add_argument("--shards", type=Path, required=True, help="portraits, made by `reage training prepare`")
    parser.add_argument("--photos", type=Path, required=True, help="folder of their photos")
    parser.add_argument("--engine", default=DEFAULT_ENGINE, help="engine that ages the photos")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    arguments = parser.parse_args()
    judges = Judges.load()
    reager = Reager(arguments.engine, age_estimator=judges.second_age_estimator)
    rows = []
    for split, name in SPLITS.items():
        pairs = find_pairs(arguments.shards, arguments.photos, split)
        measured = np.array(list(measure(reager, judges, pairs)))
        rows += [(f"{name} ({len(measured)})", *row) for row in describe(measured)]
    note = (
        f"`{arguments.engine}` {reager.engine.weights_hash}. The reference is the photo that the result is compared "
        "with: nobody has three. In brackets 95 % intervals by a bootstrap over people. Made by `python "
        "benchmarks/reference_photos.py`; the photos are not part of the repository."
    )
    columns = ("people", "", "identity distance to the earlier photo", "years from its reading", "years older")
    show(to_markdown("A person's own photo as reference", note, columns, rows), arguments.write)


def find_pairs(shards: Path, photos: Path, split: str) -> Iterator[tuple[Path, Path]]:
    """The files of the earlier and the later photo of everyone with two."""
    portraits = read_shards(shards, split)
    for first, last in pairs_of(portraits):
        yield photos / str(portraits.file[first]), photos / str(portraits.file[last])


def measure(
    reager: Reager, judges: Judges, pairs: Iterator[tuple[Path, Path]]
) -> Iterator[list[tuple[float, float, float]]]:
    """For everyone and each of `KINDS` identity distance, reading, and reading of the earlier photo."""
    for earlier, later in pairs:
        references = reager.read_references([earlier])
        reference = references.photos[0].faces[0].reference
        photo = load_image(later)
        faces = reager.find(photo)[:1]
        readings = [reager.measure(face) for face in faces]
        if not faces or readings[0].age_years - reference.reading.age_years < LEAST_YOUNGER_YEARS:
            continue
        if not any(one.reference for one in try_references(references, faces)):
            continue
        plan = Plan(age=reference.reading.age_years)
        pictures = [photo.pixels]
        for given in ((), references):
            aged = reager(photo, plan, faces=faces, readings=readings, references=given)
            pictures.append(aged.image.pixels)
        yield [judge(judges, picture, faces[0], reference.face) for picture in pictures]


def try_references(references: References, faces: list[Face]) -> tuple[ChosenReference, ...]:
    """What became of the reference; nothing where it is refused."""
    try:
        return references.choose(faces)[0]
    except FaceNotFound:
        return ()


def judge(judges: Judges, picture: Pixels, face: Face, other: Face) -> tuple[float, float, float]:
    """Identity distance of a picture of a face to another face, and the ages of both, made alike."""
    crop = np.asarray(geometry.warp(picture, face.crop_from_image, CROP_PX, CROP_PX), np.uint8)
    crops = np.stack(make_alike(crop, other.crop, face.image_px_per_crop_px, other.image_px_per_crop_px))
    points = np.stack([one.to_crop(one.landmarks) for one in (face, other)])
    first, second = judges.recognizer.embed_crops(crops, points)
    ages = [reading.age_years for reading in judges.age_estimator.measure_crops(crops)]
    return float(np.linalg.norm(first - second)), ages[0], ages[1]


def describe(measured: NDArray[np.float64]) -> list[tuple[str, ...]]:
    """Rows of the table, of measurements (N, 3, 3)."""
    distance, older = measured[..., 0], measured[..., 1] - measured[..., 2]
    columns = ((distance, ".3f"), (np.abs(older), ".2f"), (older, "+.2f"))
    rows = [
        (kind, *(with_interval(values[:, index], style) for values, style in columns))
        for index, kind in enumerate(KINDS)
    ]
    by_reference = [with_interval(values[:, 2] - values[:, 1], "+" + style.lstrip("+")) for values, style in columns]
    return [*rows, ("**by the reference**", *by_reference)]


def with_interval(values: NDArray[np.float64], style: str) -> str:
    """The mean and its interval."""
    low, high = bootstrap_interval(values, [str(index) for index in range(len(values))])
    return f"{values.mean():{style}} [{low:{style}}, {high:{style}}]"


if __name__ == "__main__":
    main()
