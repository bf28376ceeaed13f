"""The protocol of identity-preserving aging (IJCB 2023, arXiv 2307.08585): pictures drawn of people, and their photos.

Genuine scores are those of a drawn picture and a photo of the same person, impostor scores those with a photo of
somebody else; the border comes from the impostors. A picture without a face matches nobody.

Convention:
    N pictures, M photos; identities (., 128), NaN without a face; scores are negative identity distances.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
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

_IDENTITY = 128


@dataclass(frozen=True, kw_only=True)
class Generated:
    """What was seen in the pictures that were drawn, and in the photos.

    Args:
        person: (N,) whom each picture is to show.
        label: (N,) one of `reage.prompts.AGE_LABELS`, the age it is to show.
        identities: (N, 128).
        years: (N,) how old the face looks; NaN without a face.
        owner: (M,) whom each photo shows.
        originals: (M, 128).
    """

    person: Names
    label: Names
    identities: Values
    years: Values
    owner: Names
    originals: Values


def read_generated(
    originals: Path,
    drawn: Path,
    judges: Judges,
    track: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Generated:
    """Looks at the largest face of each picture.

    Args:
        originals: holds a folder of photos for each person; photos that were learned from must not be among them.
        drawn: holds a folder for each person, in it one for each label, as `reage imagine` writes it; rejected
            pictures count like the others.
        judges: see `Judges.estimator` and `Judges.recognizer`.
        track: wraps the pictures in a progress bar.

    Raises:
        ImageError: when a folder is missing or holds no pictures, a folder is called by no label, a person who was
            drawn has no photo, or a photo shows no face.
    """
    photos = {(one.name, ""): list_images(one) for one in _folders(originals)}
    pictures = {(one.name, label.name): _pictures_of(label) for one in _folders(drawn) for label in _folders(one)}
    _check(photos, pictures, originals, drawn)
    wanted = [(*who, path) for found in (photos, pictures) for who, paths in found.items() for path in paths]
    finder, seen = FaceFinder(), []
    for who, label, path in track(wanted):
        identity, years = _look(path, finder, judges)
        if not label and math.isnan(years):
            raise ImageError(f"No face was found in the photo '{path}'; take it away, or give a clearer one.")
        seen.append((who, label, identity, years))
    who, labels, identities, ages = (np.array(column) for column in zip(*seen, strict=True))
    made = labels != ""
    return Generated(
        person=who[made],
        label=labels[made],
        identities=identities[made],
        years=ages[made],
        owner=who[~made],
        originals=identities[~made],
    )


def _folders(folder: Path) -> list[Path]:
    try:
        return sorted(one for one in folder.iterdir() if one.is_dir() and not one.name.startswith("."))
    except OSError as error:
        raise ImageError(f"The folder '{folder}' cannot be read: {error.strerror}.") from error


def _pictures_of(folder: Path) -> list[Path]:
    rejected = folder / REJECTED
    found = [*list_images(folder), *(list_images(rejected) if rejected.is_dir() else [])]
    return [path for path in found if path.stem != Path(SHEET).stem]


def _check(
    photos: dict[tuple[str, str], list[Path]],
    pictures: dict[tuple[str, str], list[Path]],
    originals: Path,
    drawn: Path,
) -> None:
    if not any(photos.values()):
        raise ImageError(f"'{originals}' holds no photos; put those of each person into a folder of their own.")
    if not any(pictures.values()):
        raise ImageError(f"'{drawn}' holds no pictures; they belong in PERSON/LABEL/, as in mia/elderly/001.png.")
    for person, label in pictures:
        if label not in AGE_LABELS:
            raise ImageError(f"'{drawn / person / label}' is called by no age group; use {', '.join(AGE_LABELS)}.")
        if not photos.get((person, "")):
            raise ImageError(f"There is no photo of {person} in '{originals}'; add some that were not learned from.")


def _look(path: Path, finder: FaceFinder, judges: Judges) -> tuple[Values, float]:
    faces = finder.find(load_image(path).pixels)
    if not faces:
        return np.full(_IDENTITY, math.nan), math.nan
    face = faces[0]
    identity = judges.recognizer.embed(face.crop, face.to_crop(face.landmarks))
    return identity, judges.estimator.measure(face).age_years


def judge_generated(drawn: Generated, judge: str) -> Table:
    """Age group -> how many of the pictures show the person, and how many the age.

    Args:
        drawn: what was seen.
        judge: name of the estimator.
    """
    genuine = drawn.person[:, None] == drawn.owner
    distances = np.linalg.norm(drawn.identities[:, None] - drawn.originals, axis=2)
    impostors = -distances[~genuine]
    borders = [threshold_at(impostors, rate) for rate in FALSE_MATCH_RATES]
    groups = {EVERYTHING: np.ones(len(drawn.label), bool)}
    groups |= {label: drawn.label == label for label in AGE_LABELS if (drawn.label == label).any()}
    rows = {name: _row(drawn, mask, genuine, distances, borders) for name, mask in groups.items()}
    rows["between photos"] = _between_photos(drawn, borders)
    known, people = int((~np.isnan(impostors)).sum()), len(set(drawn.person.tolist()))
    return Table(
        name="identity-preserving",
        title="Pictures drawn of people",
        corner="age group",
        headers=_HEADERS,
        rows=rows,
        note=(
            f"{len(drawn.label)} pictures of {people} people and {len(drawn.owner)} photos that they were not learned "
            f"from; identity by dlib's 128 numbers, ages by {judge}. The borders come from {known} impostors, a "
            "picture and a photo of somebody else; "
            + ", ".join(
                f"FMR {rate:.1%} needs {impostors_needed(rate)}" + ("" if math.isnan(border) else f": {-border:.3f}")
                for rate, border in zip(FALSE_MATCH_RATES, borders, strict=True)
            )
            + ". 95 % intervals by person."
        ),
    )


_HEADERS = (
    "with a face",
    "distance, median",
    "CSIM",
    *(f"FNMR at FMR {rate:.1%}" for rate in FALSE_MATCH_RATES),
    "looks its age group",
)


def _row(
    drawn: Generated, mask: NDArray[np.bool_], genuine: NDArray[np.bool_], distances: Values, borders: Sequence[float]
) -> list[Cell]:
    people = drawn.person[mask]
    seen = ~np.isnan(drawn.years[mask])
    picture, photo = np.nonzero(genuine & mask[:, None])
    whose, apart = drawn.person[picture], distances[picture, photo]
    right = [
        not math.isnan(years) and label_of(max(0.0, years)) == label
        for years, label in zip(drawn.years[mask].tolist(), drawn.label[mask].tolist(), strict=True)
    ]
    return [
        figure(seen.astype(float), people, style=".0%"),
        figure(apart, whose, median),
        figure(cosine(drawn.identities[picture], drawn.originals[photo]), whose),
        *(_missed(-apart, whose, border) for border in borders),
        figure(np.array(right, float), people, style=".0%"),
    ]


def _missed(scores: Values, people: Names, border: float) -> Figure:
    """FNMR, with its interval; a picture without a face is missed."""
    missed = np.full(len(scores), math.nan) if math.isnan(border) else (~(scores >= border)).astype(float)
    return figure(missed, people, mean, ".0%")


def _between_photos(drawn: Generated, borders: Sequence[float]) -> list[Cell]:
    """What real photos of one person have, where there are several."""
    first, second = np.triu_indices(len(drawn.owner), 1)
    same = drawn.owner[first] == drawn.owner[second]
    first, second, people = first[same], second[same], drawn.owner[first[same]]
    apart = np.linalg.norm(drawn.originals[first] - drawn.originals[second], axis=1)
    return [
        "",
        figure(apart, people, median),
        figure(cosine(drawn.originals[first], drawn.originals[second]), people),
        *(_missed(-apart, people, border) for border in borders),
        "",
    ]
