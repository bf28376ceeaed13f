"""The photos of one person, from which a base is to learn who that is: found, looked over, and cut out."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reage.errors import FaceNotFound, ImageError
from reage.faces.finder import FaceFinder
from reage.faces.patches import FACE, cut_patches
from reage.images import load_image
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance
from reage.types import Pixels, Plane

FEWEST, MOST = 3, 30
"""Photos of one person: with fewer little is learned of them, more bring nothing new."""


@dataclass(frozen=True)
class SubjectPhotos:
    """What there is of a person.

    Args:
        squares: (N, P, P, 3) head and shoulders, see `reage.faces.patches`.
        files: (N,) where each was found.
        years: (N,) how old the person looks in each.
        identity: (D,) who it is: the mean over the photos, see `reage.measure.age.DlibRecognizer`.
        without_face: photos in which no face was found.
    """

    squares: Pixels
    files: tuple[Path, ...]
    years: tuple[float, ...]
    identity: Plane
    without_face: tuple[Path, ...]

    @property
    def advice(self) -> str:
        """What a person should know about this number of photos; "" when it is a good one."""
        if len(self.files) < FEWEST:
            return (
                f"There are only {len(self.files)} photos with a face; with {FEWEST} or more the person is kept better."
            )
        if len(self.files) > MOST:
            return f"There are {len(self.files)} photos with a face; more than {MOST} bring nothing new."
        return ""


def gather_photos(
    photos: Sequence[Path],
    finder: FaceFinder,
    recognizer: DlibRecognizer,
    age_estimator: AgeEstimator,
    patch_px: int,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> SubjectPhotos:
    """The largest face of each photo, if all are one person's.

    Args:
        photos: `FEWEST` to `MOST`; other numbers get an advice.
        finder: of faces.
        recognizer: tells who a face shows.
        age_estimator: tells how old.
        patch_px: side of what is cut out.
        track: wraps the photos in a progress bar.

    Raises:
        ImageError: when a photo cannot be read, or two of them show different people.
        FaceNotFound: when no photo has a face.
    """
    squares, identities, years, files, without_face = [], [], [], [], []
    for photo in track(photos):
        faces = finder.find(load_image(photo).pixels)
        if not faces:
            without_face.append(photo)
            continue
        crop, points = faces[0].crop, faces[0].to_crop(faces[0].landmarks)
        squares.append(cut_patches(crop, points, [FACE], patch_px)[0])
        identities.append(recognizer.embed(crop, points))
        years.append(age_estimator.measure(faces[0]).age_years)
        files.append(photo)
    if not files:
        raise FaceNotFound(f"No face was found in {len(photos)} photos; give {FEWEST} to {MOST} that show one person.")
    check_one_person(np.stack(identities), files)
    return SubjectPhotos(np.stack(squares), tuple(files), tuple(years), np.mean(identities, 0), tuple(without_face))


def check_one_person(identities: Plane, files: Sequence[Path]) -> None:
    """Compares identities (N, D) with the one that is nearest to all.

    Raises:
        ImageError: when one of them is another person's.
    """
    apart = np.array([[identity_distance(one, other) for other in identities] for one in identities])
    centre = int(apart.sum(1).argmin())
    stranger = int(apart[centre].argmax())
    if apart[centre, stranger] > SAME_PERSON_DISTANCE:
        others = [
            f"{files[row].name} {apart[centre, row]:.2f}" for row in range(len(files)) if row not in (centre, stranger)
        ]
        raise ImageError(
            f"{files[centre].name} and {files[stranger].name} show two people: they are {apart[centre, stranger]:.2f} "
            f"apart, where one person is below {SAME_PERSON_DISTANCE:g} (the others: {', '.join(others) or 'none'}); "
            "leave one of them out."
        )
