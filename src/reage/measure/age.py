"""The estimator of apparent age and sex.

It estimates how old a face looks, not how old the person is. "age-b" judges evaluations, so no recipe may train on its
estimates.
"""

from __future__ import annotations

from pathlib import Path

import torch

from reage.images.tensors import to_net
from reage.nets.age import AgeNet, load_age_net
from reage.types import Face, Pixels, Reading
from reage.weights import find_weights, weights_hash

_BATCH_SIZE = 32


class AgeEstimator:
    """Estimates the apparent age and sex of faces.

    Args:
        net: in evaluation mode.
        weights_hash: 12 hexadecimal digits that name its weights.

    Example:
        >>> AgeEstimator.load().measure(face).age_years  # doctest: +SKIP
        43.1
    """

    def __init__(self, net: AgeNet, weights_hash: str = "") -> None:
        self.net = net
        self.weights_hash = weights_hash

    @classmethod
    def load(cls, weights: str | Path = "age-a", device: str = "cpu") -> AgeEstimator:
        """An estimator with shipped weights, "age-a" for use and "age-b" for evaluation, or those of a file.

        Raises:
            WeightsError: when there are no such weights.
        """
        return cls(load_age_net(weights, device), weights_hash(find_weights(weights)))

    def measure(self, face: Face) -> Reading:
        """Apparent age and sex of a face; `Reading.zones` is empty, see `reage.measure.measure_face`."""
        return self.measure_crops(face.crop[None])[0]

    @torch.inference_mode()
    def measure_crops(self, crops: Pixels) -> list[Reading]:
        """Apparent age and sex of N crops (N, S, S, 3) aligned as `Face.crop`; means of a crop and its mirror."""
        readings: list[Reading] = []
        for start in range(0, len(crops), _BATCH_SIZE):
            x = to_net(crops[start : start + _BATCH_SIZE]).to(self.net.ages.device)
            both = zip(self.net.predict(x), self.net.predict(x.flip(3)), strict=True)
            means = torch.stack([(plain + mirrored) / 2 for plain, mirrored in both], 1).tolist()
            readings += [Reading(age_years=age, age_std_years=std, masculinity=share) for age, std, share in means]
        return readings
