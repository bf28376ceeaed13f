"""Does a face net miss fewer people across years once it has seen people made younger and older?

The people of the shards are divided in two halves. dlib's net learns from one half who is one person, once from photos
alone and once from photos and what an engine made of them, and is tried on the other half: all pairs of photos of one
person, ten years apart, against all pairs of two people of one sex. Then the other way round, so everybody is tried.
A stopped run goes on where it was.

    python benchmarks/hardening.py shards/ runs/hardening
    python benchmarks/hardening.py shards/ runs/hardening --write benchmarks/hardening.md
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import torch
from common.markdown import show, to_markdown
from numpy.typing import NDArray
from reage.training.stored import load_arrays, save_arrays
from rich.progress import track

from reage.data.augment import AugmentConfig, augment
from reage.data.shards import Portraits, read_shards
from reage.data.split import fold_of
from reage.engines import load_engine
from reage.evaluation.calibration import PairedLatents
from reage.evaluation.metrics.verification import threshold_at
from reage.evaluation.report.measured_faces import figure, median
from reage.images.tensors import from_net, to_net
from reage.measure.recognizers import DlibRecognizer
from reage.training.distillation import Teacher
from reage.training.measures.recognizer import AGES, Chips, RecognizerTrainingConfig, harden, make_chips
from reage.types import Pixels, Plane

PHOTOS = ("as they are", "made poor")
RATES = (0.01, 0.001, 0.0001)
HALVES = (0, 1)
POOR = AugmentConfig(mirror=0.0, compressed=0.0, grey=0.0)
"""As if taken by chance; both photos of a pair."""
BEFORE = "dlib's net"
LESSONS = MappingProxyType({"and photos": False, "and photos, also aged": True})


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="What aged pictures do for a face net.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("folder", type=Path, help="for what was made so far")
    parser.add_argument("--engine", default="amgan")
    parser.add_argument("--steps", type=int, default=RecognizerTrainingConfig().schedule.steps)
    parser.add_argument("--rate", type=float, default=RecognizerTrainingConfig().rate)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards)
    chips = open_chips(portraits, given.engine, given.folder)
    half = np.array([fold_of(person, len(HALVES), "recogniser") for person in portraits.person.tolist()])
    recipe = RecognizerTrainingConfig(rate=given.rate)
    recipe = replace(recipe, schedule=replace(recipe.schedule, steps=given.steps))
    trial, rows = Trial(chips=chips, half=half, recipe=recipe, folder=given.folder), []
    for photos in PHOTOS:
        before: NDArray[np.float64] | None = None
        for name in (BEFORE, *LESSONS):
            halves = [
                PairedLatents.of(portraits.pick(half == one), trial.identify(name, photos, one), distance=True)
                for one in HALVES
            ]
            cells, missed = describe(join(halves), before)
            before = missed if before is None else before
            rows.append([photos, name, *cells])
    note = (
        f"{given.engine} showed each photo at {', '.join(f'{age:g}' for age in AGES)} too. {given.steps} steps of "
        f"{recipe.schedule.batch} people at a rate of {given.rate:g}. FNMR at FMR, with 95 % intervals by person."
    )
    rates = [f"FNMR at {rate:.2%}" for rate in RATES]
    headers = ("photos", "net", "distance, ten years apart", *rates, "less missed at the last")
    show(to_markdown("What aged pictures do for a face net", note, headers, rows), given.write)


@dataclass(frozen=True, kw_only=True)
class Trial:
    """Both halves, and what is made of them.

    Args:
        chips: of everybody.
        half: (N,) which of `HALVES` each photo belongs to.
        recipe: of the lessons.
        folder: for nets and identities.
    """

    chips: Chips
    half: NDArray[np.int64]
    recipe: RecognizerTrainingConfig
    folder: Path

    def identify(self, name: str, photos: str, half: int) -> Plane:
        """Identities of one half of the people by a net that has learned from the other half."""
        stored = self.folder / f"{name}, {photos}, {half}.npy"
        if not stored.exists():
            pixels = self.chips.pixels[self.half == half, 0]
            np.save(stored, self.load(name, half).embed_chips(pixels if photos == PHOTOS[0] else make_poor(pixels)))
        identities: Plane = np.load(stored)
        return identities

    def load(self, name: str, half: int) -> DlibRecognizer:
        """The net that one half of the people have not taught."""
        recognizer, weights = DlibRecognizer.load(), self.folder / f"{name}, {half}.pt"
        if name == BEFORE:
            return recognizer
        if not weights.exists():
            others = self.chips.pick(self.half != half)
            lessons = others if LESSONS[name] else others.photos
            torch.save(harden(self.recipe, lessons, weights.with_suffix(".checkpoint")).state_dict(), weights)
        recognizer.net.load_state_dict(torch.load(weights))
        return recognizer


def open_chips(portraits: Portraits, engine: str, folder: Path) -> Chips:
    """What there is to learn, made once."""
    stored = folder / f"{engine}.npz"
    if not stored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        teacher = Teacher.load(load_engine(engine))
        save_arrays(stored, make_chips(portraits, teacher, lambda rows: track(rows, engine)))
    return load_arrays(stored, Chips)


def make_poor(pixels: Pixels) -> Pixels:
    """Chips (N, 150, 150, 3) as if taken by chance."""
    return from_net(augment(to_net(pixels), POOR, torch.Generator().manual_seed(0)))


def join(parts: list[PairedLatents]) -> PairedLatents:
    """The pairs of all halves."""
    names = ("scores", "cosines", "genuine", "same_sex", "years_apart", "person")
    return PairedLatents(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def describe(pairs: PairedLatents, before: NDArray[np.float64] | None) -> tuple[list[str], NDArray[np.float64]]:
    """Cells of a row, and which genuine pairs are missed at the last border; `before` is that of the untaught net."""
    others, people = pairs.scores[pairs.impostor & pairs.same_sex], pairs.person[pairs.genuine]
    genuine = pairs.scores[pairs.genuine]
    missed = [(genuine < threshold_at(others, rate)).astype(float) for rate in RATES]
    cells = [str(figure(-genuine, people, median)), *(str(figure(one, people, style=".1%")) for one in missed)]
    less = "" if before is None else str(figure(before - missed[-1], people, style="+.1%"))
    return [*cells, less], missed[-1]


if __name__ == "__main__":
    main()
