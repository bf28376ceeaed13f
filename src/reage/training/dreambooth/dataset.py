"""The training data of one person: their photos, cut out and checked, and latents with captions.

Convention:
    images RGB uint8 (N, P, P, 3), whole-face patches, see `reage.faces.patches`; latents (N, c, h, w).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Generator, Tensor

from reage.errors import FaceNotFound, ImageError
from reage.faces.finder import FaceFinder
from reage.faces.patches import FACE, cut_patches
from reage.images import load_image
from reage.images.tensors import to_net
from reage.measure import SAME_PERSON_DISTANCE, AgeEstimator, DlibRecognizer, identity_distance, measure_face
from reage.nets.diffusion import DiffusionBase
from reage.types import Pixels, Plane

MIN_PHOTOS, MAX_PHOTOS = 3, 30
"""Photos of one person: fewer show too little of the person, more add nothing."""

_ENCODE_BATCH_SIZE = 8


# Photos


@dataclass(frozen=True)
class SubjectPhotos:
    """The photos of one person.

    Args:
        images: (N, P, P, 3) head and shoulders.
        files: (N,) file of each photo.
        age_years: (N,) apparent age in each photo.
        identity: (D,) mean over the photos, see `reage.measure.DlibRecognizer`.
        without_face: photos in which no face was found.
    """

    images: Pixels
    files: tuple[Path, ...]
    age_years: tuple[float, ...]
    identity: Plane
    without_face: tuple[Path, ...]

    @property
    def advice(self) -> str:
        """A sentence about the number of photos when it is too small or needlessly large, or else ""."""
        if len(self.files) < MIN_PHOTOS:
            return (
                f"There are only {len(self.files)} photos with a face; with {MIN_PHOTOS} or more the person is kept "
                "better."
            )
        if len(self.files) > MAX_PHOTOS:
            return f"There are {len(self.files)} photos with a face; more than {MAX_PHOTOS} bring nothing new."
        return ""


def gather_photos(
    photos: Sequence[Path],
    face_finder: FaceFinder,
    recognizer: DlibRecognizer,
    age_estimator: AgeEstimator,
    patch_px: int,
    track: Callable[[Sequence[Path]], Iterable[Path]] = iter,
) -> SubjectPhotos:
    """The largest face of each photo, provided that all show one person.

    Args:
        photos: `MIN_PHOTOS` to `MAX_PHOTOS`; other numbers are accepted with an advice.
        face_finder: finds the faces.
        recognizer: gives the identities.
        age_estimator: gives the apparent ages.
        patch_px: side of the patches.
        track: wraps the photos in a progress bar.

    Raises:
        ImageError: when a photo cannot be read, or two of them show different people.
        FaceNotFound: when no photo has a face.
    """
    images, identities, ages, files, without_face = [], [], [], [], []
    for photo in track(photos):
        faces = face_finder.find(load_image(photo).pixels)
        if not faces:
            without_face.append(photo)
            continue
        crop, points = faces[0].crop, faces[0].to_crop(faces[0].landmarks)
        images.append(cut_patches(crop, points, [FACE], patch_px)[0])
        identities.append(recognizer.embed(crop, points))
        ages.append(measure_face(faces[0], age_estimator).age_years)
        files.append(photo)
    if not files:
        raise FaceNotFound(
            f"No face was found in {len(photos)} photos; give {MIN_PHOTOS} to {MAX_PHOTOS} that show one person."
        )
    check_one_person(np.stack(identities), files)
    return SubjectPhotos(np.stack(images), tuple(files), tuple(ages), np.mean(identities, 0), tuple(without_face))


def check_one_person(identities: Plane, files: Sequence[Path]) -> None:
    """Compares all identities (N, D) with the most central one.

    Raises:
        ImageError: when one of them belongs to another person.
    """
    distances = np.array([[identity_distance(one, other) for other in identities] for one in identities])
    centre = int(distances.sum(1).argmin())
    stranger = int(distances[centre].argmax())
    if distances[centre, stranger] > SAME_PERSON_DISTANCE:
        others = [
            f"{files[row].name} {distances[centre, row]:.2f}"
            for row in range(len(files))
            if row not in (centre, stranger)
        ]
        raise ImageError(
            f"{files[centre].name} and {files[stranger].name} show two people: they are "
            f"{distances[centre, stranger]:.2f} apart, where one person is below {SAME_PERSON_DISTANCE:g} (the others: "
            f"{', '.join(others) or 'none'}); leave one of them out."
        )


# Latents


@dataclass(frozen=True)
class CaptionedLatents:
    """Latents with their captions.

    Args:
        values: (N, c, h, w).
        prompts: (N,) captions.
        label_prompts: (N,) captions with the age group, which replace `prompts` in a share of the samples; empty for
            none.
    """

    values: Tensor
    prompts: Sequence[str]
    label_prompts: Sequence[str] = ()

    def sample(self, num: int, generator: Generator, label_share: float = 0.0) -> CaptionedLatents:
        """Random rows, with replacement.

        Args:
            num: number of rows.
            generator: decides on the rows and their captions.
            label_share: probability of the caption with the age group.
        """
        rows = torch.randint(len(self.values), (num,), generator=generator)
        prompt_choices = torch.rand(num, generator=generator) if self.label_prompts else torch.ones(num)
        prompts = [
            (self.label_prompts if choice < label_share else self.prompts)[row]
            for row, choice in zip(rows, prompt_choices, strict=True)
        ]
        return CaptionedLatents(self.values[rows], prompts)


@torch.no_grad()
def encode_images(
    base: DiffusionBase, images: Pixels, captions: Sequence[str], track: Callable[[range], Iterable[int]] = iter
) -> CaptionedLatents:
    """The latents of images (N, P, P, 3) followed by those of their mirror images, 2 N, with the captions of both.

    Args:
        base: encodes.
        images: of `base.picture_px`.
        captions: (N,).
        track: wraps the batches in a progress bar.
    """
    both = np.concatenate([images, images[:, :, ::-1]])
    starts = track(range(0, len(both), _ENCODE_BATCH_SIZE))
    values = [base.encode(to_net(both[start : start + _ENCODE_BATCH_SIZE]).to(base.device)).cpu() for start in starts]
    return CaptionedLatents(torch.cat(values), [*captions, *captions])
