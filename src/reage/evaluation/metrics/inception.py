"""Inception features for the KID and FID of papers, from weights that the user brings."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from reage.errors import WeightsError
from reage.images.geometry import resize
from reage.types import Pixels

INPUT_PX = 299
_BATCH = 16


class Inception:
    """A TorchScript file, such as `inception-2015-12-05.pt`: uint8 (N, 3, 299, 299) RGB -> features (N, D).

    Args:
        net: the script.
        name: to print beside its numbers.
    """

    def __init__(self, net: torch.jit.ScriptModule, name: str) -> None:
        self.name = name
        self._net = net
        arguments = [argument.name for argument in net.forward.schema.arguments]  # type: ignore[attr-defined]
        self._options = {"return_features": True} if "return_features" in arguments else {}

    @classmethod
    def load(cls, path: Path) -> Inception:
        """Reads the file.

        Raises:
            WeightsError: when it is missing or no TorchScript file.
        """
        if not path.is_file():
            raise WeightsError(f"There is no file {path}; give a TorchScript file of Inception-v3.")
        try:
            return cls(torch.jit.load(str(path)).eval(), path.stem)
        except (RuntimeError, ValueError) as error:
            raise WeightsError(
                f"{path} is no TorchScript file; give inception-2015-12-05.pt or one like it."
            ) from error

    @torch.inference_mode()
    def features(self, crops: Pixels) -> NDArray[np.float32]:
        """(N, S, S, 3) -> (N, D), the crops resampled without aliasing."""
        small = np.stack([resize(crop, INPUT_PX, INPUT_PX) for crop in crops]).transpose(0, 3, 1, 2)
        parts = [
            self._net(torch.from_numpy(np.ascontiguousarray(small[start : start + _BATCH])), **self._options)
            for start in range(0, len(small), _BATCH)
        ]
        found: NDArray[np.float32] = torch.cat(parts).flatten(1).float().numpy()
        return found
