"""MediaPipe's selfie segmentation net (Apache-2.0): the matte of a person, from which labels of the parser are made.

It has an operation that ONNX Runtime lacks, so its TensorFlow Lite file is run as it is, and it is not shipped.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from reage.errors import WeightsError
from reage.images import geometry
from reage.types import Pixels, Plane

_INPUT_PX = 256


class PersonMatte:
    """Finds the person of a picture.

    Args:
        interpreter: of TensorFlow Lite, with its tensors allocated.
    """

    def __init__(self, interpreter: Any) -> None:
        self._interpreter = interpreter
        self._input = interpreter.get_input_details()[0]["index"]
        self._output = interpreter.get_output_details()[0]["index"]

    @classmethod
    def load(cls, path: str | Path) -> PersonMatte:
        """The net of a file, selfie_segmentation.tflite.

        Raises:
            WeightsError: when the file is missing or of another kind.
        """
        from ai_edge_litert.interpreter import Interpreter

        try:
            interpreter = Interpreter(str(path), num_threads=1)
            interpreter.allocate_tensors()
        except (ValueError, RuntimeError, OSError) as error:
            raise WeightsError(f"'{path}' is not the TensorFlow Lite file selfie_segmentation.tflite.") from error
        return cls(interpreter)

    def measure(self, pixels: Pixels) -> Plane:
        """Share of the person, (256, 256) in [0, 1], of a square picture (S, S, 3) RGB uint8."""
        small = geometry.resize(pixels, _INPUT_PX, _INPUT_PX).astype(np.float32) / 255
        self._interpreter.set_tensor(self._input, small[None])
        self._interpreter.invoke()
        share: Plane = self._interpreter.get_tensor(self._output)[0, ..., -1].astype(np.float32)
        return share
