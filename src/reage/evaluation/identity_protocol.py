"""Evaluation of identity-preserving aging (IJCB 2023, arXiv 2307.08585): generated pictures beside photos of a person.

Genuine scores are those of a generated picture and a photo of the same person, impostor scores those with a photo of
somebody else; the thresholds come from the impostors. A picture without a face matches nobody.

Convention:
    N pictures, M photos; identities (., 128), NaN without a face; scores are negative identity distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.errors import ImageError
from reage.evaluation.judges import Judges
from reage.evaluation.metrics.verification import impostors_needed, threshold_at
from reage.evaluation.report.measured_faces import Names, Values, cosine, figure, mean, median
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.finder import FaceFinder
from reage.generate import REJECTED, SHEET
from reage.images import list_images, load_image
from reage.prompts import AGE_LABELS, label_of

FALSE_MATCH_RATES = (0.01, 0.001)
EVERYTHING = "all"
"""Row of all age groups together."""

_NUM_IDENTITY = 128


@dataclass(frozen=True, kw_only=True)
class GeneratedPictures:
    """What was measured in generated pictures (N,) and in photos (M,).

    Args:
        person: (N,) whom each picture is to show.
        label: (N,) one of `reage.prompts.AGE_LABELS`, the age group it is to show.
        identities: (N, 128).
        years: (N,) age that is read in the picture; NaN without a face.
        photo_person: (M,) whom each photo shows.
        photo_identities: (M, 128).
    """

    person: Names
    label: Names
    identities: Values
    years: Values
    photo_person: Names
    photo_identities: Values

    @cached_property
    def genuine(self) -> NDArray[np.bool_]:
        """(N, M) whether a picture and a photo are of one person."""
        return self.person[:, None] == self.photo_person

    @cached_property
    def distances(self) -> Values:
        """(N, M) identity distances of pictures and photos."""
        return np.asarray(np.linalg.norm(self.identities[:, None] - self.photo_identities, axis=2))


def read_generated(
    photos: Path,
    generated: Path,
    judges: Judges,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> GeneratedPictures:
    """Measures the largest face of each picture of two folders.

    Args:
        photos: holds a folder of photos for each person; none of them may have been used for training.
        generated: holds a folder for each person, in it one for each label, as `reage imagine` writes it; rejected
            pictures count like the others.
        judges: give ages and identities.
        track: wraps the pictures in a progress bar.

    Raises:
        ImageError: when a folder is missing or holds no pictures, a folder is not named after a label, a person of the
            generated pictures has no photo, or a photo shows no face.
    """
    photo_files = {(folder.name, ""): list_images(folder) for folder in _folders(photos)}
    generated_files = {
        (folder.name, label.name): _list_generated(label)
        for folder in _folders(generated)
        for label in _folders(folder)
    }
    _check(photo_files, generated_files, photos, generated)
    files = [(*key, path) for group in (photo_files, generated_files) for key, paths in group.items() for path in paths]
    finder, measured = FaceFinder(), []
    for person, label, path in track(files):
        identity, years = _measure(path, finder, judges)
        if not label and math.isnan(years):
            raise ImageError(f"No face was found in the photo '{path}'; take it away, or give a clearer one.")
        measured.append((person, label, identity, years))
    people, labels, identities, ages = (np.array(column) for column in zip(*measured, strict=True))
    is_generated = labels != ""
    return GeneratedPictures(
        person=people[is_generated],
        label=labels[is_generated],
        identities=identities[is_generated],
        years=ages[is_generated],
        photo_person=people[~is_generated],
        photo_identities=identities[~is_generated],
    )


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be read: {error.strerror}.") from error


def _list_generated(folder: Path) -> list[Path]:
    """All pictures of a label's folder, rejected ones too, without the contact sheet."""
    rejected = folder / REJECTED
    paths = [*list_images(folder), *(list_images(rejected) if rejected.is_dir() else [])]
    return [path for path in paths if path.stem != Path(SHEET).stem]


def _check(
    photo_files: dict[tuple[str, str], list[Path]],
    generated_files: dict[tuple[str, str], list[Path]],
    photos: Path,
    generated: Path,
) -> None:
    if not any(photo_files.values()):
        raise ImageError(f"'{photos}' holds no photos; put those of each person into a folder of their own.")
    if not any(generated_files.values()):
        raise ImageError(f"'{generated}' holds no pictures; they belong in PERSON/LABEL/, as in mia/elderly/001.png.")
    for person, label in generated_files:
        if label not in AGE_LABELS:
            raise ImageError(f"'{generated / person / label}' is not an age group; use {', '.join(AGE_LABELS)}.")
        if not photo_files.get((person, "")):
            raise ImageError(f"There is no photo of {person} in '{photos}'; add some that were not used for training.")


def _measure(path: Path, finder: FaceFinder, judges: Judges) -> tuple[Values, float]:
    """Identity (128,) and age of the largest face in a picture, NaN without a face."""
    faces = finder.find(load_image(path).pixels)
    if not faces:
        return np.full(_NUM_IDENTITY, math.nan), math.nan
    face = faces[0]
    identity = judges.recognizer.embed(face.crop, face.to_crop(face.landmarks))
    return identity, judges.age_estimator.measure(face).age_years


# Table

_HEADERS = (
    "with a face",
    "distance, median",
    "CSIM",
    *(f"FNMR at FMR {rate:.1%}" for rate in FALSE_MATCH_RATES),
    "looks its age group",
)


def judge_generated(pictures: GeneratedPictures, age_judge: str) -> Table:
    """For each age group: how many of the pictures show the person, and how many look their age group.

    Args:
        pictures: what was measured.
        age_judge: name of the age estimator, for the note.
    """
    impostors = -pictures.distances[~pictures.genuine]
    thresholds = [threshold_at(impostors, rate) for rate in FALSE_MATCH_RATES]
    groups = {EVERYTHING: np.ones(len(pictures.label), bool)}
    groups |= {label: pictures.label == label for label in AGE_LABELS if (pictures.label == label).any()}
    rows = {name: _group_cells(pictures, mask, thresholds) for name, mask in groups.items()}
    rows["between photos"] = _photo_cells(pictures, thresholds)
    num_impostors, people = int((~np.isnan(impostors)).sum()), len(set(pictures.person.tolist()))
    return Table(
        name="identity-preserving",
        title="Generated pictures of people",
        corner="age group",
        headers=_HEADERS,
        rows=rows,
        note=(
            f"{len(pictures.label)} pictures of {people} people and {len(pictures.photo_person)} photos that were not "
            f"used for training; identity by dlib's 128 numbers, ages by {age_judge}. The thresholds come from "
            f"{num_impostors} impostor pairs, a picture and a photo of somebody else; "
            + ", ".join(
                f"FMR {rate:.1%} needs {impostors_needed(rate)}"
                + ("" if math.isnan(threshold) else f": {-threshold:.3f}")
                for rate, threshold in zip(FALSE_MATCH_RATES, thresholds, strict=True)
            )
            + ". 95 % intervals by person."
        ),
    )


def _group_cells(pictures: GeneratedPictures, mask: NDArray[np.bool_], thresholds: Sequence[float]) -> list[Cell]:
    people = pictures.person[mask]
    with_face = ~np.isnan(pictures.years[mask])
    picture, photo = np.nonzero(pictures.genuine & mask[:, None])
    person, distances = pictures.person[picture], pictures.distances[picture, photo]
    right_group = [
        not math.isnan(years) and label_of(max(0.0, years)) == label
        for years, label in zip(pictures.years[mask].tolist(), pictures.label[mask].tolist(), strict=True)
    ]
    return [
        figure(with_face.astype(float), people, style=".0%"),
        figure(distances, person, median),
        figure(cosine(pictures.identities[picture], pictures.photo_identities[photo]), person),
        *(_non_match_rate(-distances, person, threshold) for threshold in thresholds),
        figure(np.array(right_group, float), people, style=".0%"),
    ]


def _non_match_rate(scores: Values, people: Names, threshold: float) -> Figure:
    """FNMR with its interval; a picture without a face does not match."""
    missed = np.full(len(scores), math.nan) if math.isnan(threshold) else (~(scores >= threshold)).astype(float)
    return figure(missed, people, mean, ".0%")


def _photo_cells(pictures: GeneratedPictures, thresholds: Sequence[float]) -> list[Cell]:
    """The same numbers for pairs of real photos of one person, where there are several."""
    first, second = np.triu_indices(len(pictures.photo_person), 1)
    same = pictures.photo_person[first] == pictures.photo_person[second]
    first, second, people = first[same], second[same], pictures.photo_person[first[same]]
    distances = np.linalg.norm(pictures.photo_identities[first] - pictures.photo_identities[second], axis=1)
    return [
        "",
        figure(distances, people, median),
        figure(cosine(pictures.photo_identities[first], pictures.photo_identities[second]), people),
        *(_non_match_rate(-distances, people, threshold) for threshold in thresholds),
        "",
    ]
