"""The `agetransgan` engine: ten age groups by one small style-based net, after AgeTransGAN (ECCV 2022)."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reage.composite import apply_to_crop
from reage.engines.base import Condition
from reage.faces.proportions import proportions_shift
from reage.faces.segmentation import in_colours_of
from reage.faces.window import centre_gain, cut_centre
from reage.images import geometry
from reage.mesh_points import NUM_POINTS
from reage.nets.agetransgan_config import CHILD_SHARES, GeneratorConfig, read_config, soft_label
from reage.nets.runtime import check_outputs, load_trained
from reage.types import GAIN_FLOOR, Aged, CompletePlan, Face, Pixels, Plane, Reading
from reage.weights import made_for, weights_hash

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_MOST_CHANGE = 1.2
"""Bound of the change, as the logarithm of a ratio."""
_EXAGGERATION = 1.6
"""How much further than adults are from children, on average, a face is moved when it becomes a child: the head around
it, body and hair, stays that of an adult."""


class AgeTransGanEngine:
    """Moves a face to an age group, or between two, in one pass; photos keep the detail finer than the net sees."""

    name = "agetransgan"
    summary = "ten age groups from babies to old age, by a style-based GAN: one pass, no zones"
    accepts: frozenset[Condition] = frozenset({"age"})
    zone_driven = False
    ages = (1.0, 90.0)

    def __init__(self, session: InferenceSession, config: GeneratorConfig, child: Plane, digest: str) -> None:
        self.weights_hash = digest
        self._session = session
        self._config = config
        self._child = child

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine with the shipped generator, or that of an ONNX file that `reage training export` wrote.

        Raises:
            WeightsError: when the weights are missing, damaged or made for something else.
            EngineError: when there is no such device.
        """
        path, session, config = load_trained(weights or cls.name, device)
        with made_for(path, "an AgeTransGAN generator"):
            check_outputs(session, ["aged"])
            child = np.array(config["child"], np.float32).reshape(NUM_POINTS, 3)
            return cls(session, read_config(config["net"]), child, weights_hash(path))

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The face with the change from the label of its own age to that of the target, times `plan.strength`.

        To and from a child, the face is first moved to the proportions of the target; the net sees the moved one.
        """
        labels = np.stack([soft_label(float(np.clip(age, *self.ages))) for age in (plan.age_from, plan.age)])
        if plan.strength == 0 or np.array_equal(*labels):
            return Aged(crop=face.crop.copy())
        moves = child_moves(self._child, *labels) * plan.strength
        shift = proportions_shift(face.in_crop_frame().mesh, moves, len(face.crop)) if moves.any() else None
        moved = face if shift is None else _move(face, shift)
        change = in_colours_of(face, self._predict_change(moved.crop, labels)) * np.float32(plan.strength)
        gains = (centre_gain(change, moved.matte, self._config.window),)
        return Aged(crop=apply_to_crop(moved.crop, gains), shift=shift, gains=gains)

    def _predict_change(self, crop: Pixels, labels: Plane) -> Plane:
        """(P, P, 3) logarithm of the ratio of the net's pictures for two labels (2, G).

        What the net changes even at the face's own age is no aging, and cancels out.
        """
        picture = cut_picture(crop, self._config).transpose(2, 0, 1) / np.float32(127.5) - 1
        (pictures,) = self._session.run(["aged"], {"picture": np.stack([picture, picture]), "label": labels})
        own, aged = np.log(np.clip((pictures.transpose(0, 2, 3, 1) + 1) / 2, 0, 1) + np.float32(GAIN_FLOOR))
        change: Plane = np.clip(aged - own, -_MOST_CHANGE, _MOST_CHANGE)
        return change


def cut_picture(crop: Pixels, config: GeneratorConfig) -> Pixels:
    """A crop (S, S, 3) -> the picture (P, P, 3) of its window that the generator sees."""
    return cut_centre(crop, config.window, config.picture_px)


def child_moves(child: Plane, label_from: Plane, label_to: Plane) -> Plane:
    """(478, 3) change of a face's proportions between two labels (G,).

    Args:
        child: (478, 3) proportions of a young child less those of an adult.
        label_from: of the face as it is.
        label_to: of the target.
    """
    change = float((label_to - label_from) @ np.array(CHILD_SHARES, np.float32))
    return child * np.float32(_EXAGGERATION * change if change > 0 else change)


def _move(face: Face, shift: Plane) -> Face:
    """The face with crop and matte moved by a shift (S, S, 2)."""
    return replace(face, crop=geometry.shift_pixels(face.crop, shift), matte=geometry.shift_pixels(face.matte, shift))
