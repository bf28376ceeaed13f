"""Does a face recognizer miss fewer people across years after it was fine-tuned on aged images?

The people of the shards are divided in two halves. dlib's net is fine-tuned on one half, once on photos alone and once
on photos and their aged versions, and evaluated on the other half: all pairs of photos of one person, ten years apart,
against all pairs of two people of one sex. Then the halves are exchanged, so everybody is evaluated. A stopped run is
resumed.

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
from rich.progress import track

from reage.data.augment import AugmentConfig, augment
from reage.data.shards import Portraits, read_shards
from reage.data.split import fold_of
from reage.engines import load_engine
from reage.evaluation.calibration import FacePairs
from reage.evaluation.metrics.verification import threshold_at
from reage.evaluation.report.measured_faces import figure, median
from reage.images.tensors import from_net, to_net
from reage.measure.recognizers import DlibRecognizer
from reage.nets.dlib_resnet import load_dlib_resnet
from reage.training.distillation import Teacher
from reage.training.measures.recognizer import (
    TARGET_AGES,
    RecognizerDataset,
    RecognizerTrainingConfig,
    TorchRecognizer,
    make_recognizer_dataset,
    train_recognizer,
)
from reage.training.runner import load_arrays, save_arrays
from reage.types import Pixels, Plane

PHOTOS = ("original", "degraded")
FALSE_MATCH_RATES = (0.01, 0.001, 0.0001)
HALVES = (0, 1)
DEGRADATION = AugmentConfig(flip_prob=0.0, jpeg_prob=0.0, grey_prob=0.0)
"""Augmentation of both photos of a pair."""
BEFORE = "dlib's net"
FINE_TUNED = MappingProxyType({"on photos": False, "on photos and aged versions": True})
"""Name of a fine-tuned net -> whether it was also fine-tuned on aged versions."""


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Fine-tuning of a face recognizer on aged images.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("folder", type=Path, help="of intermediate results")
    parser.add_argument("--engine", default="amgan")
    parser.add_argument("--steps", type=int, default=RecognizerTrainingConfig().trainer.steps)
    parser.add_argument("--learning-rate", type=float, default=RecognizerTrainingConfig().learning_rate)
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards).with_known_age()
    dataset = open_dataset(portraits, given.engine, given.folder)
    half = np.array([fold_of(person, len(HALVES), "recogniser") for person in portraits.person.tolist()])
    config = RecognizerTrainingConfig(learning_rate=given.learning_rate)
    config = replace(config, trainer=replace(config.trainer, steps=given.steps))
    validation, rows = CrossValidation(dataset=dataset, half=half, config=config, folder=given.folder), []
    for photos in PHOTOS:
        before: NDArray[np.float64] | None = None
        for name in (BEFORE, *FINE_TUNED):
            halves = [
                FacePairs.of(portraits.pick(half == one), validation.embed(name, photos, one), distance=True)
                for one in HALVES
            ]
            cells, missed = describe(join(halves), before)
            before = missed if before is None else before
            rows.append([photos, name, *cells])
    note = (
        f"Aged versions by {given.engine} at {', '.join(f'{age:g}' for age in TARGET_AGES)} years. {given.steps} steps "
        f"of {config.trainer.batch_size} people at a learning rate of {given.learning_rate:g}. FNMR at FMR, with 95 % "
        "intervals by person."
    )
    rates = [f"FNMR at {rate:.2%}" for rate in FALSE_MATCH_RATES]
    headers = ("photos", "net", "distance, ten years apart", *rates, "fewer missed at the last FMR")
    show(to_markdown("Fine-tuning of a face recognizer on aged images", note, headers, rows), given.write)


@dataclass(frozen=True, kw_only=True)
class CrossValidation:
    """Nets fine-tuned on one half of the people, with the embeddings of the other half.

    Args:
        dataset: of everybody.
        half: (N,) which of `HALVES` each photo belongs to.
        config: of the fine-tuning.
        folder: for nets and embeddings.
    """

    dataset: RecognizerDataset
    half: NDArray[np.int64]
    config: RecognizerTrainingConfig
    folder: Path

    def embed(self, name: str, photos: str, half: int) -> Plane:
        """Embeddings of one half of the people by a net fine-tuned on the other half."""
        stored = self.folder / f"{name}, {photos}, {half}.npy"
        if not stored.exists():
            pixels = self.dataset.pixels[self.half == half, 0]
            np.save(stored, self.load(name, half).embed_chips(pixels if photos == PHOTOS[0] else degrade(pixels)))
        identities: Plane = np.load(stored)
        return identities

    def load(self, name: str, half: int) -> DlibRecognizer:
        """The recognizer that was not fine-tuned on one half of the people."""
        if name == BEFORE:
            return DlibRecognizer.load()
        weights = self.folder / f"{name}, {half}.pt"
        if not weights.exists():
            others = self.dataset.pick(self.half != half)
            dataset = others if FINE_TUNED[name] else others.photos
            net = train_recognizer(self.config, dataset, weights.with_suffix(".checkpoint"))
            torch.save(net.state_dict(), weights)
        net = load_dlib_resnet()
        net.load_state_dict(torch.load(weights))
        return TorchRecognizer(net)


def open_dataset(portraits: Portraits, engine: str, folder: Path) -> RecognizerDataset:
    """The dataset, made once and then read from the folder."""
    stored = folder / f"{engine}.npz"
    if not stored.exists():
        folder.mkdir(parents=True, exist_ok=True)
        teacher = Teacher.load(load_engine(engine))
        dataset = make_recognizer_dataset(portraits, teacher, track=lambda rows: track(rows, engine))
        save_arrays(stored, dataset)
    return load_arrays(stored, RecognizerDataset)


def degrade(pixels: Pixels) -> Pixels:
    """Aligned faces (N, 150, 150, 3) after random augmentation."""
    return from_net(augment(to_net(pixels), DEGRADATION, torch.Generator().manual_seed(0)))


def join(parts: list[FacePairs]) -> FacePairs:
    """The pairs of all halves."""
    names = ("scores", "cosines", "genuine", "same_sex", "years_apart", "person")
    return FacePairs(**{name: np.concatenate([getattr(part, name) for part in parts]) for name in names})


def describe(pairs: FacePairs, before: NDArray[np.float64] | None) -> tuple[list[str], NDArray[np.float64]]:
    """Cells of a row, and which genuine pairs are missed at the last FMR; `before` are those that dlib's net misses."""
    others, people = pairs.scores[pairs.impostor & pairs.same_sex], pairs.person[pairs.genuine]
    genuine = pairs.scores[pairs.genuine]
    missed = [(genuine < threshold_at(others, rate)).astype(float) for rate in FALSE_MATCH_RATES]
    cells = [str(figure(-genuine, people, median)), *(str(figure(one, people, style=".1%")) for one in missed)]
    less = "" if before is None else str(figure(before - missed[-1], people, style="+.1%"))
    return [*cells, less], missed[-1]


if __name__ == "__main__":
    main()
