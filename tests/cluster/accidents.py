"""An engine to which accidents happen, and photos that tell which."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import skimage.data

from reage.engines.none import NoOpEngine
from reage.images import Image, encode_image
from reage.pipeline import Reager
from reage.types import Aged, CompletePlan, Face, Reading

FINE, UNFORESEEN, CRASH = range(3)


class Accidents(NoOpEngine):
    """Changes nothing; what happens instead is told by the first pixel of the photo."""

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        assert face.photo is not None
        accident = face.photo[0, 0, 0]
        if accident == UNFORESEEN:
            raise RuntimeError("not foreseen,\nat all")
        if accident == CRASH:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().render(face, reading, plan)


def encode_photo(accident: int = FINE, number: int = 0) -> bytes:
    """A PNG of one face, with an accident in its first pixel."""
    photo = skimage.data.astronaut()[:256, 96:352].copy()
    photo[0, 0] = accident, number, 0
    return encode_image(Image(pixels=photo), ".png", altered=False)


def load_accidents(folder: Path, device: str) -> Reager:
    """Loads the engine; notes the device in the folder."""
    (folder / f"device-{device}").touch()
    return Reager(Accidents())
