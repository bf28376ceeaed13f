"""References: other photos of the person in a picture, found in folders and checked to be the person.

The photos are read once; then `References.choose` tells for the faces of a picture which of them show the same person.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from reage.errors import FaceNotFound, ImageError, ReageError
from reage.faces.finder import FaceFinder
from reage.faces.quality import measure_quality
from reage.images import SUFFIXES, Image, decode_image, list_images, load_image
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, DlibRecognizer, identity_distance
from reage.plan import lies_on_the_way
from reage.types import CompletePlan, Face, Plane, ReferenceFace


@dataclass(frozen=True, kw_only=True)
class FoundFace:
    """A face in a reference photo.

    Args:
        reference: the face and its reading.
        identity: (128,) embedding.
        flaws: why it is not good enough, in words; empty for a good one.
    """

    reference: ReferenceFace
    identity: Plane
    flaws: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ReferencePhoto:
    """A photo that was given as a reference.

    Args:
        file: of the photo.
        faces: that it shows.
        error: why it cannot be read, in a sentence; "" when it was read.
    """

    file: Path
    faces: tuple[FoundFace, ...] = ()
    error: str = ""


@dataclass(frozen=True, kw_only=True)
class ChosenReference:
    """What became of a reference photo for one person.

    Args:
        file: of the photo.
        reference: the face of the person in it; None where it is not used.
        left_out: why it is not used, in words; "" where it is.
        identity_distance: between the person in the picture and the nearest face of the photo; NaN without a face.
        age_years: that was read on that face; NaN without one.
    """

    file: Path
    reference: ReferenceFace | None = None
    left_out: str = ""
    identity_distance: float = float("nan")
    age_years: float = float("nan")

    def to_json(self) -> dict[str, Any]:
        """File, whether it is used or why not, and, of a photo with a face, age and identity distance."""
        used = {"file": str(self.file), "used": self.reference is not None}
        why = {} if self.reference is not None else {"left_out": self.left_out}
        if np.isnan(self.age_years):
            return {**used, **why}
        measured = {"age_years": self.age_years, "identity_distance": self.identity_distance}
        return {**used, **why, **{name: round(value, 3) for name, value in measured.items()}}

    def within(self, plan: CompletePlan) -> ChosenReference:
        """The same, left out where its age is clearly not on the side of the target."""
        if self.reference is None or lies_on_the_way(self.age_years, plan.age_from, plan.age):
            return self
        side = "older" if plan.age < plan.age_from else "younger"
        reason = f"it looks {self.age_years:.0f}, {side} than the picture"
        return replace(self, reference=None, left_out=reason)


@dataclass(frozen=True, kw_only=True)
class References:
    """Photos of a person, read once by `load`.

    Args:
        photos: one or more.
        recognizer: tells whether a face is the person.
    """

    photos: tuple[ReferencePhoto, ...]
    recognizer: DlibRecognizer

    @classmethod
    def load(cls, paths: Sequence[str | Path], finder: FaceFinder, age_estimator: AgeEstimator) -> References:
        """Reads the photos of folders and files.

        Raises:
            ImageError: when a folder or file is missing, or there is no picture in a folder.
            FaceNotFound: when no photo shows a face.
        """
        files = [file for path in paths for file in _list_photos(Path(path))]
        return cls._read({file: partial(load_image, file) for file in files}, finder, age_estimator)

    @classmethod
    def decode(
        cls, photos: Mapping[str, bytes], finder: FaceFinder, age_estimator: AgeEstimator, *, max_megapixels: float
    ) -> References:
        """Reads the photos in the bytes of files, by their names.

        Raises:
            FaceNotFound: when no photo shows a face.
        """
        read = {
            Path(name): partial(decode_image, photo, name=name, max_megapixels=max_megapixels)
            for name, photo in photos.items()
        }
        return cls._read(read, finder, age_estimator)

    @classmethod
    def _read(
        cls, photos: Mapping[Path, Callable[[], Image]], finder: FaceFinder, age_estimator: AgeEstimator
    ) -> References:
        recognizer = DlibRecognizer.load()
        read = tuple(_read_photo(file, load, finder, age_estimator, recognizer) for file, load in photos.items())
        if not any(photo.faces for photo in read):
            raise FaceNotFound("No face was found in the references; give photos of the person's face.")
        return cls(photos=read, recognizer=recognizer)

    def choose(self, faces: Sequence[Face]) -> list[tuple[ChosenReference, ...]]:
        """For each face of a picture, what became of every photo.

        A face of a photo serves at most one face of the picture, the one that it is nearest to.

        Raises:
            FaceNotFound: when no photo can be used for any of the faces.
        """
        identities = [self.recognizer.embed(face.crop, face.to_crop(face.landmarks)) for face in faces]
        chosen = [tuple(_choose(photo, identities, index) for photo in self.photos) for index in range(len(faces))]
        every = [one for own in chosen for one in own]
        if every and not any(one.reference for one in every):
            raise FaceNotFound(_describe_none(every))
        return chosen


def describe_left_out(chosen: Sequence[ChosenReference]) -> str:
    """The photos that are left out for a person and why, as in 'a.jpg (no face was found in it)'; "" for none."""
    return ", ".join(f"{one.file.name} ({one.left_out})" for one in chosen if one.left_out)


def _describe_none(every: Sequence[ChosenReference]) -> str:
    """One sentence for the case that no photo can be used."""
    nearest = min(every, key=lambda one: np.nan_to_num(one.identity_distance, nan=np.inf))
    others = len({one.file for one in every}) - 1
    more = f", and {others} more" if others else ""
    if not nearest.identity_distance < SAME_PERSON_DISTANCE:
        limit = f"one person's is below {SAME_PERSON_DISTANCE:g}"
        return (
            f"No reference shows a person of the picture ({nearest.file.name}{more}): the nearest face is at an "
            f"identity distance of {nearest.identity_distance:.2f}, and {limit}; give photos of the "
            "same person."
        )
    return (
        f"No reference can be used ({nearest.file.name}: {nearest.left_out}{more}); give larger, sharper photos of the "
        "face from the front."
    )


def _list_photos(path: Path) -> list[Path]:
    if not path.is_dir():
        load_image(path)
        return [path]
    files = list_images(path)
    if not files:
        raise ImageError(f"The folder '{path}' holds no pictures; they end in {' '.join(SUFFIXES)}.")
    return files


def _read_photo(
    file: Path, load: Callable[[], Image], finder: FaceFinder, age_estimator: AgeEstimator, recognizer: DlibRecognizer
) -> ReferencePhoto:
    try:
        faces = finder.find(load().pixels)
    except ReageError as error:
        return ReferencePhoto(file=file, error=str(error))
    found = [
        FoundFace(
            reference=ReferenceFace(face=face, reading=age_estimator.measure(face)),
            identity=recognizer.embed(face.crop, face.to_crop(face.landmarks)),
            flaws=measure_quality(face).flags,
        )
        for face in faces
    ]
    return ReferencePhoto(file=file, faces=tuple(found))


def _choose(photo: ReferencePhoto, identities: Sequence[Plane], index: int) -> ChosenReference:
    """What becomes of a photo for one of the people with these identities."""
    if not photo.faces:
        return ChosenReference(file=photo.file, left_out=photo.error.rstrip(".") or "no face was found in it")
    distances = identity_distance(np.stack(identities)[:, None], np.stack([one.identity for one in photo.faces]))
    nearest = int(distances[index].argmin())
    found, distance = photo.faces[nearest], float(distances[index, nearest])
    left_out = ""
    if distance >= SAME_PERSON_DISTANCE or int(distances[:, nearest].argmin()) != index:
        left_out = "it shows another person" if len(photo.faces) == 1 else "it shows other people"
    elif found.flaws:
        left_out = f"the face is {' and '.join(found.flaws)}"
    return ChosenReference(
        file=photo.file,
        reference=None if left_out else found.reference,
        left_out=left_out,
        identity_distance=distance,
        age_years=found.reference.reading.age_years,
    )
