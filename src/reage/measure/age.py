"""The estimator of apparent age and sex.

It estimates how old a face looks, not how old the person is. "age-b" judges evaluations, so no recipe may train on its
estimates.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from reage.images import geometry
from reage.nets.runtime import check_outputs, load_trained
from reage.types import Face, Pixels, Plane, Reading
from reage.weights import made_for, weights_hash

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

ESTIMATES = ("age_years", "age_std_years", "masculinity", "uncalibrated_years")
"""What the net gives for each face: the age and its standard deviation in years, the share of "male", and the age
without its calibration."""

_BATCH_SIZE = 32


class AgeEstimator:
    """Estimates the apparent age and sex of faces.

    Args:
        session: of an exported `reage.nets.age.AgeNet`: an input (B, 3, px, px) in [-1, 1] for each of `shares`, and
            `ESTIMATES` (B,).
        shares: sides of the central squares of a crop that the net sees, as shares of the crop's side.
        weights_hash: 12 hexadecimal digits that name its weights.

    Example:
        >>> AgeEstimator.load().measure(face).age_years  # doctest: +SKIP
        43.1
    """

    def __init__(self, session: InferenceSession, shares: Sequence[float], weights_hash: str = "") -> None:
        self._session = session
        self._shares = dict(zip([value.name for value in session.get_inputs()], shares, strict=True))
        self.weights_hash = weights_hash

    @classmethod
    def load(cls, weights: str | Path = "age-a", device: str = "cpu") -> AgeEstimator:
        """An estimator with shipped weights, "age-a" for use and "age-b" for evaluation, or those of an ONNX file.

        Raises:
            WeightsError: when there are no such weights, or they are not of an age estimator.
            EngineError: when there is no such device.
        """
        path, session, config = load_trained(weights, device)
        with made_for(path, "an age estimator"):
            check_outputs(session, ESTIMATES)
            return cls(session, [share for share, _ in config["net"]["input_crops"]], weights_hash(path))

    def measure(self, face: Face) -> Reading:
        """Apparent age and sex of a face; `Reading.zones` is empty, see `reage.measure.measure_face`."""
        return self.measure_crops(face.crop[None])[0]

    def measure_crops(self, crops: Pixels) -> list[Reading]:
        """Apparent age and sex of N crops (N, S, S, 3) aligned as `Face.crop`; means of a crop and its mirror."""
        estimates = self.estimate(crops)
        columns = (estimates[name].tolist() for name in ESTIMATES[:3])
        return [
            Reading(age_years=age, age_std_years=std, masculinity=share)
            for age, std, share in zip(*columns, strict=True)
        ]

    def estimate(self, crops: Pixels) -> dict[str, NDArray[np.float32]]:
        """The name of each of `ESTIMATES` -> its values (N,) for N crops (N, S, S, 3)."""
        found = [np.zeros((len(ESTIMATES), 0), np.float32), *self._run(crops)]
        return dict(zip(ESTIMATES, np.concatenate(found, 1), strict=True))

    def _run(self, crops: Pixels) -> Iterator[NDArray[np.float32]]:
        """Estimates (4, B) of each batch."""
        for start in range(0, len(crops), _BATCH_SIZE):
            batch = crops[start : start + _BATCH_SIZE]
            plain = {name: self._make_input(name, batch) for name in self._shares}
            mirrored = {name: x[..., ::-1] for name, x in plain.items()}
            yield (self._run_net(plain) + self._run_net(mirrored)) / 2

    def _run_net(self, inputs: Mapping[str, Plane]) -> Any:
        return np.stack(self._session.run(None, {name: np.ascontiguousarray(x) for name, x in inputs.items()}))

    def _make_input(self, name: str, crops: Pixels) -> Plane:
        """(B, S, S, 3) -> (B, 3, px, px) in [-1, 1], what `AgeNet.input_crop` gives."""
        px = next(value.shape[-1] for value in self._session.get_inputs() if value.name == name)
        side = crops.shape[1]
        margin = round(side * (1 - self._shares[name]) / 2)
        centres = crops[:, margin : side - margin, margin : side - margin]
        small = np.stack([geometry.resize_linear(centre, px, px) for centre in centres])
        return small.transpose(0, 3, 1, 2) / np.float32(127.5) - 1
