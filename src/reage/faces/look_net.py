"""A net of one hidden layer that tells two things apart by what was measured of a picture, its looks."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Self

import numpy as np

from reage.types import Plane
from reage.weights import Arrays, find_weights, load_weights, made_for


class LookNet:
    """Scores looks; its subclasses say which.

    Args:
        tensors: mean and std (F,) of the looks in training, hidden (H, F), hidden_bias (H,), out (H,), out_bias (1,).
    """

    weights: ClassVar[str]
    """Name of the shipped weights."""
    described_as: ClassVar[str]
    num_looks: ClassVar[int]
    """F."""
    largest: ClassVar[float] = np.inf
    """Of a look, standard deviations from its mean; what is beyond is clipped."""

    def __init__(self, tensors: Arrays) -> None:
        self._tensors = {name: values.astype(np.float32) for name, values in tensors.items()}
        if self._tensors["hidden"].shape[1:] != (self.num_looks,):
            raise ValueError(self._tensors["hidden"].shape)

    @classmethod
    def load(cls, weights: str | Path | None = None) -> Self:
        """The net of the shipped weights or of those of a file.

        Raises:
            WeightsError: when there are no such weights, or they are of something else.
        """
        path = find_weights(weights or cls.weights)
        with made_for(path, cls.described_as):
            return cls(load_weights(path)[0])

    def score(self, looks: Plane) -> Plane:
        """Looks (..., F) -> scores (...)."""
        own = self._tensors
        usual = np.clip((looks - own["mean"]) / own["std"], -self.largest, self.largest)
        scores: Plane = np.tanh(usual @ own["hidden"].T + own["hidden_bias"]) @ own["out"] + own["out_bias"]
        return scores
