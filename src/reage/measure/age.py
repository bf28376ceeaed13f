"""The estimator of apparent age and sex.

A reading says what a face looks like to a net, not how old a person is. "age-b" judges evaluations, so no recipe may
learn from it.
"""

from __future__ import annotations

from pathlib import Path

import torch

from reage.images.tensors import to_net
from reage.nets.age import AgeNet, load_age_net
from reage.types import Face, Pixels, Reading
from reage.weights import find_weights, weights_hash

_BATCH = 32


class AgeEstimator:
    """Reads the apparent age and sex of faces.

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
        """An estimator with shipped weights ("age-a" reads, "age-b" judges) or those of a file.

        Raises:
            WeightsError: when there are no such weights.
        """
        return cls(load_age_net(weights, device), weights_hash(find_weights(weights)))

    def measure(self, face: Face) -> Reading:
        """Apparent age and sex of a face, zones left out."""
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
