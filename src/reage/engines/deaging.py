"""The `deaging` engine: one encoder with a decoder for young and one for old faces, as networks that swap faces have.

After "Precision sketching with de-aging networks in forensics" (Frontiers in Signal Processing 2024), see
`reage.nets.deaging`.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reage.composite import apply_to_crop
from reage.engines.base import Condition
from reage.faces.segmentation import in_colours_of
from reage.faces.window import centre_gain, cut_centre
from reage.nets.deaging_config import OLD_MIDDLE, YOUNG_MIDDLE, DeagingConfig
from reage.nets.runtime import check_outputs, load_trained
from reage.types import GAIN_FLOOR, Aged, CompletePlan, Face, Pixels, Plane, Reading
from reage.weights import made_for, weights_hash

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MOST_CHANGE = 1.2
"""Bound of the change, as the logarithm of a ratio."""
_GAIN = 1.5
"""Factor on the change to a young face by a net that adds to its input: unsure what is under a wrinkle, it gives the
mean of what could be. Of 1, 1.5 and 2, the largest without white patches under the eyes."""
_LEAST_WAY_YEARS = 10.0
"""Shortest way to a decoder's age: nearer to it, the change for a year is not larger."""


class DeagingEngine:
    """Gives a face the picture of the young or of the old decoder, in part if the target is on the way."""

    name = "deaging"
    summary = "a young and an old decoder behind one encoder, for forensics: one pass, no zones"
    accepts: frozenset[Condition] = frozenset({"age"})
    zone_driven = False
    ages = (YOUNG_MIDDLE, OLD_MIDDLE)

    def __init__(self, session: InferenceSession, config: DeagingConfig, digest: str) -> None:
        self.weights_hash = digest
        self._session = session
        self._config = config

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine with the shipped net, or that of an ONNX file that `reage training export` wrote.

        Raises:
            WeightsError: when the weights are missing, damaged or made for something else.
            EngineError: when there is no such device.
        """
        path, session, config = load_trained(weights or cls.name, device)
        with made_for(path, "a de-aging net"):
            check_outputs(session, ["young", "old"])
            return cls(session, DeagingConfig.from_json(config["net"]), weights_hash(path))

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The face with a share of what its decoder changes, times `plan.strength`: the share of the way to its age."""
        share = share_of_way(plan.age_from, float(np.clip(plan.age, *self.ages))) * plan.strength
        if share == 0:
            return Aged(crop=face.crop.copy())
        change = in_colours_of(face, self._predict_change(face.crop, younger=share < 0)) * np.float32(abs(share))
        skin = face.matte * (1 - face.hair)  # of the hair, the net sees no more than its border
        gains = (centre_gain(change, skin, self._config.window),)
        return Aged(crop=apply_to_crop(face.crop, gains), gains=gains)

    def _predict_change(self, crop: Pixels, *, younger: bool) -> Plane:
        """(P, P, 3) logarithm of the ratio of a decoder's picture to the face."""
        picture = cut_centre(crop, self._config.window, self._config.picture_px)
        own = picture.transpose(2, 0, 1)[None] / np.float32(127.5) - 1
        (made,) = self._session.run(["young" if younger else "old"], {"picture": own})
        before, after = (
            np.log(np.clip((one[0].transpose(1, 2, 0) + 1) / 2, 0, 1) + np.float32(GAIN_FLOOR)) for one in (own, made)
        )
        gain = np.float32(_GAIN if younger and self._config.adds_to_input else 1)
        change: Plane = np.clip(gain * (after - before), -_MOST_CHANGE, _MOST_CHANGE)
        return change


def share_of_way(from_years: float, to_years: float) -> float:
    """Share of the way from an age to that of the decoder which lies there; negative to the young one.

    Example:
        >>> share_of_way(65.0, 25.0), share_of_way(65.0, 45.0), share_of_way(28.0, 68.0)
        (-1.0, -0.5, 1.0)
    """
    end = YOUNG_MIDDLE if to_years < from_years else OLD_MIDDLE
    years = max(abs(end - from_years), _LEAST_WAY_YEARS)
    return float(np.clip((to_years - from_years) / years, -1, 1))
