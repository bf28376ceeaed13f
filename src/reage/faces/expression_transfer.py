"""The mesh of a face with the expression and the pose of another, or with those that numbers name.

The shape, the size and the place of the face stay. The net is that of `reage.nets.landmark_transfer`.

Convention: meshes (478, 3) px of a picture, see `reage.mesh_points`; angles as in `reage.faces.head_pose`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from reage.errors import PlanError
from reage.faces.expression import EXPRESSIONS, measure_expression
from reage.faces.geometry import smoothstep
from reage.faces.head_pose import HeadPose, fit_pose, turn_pose
from reage.mesh_points import EYE_OUTLINES, LIDS, NUM_SURFACE, measure_eye_openness
from reage.nets.runtime import load_trained
from reage.types import Plane

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

Angles = tuple[float, float, float]

NAMED_EXPRESSIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "smile": ("mouthSmileLeft", "mouthSmileRight"),
        "frown": ("mouthFrownLeft", "mouthFrownRight"),
        "blink": ("eyeBlinkLeft", "eyeBlinkRight"),
        "squint": ("eyeSquintLeft", "eyeSquintRight"),
        "brows_up": ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"),
        "brows_down": ("browDownLeft", "browDownRight"),
        "show_teeth": ("mouthUpperUpLeft", "mouthUpperUpRight"),
        "stretch": ("mouthStretchLeft", "mouthStretchRight"),
        "press_lips": ("mouthPressLeft", "mouthPressRight"),
        "pucker": ("mouthPucker",),
    }
)
"""Plain name -> the blend shapes that it sets."""
MAX_TURN_DEGREES = 30.0
"""Most by which yaw, pitch and roll may change."""
_SHUT, _OPEN = 0.14, 0.2
"""Openness of an eye of the driver up to which its lids are copied, and from which the net's are taken."""
_LID_WIDTH = 0.12
"""Face units around a lid that move with it."""
_STEPS = 4
"""Corrections of a change of blend shapes until the mesh has the scores."""
_MAX_CHANGE = 1.5


def snake_case(name: str) -> str:
    """The name of a blend shape as the command line takes it, such as mouth_smile_left."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()


class ExpressionTransfer:
    """Makes target meshes.

    Args:
        session: of the net.
        known: blend shapes that the net learned; those of the gaze, which stays, cannot be set.
    """

    def __init__(self, session: InferenceSession, known: Sequence[str]) -> None:
        self._session = session
        self.known = tuple(name for name in known if not name.startswith("eyeLook"))

    @classmethod
    def load(cls, weights: str | Path = "landmark-transfer") -> Self:
        """With the shipped net, or one of a file.

        Raises:
            WeightsError: when there are no such weights.
        """
        _, session, config = load_trained(weights)
        known = config["blend_shapes"]
        return cls(session, json.loads(known) if isinstance(known, str) else known)

    def move(
        self,
        mesh: Plane,
        *,
        driver: Plane | None = None,
        scores: Mapping[str, float] = MappingProxyType({}),
        angles: Angles | None = None,
    ) -> Plane:
        """The mesh of the face as it is to look.

        Args:
            mesh: of the face.
            driver: mesh of the face whose expression it takes; its own by default.
            scores: blend shape -> score in [0, 1], of those in `known`, in place of what it has then.
            angles: yaw, pitch and roll that it turns to; its own by default.
        """
        pose = fit_pose(mesh)
        units = pose.to_units(mesh)
        moved = units if driver is None else self._transfer(units, fit_pose(driver).to_units(driver))
        if scores:
            moved = self._set_scores(moved, scores)
        if angles is not None:
            pose = turn_pose(pose, pose.angles, angles)
        return pose.to_picture(moved)

    def check_scores(self, scores: Mapping[str, float]) -> dict[str, float]:
        """Blend shape -> score, from names of `NAMED_EXPRESSIONS` and of blend shapes, in snake case or as they are.

        Raises:
            PlanError: when there is no such name, or a score is out of range.
        """
        names = {snake_case(name): (name,) for name in self.known} | dict(NAMED_EXPRESSIONS)
        checked: dict[str, float] = {}
        for given, score in scores.items():
            if snake_case(given) not in names:
                raise PlanError(f"There is no expression '{given}' that can be set; use one of {', '.join(names)}.")
            if not 0 <= score <= 1:
                raise PlanError(f"The expression '{given}' is {score:g}; it must be from 0 to 1.")
            checked |= dict.fromkeys(names[snake_case(given)], float(score))
        return checked

    def _transfer(self, units: Plane, driver: Plane) -> Plane:
        moved = self._run(units, driver[:NUM_SURFACE], np.zeros(len(EXPRESSIONS)))
        return _shut_eyes(moved, driver)

    def _set_scores(self, units: Plane, scores: Mapping[str, float]) -> Plane:
        """The face with the scores, by steps towards them: the net that reads scores is not linear."""
        chosen = [EXPRESSIONS.index(name) for name in scores]
        wanted = np.array(list(scores.values()))
        change = np.zeros(len(EXPRESSIONS))
        moved = units
        for _ in range(_STEPS):
            has = np.array([measure_expression(moved)[name] for name in scores])
            change[chosen] = np.clip(change[chosen] + wanted - has, -_MAX_CHANGE, _MAX_CHANGE)
            moved = self._run(units, units[:NUM_SURFACE], change)
        return moved

    def _run(self, units: Plane, driver: Plane, change: NDArray[np.float64]) -> Plane:
        """(478, 3) face units, the irises with the eyes."""
        given = (units[:NUM_SURFACE], driver, change)
        inputs = {
            put.name: np.asarray(value, np.float32)[None]
            for put, value in zip(self._session.get_inputs(), given, strict=True)
        }
        moved = units.copy()
        moved[:NUM_SURFACE] = self._session.run(None, inputs)[0][0]
        for eye, irises in zip(EYE_OUTLINES, np.split(np.arange(NUM_SURFACE, len(units)), 2), strict=True):
            corners = [eye[0], eye[8]]
            moved[irises] += (moved[corners] - units[corners]).mean(0)
        return moved


def limit_turn(pose: HeadPose, wanted: Angles) -> tuple[Angles, str]:
    """The angles nearest to the wanted ones that a head may turn to, and a sentence where they differ, else ""."""
    limited = tuple(
        float(np.clip(angle, now - MAX_TURN_DEGREES, now + MAX_TURN_DEGREES))
        for angle, now in zip(wanted, pose.angles, strict=True)
    )
    parts = [
        f"{name} {now:.0f} to {asked:.0f}"
        for name, now, asked, got in zip(("yaw", "pitch", "roll"), pose.angles, wanted, limited, strict=True)
        if abs(asked - got) > 0.5
    ]
    note = (
        f"The face was asked to turn from {', '.join(parts)} degrees; it turns by {MAX_TURN_DEGREES:g} degrees at most."
        if parts
        else ""
    )
    yaw, pitch, roll = limited
    return (yaw, pitch, roll), note


def _shut_eyes(units: Plane, driver: Plane) -> Plane:
    """The face with the lids of each eye as near to each other as the driver's where those are nearly shut."""
    moved = units.copy()
    for lids, eye, openness in zip(LIDS, EYE_OUTLINES, measure_eye_openness(driver), strict=True):
        share = float(smoothstep(np.array([openness], np.float32), _OPEN, _SHUT)[0])
        corners = [eye[0], eye[8]]
        scale = np.ptp(moved[corners, 0]) / max(float(np.ptp(driver[corners, 0])), 1e-6)
        upper, lower = map(list, lids)
        gap = moved[lower, 1] - moved[upper, 1]
        wanted = (driver[lower, 1] - driver[upper, 1]) * scale
        moved[upper, 1] += share * (gap - wanted)
    return moved
