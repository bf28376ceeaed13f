"""What the change of a face depends on beside age: sex, expression, pose and the tone of the skin."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from reage.mesh_points import measure_mouth_openness, measure_pose
from reage.types import Plane

AGES = np.arange(1.0, 101.0)
"""Ages in years at which curves are tabulated."""
NUM_AGE_TERMS = 4
_MOUTH_CORNERS, _EYE_CORNERS = (61, 291), (33, 263)


@dataclass(frozen=True)
class Traits:
    """Traits of a face in one picture.

    Args:
        masculinity: 0 to 1.
        smile: width of the mouth by the distance of the outer eye corners, less the mean.
        mouth: openness of the mouth, see `reage.types.Face.mouth_openness`.
        yaw: degrees / 30.
        tone: natural logarithm of the luminance of the skin, less the mean.
        redness: red less blue of the skin, less the mean.
        side_light: log luminance of the left cheek less that of the right.
    """

    masculinity: float
    smile: float
    mouth: float
    yaw: float
    tone: float
    redness: float
    side_light: float


def measure_traits(mesh: Plane, masculinity: float, skin_colours: Plane) -> Traits:
    """The traits of a face.

    Args:
        mesh: (478, 3).
        masculinity: 0 to 1.
        skin_colours: (3, 3) mean RGB in [0, 1] of the left cheek, the right cheek and the nose.
    """
    mouth, eyes = (mesh[list(pair), :2] for pair in (_MOUTH_CORNERS, _EYE_CORNERS))
    smile = float(np.linalg.norm(mouth[0] - mouth[1]) / max(float(np.linalg.norm(eyes[0] - eyes[1])), 1e-6))
    light = np.log(skin_colours.mean(1) + 0.05)
    middle = np.median(skin_colours, 0)
    return Traits(
        masculinity=masculinity,
        smile=float(np.clip((smile - 0.56) / 0.08, -3, 3)),
        mouth=float(np.clip(measure_mouth_openness(mesh) / 0.2, 0, 2)),
        yaw=float(np.clip(measure_pose(mesh)[0] / 30, -2, 2)),
        tone=float(np.log(middle.mean() + 0.05) + 0.7),
        redness=float((middle[0] - middle[2] - 0.2) * 5),
        side_light=float(light[0] - light[1]),
    )


def age_terms(age_years: float | NDArray[np.floating]) -> NDArray[np.float64]:
    """(..., 4) age in units of 20 years from 40, and its excess over 60 and below 30 and 14 years."""
    age = np.asarray(age_years, np.float64)
    terms = [(age - 40) / 20, (age - 60).clip(0) / 20, (30 - age).clip(0) / 20, (14 - age).clip(0) / 10]
    return np.stack(terms, -1)


def design_row(age_years: float | NDArray[np.floating], traits: Traits) -> NDArray[np.float64]:
    """(..., P) covariates of the models of energy, low-pass colour and shape; the first is 1."""
    terms = age_terms(age_years)
    sex = traits.masculinity - 0.5
    both = [terms, terms[..., :2] * sex, terms[..., :1] * traits.tone]
    others: list[float] = [1.0, sex, traits.smile, traits.mouth, traits.yaw, traits.yaw**2, traits.tone, traits.redness]
    others.append(traits.side_light)
    rest = np.broadcast_to(np.array(others), (*terms.shape[:-1], len(others)))
    return np.concatenate([rest[..., :1], *both, rest[..., 1:]], -1)


def _odd_terms() -> NDArray[np.bool_]:
    face = Traits(0.7, 0.1, 0.1, 0.3, 0.1, 0.1, 0.2)
    mirrored = replace(face, yaw=-face.yaw, side_light=-face.side_light)
    return design_row(50.0, face) != design_row(50.0, mirrored)


ODD_TERMS = _odd_terms()
"""(P,) whether a covariate changes its sign in a mirrored face."""
