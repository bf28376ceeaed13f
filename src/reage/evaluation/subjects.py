"""The subjects of an evaluation: portraits of known age, or photos of a folder."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.faces.finder import FaceFinder
from reage.faces.segmentation import FaceParser
from reage.images import list_images, load_image
from reage.types import Face, Plane


@dataclass(frozen=True, kw_only=True)
class Subject:
    """One photo to start from.

    Args:
        file: its name.
        person: id; all photos of a person share it.
        face: the largest one in it, in the frame of its own crop.
        age_years: true age, NaN if unknown.
        sex: "M", "F" or "" if unknown.
        image_px_per_crop_px: px of the photo that one crop px covers; below 1 the crop is finer than the photo.
        photo: file it was read from; None for a portrait of a shard.
        face_in_photo: the face with its geometry in that photo; None for a portrait of a shard.
    """

    file: str
    person: str
    face: Face
    age_years: float = math.nan
    sex: str = ""
    image_px_per_crop_px: float = 1.0
    photo: Path | None = None
    face_in_photo: Face | None = None

    @property
    def points(self) -> Plane:
        """(5, 2) landmarks in crop px."""
        return self.face.to_crop(self.face.landmarks)

    @property
    def grey(self) -> bool:
        """Whether the photo has no colour."""
        return bool(np.ptp(self.face.crop.astype(int), axis=-1).max() == 0)


class PortraitSubjects:
    """The portraits of shards; give those of the held-out split, from whom no recipe has learned."""

    def __init__(self, portraits: Portraits, parser: FaceParser) -> None:
        self.portraits = portraits
        self._parser = parser

    def __len__(self) -> int:
        return len(self.portraits)

    def __getitem__(self, index: int) -> Subject:
        """The subject at an index."""
        known = self.portraits
        return Subject(
            file=str(known.file[index]),
            person=str(known.person[index]),
            face=portrait_to_face(known, index, self._parser),
            age_years=float(known.age_years[index]),
            sex=str(known.sex[index]),
            image_px_per_crop_px=float(known.image_px_per_crop_px[index]),
        )


class PhotoSubjects:
    """The largest face of each photo of a folder; nothing else is known of the people."""

    def __init__(self, photos: Sequence[Path], finder: FaceFinder) -> None:
        self.photos, self._finder = list(photos), finder

    def __len__(self) -> int:
        return len(self.photos)

    def __getitem__(self, index: int) -> Subject | None:
        """The subject at an index; None when no face was found in its photo."""
        photo = self.photos[index]
        faces = self._finder.find(load_image(photo).pixels)
        if not faces:
            return None
        return Subject(
            file=photo.name,
            person=photo.stem,
            face=faces[0].in_crop_frame(),
            image_px_per_crop_px=faces[0].image_px_per_crop_px,
            photo=photo,
            face_in_photo=faces[0],
        )


Subjects = PortraitSubjects | PhotoSubjects


def pair_photos(before: Path, after: Path) -> list[tuple[Path, Path]]:
    """Photos of two folders that share a name, file endings aside.

    Raises:
        ReageError: when a folder has no photos, names do not match, or both folders hold the same picture.
    """
    first, second = _by_stem(before), _by_stem(after)
    unpaired = [before / stem for stem in first if stem not in second] + [after / s for s in second if s not in first]
    if unpaired:
        raise ReageError(
            f"{unpaired[0]}.* has no partner in the other folder ({len(unpaired)} such in all); both folders must hold "
            "the same names, endings aside."
        )
    if not first:
        raise ReageError(f"There are no pictures in {before}; give a folder of photos.")
    pairs = [(first[stem], second[stem]) for stem in first]
    for source, made in pairs:
        if source.read_bytes() == made.read_bytes():
            raise ReageError(f"{source} and {made} are one picture; the second folder must hold the aged ones.")
    return pairs


def _by_stem(folder: Path) -> Mapping[str, Path]:
    photos = list_images(folder)
    stems = {photo.stem: photo for photo in photos}
    if len(stems) < len(photos):
        double = next(p.stem for p in photos if stems[p.stem] != p)
        raise ReageError(f"{folder} holds several pictures named {double}; the names must differ by more than endings.")
    return stems
