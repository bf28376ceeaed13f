"""Does the loss L_MI of an age-invariant encoder keep more of a person, and what does it cost in age?

The claim of "Simultaneous Facial Age Transformation and Reenactment": fine-tuning AgeTransGAN on faces in many poses
with L_MI raises the face verification rate (FVR) from 96.4 to 97.0 %, while the estimated ages (EAM) stay as far from
those of real faces. Here the shipped generator is fine-tuned for the same steps with and without L_MI, from several
seeds, with a new discriminator each.

    python benchmarks/mutual_identity.py shards/ runs/agetransgan.checkpoint --write benchmarks/mutual_identity.md
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from common.markdown import show, to_markdown
from numpy.typing import NDArray
from rich.progress import track

from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits, read_shards
from reage.engines import load_engine
from reage.engines.base import Engine
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, AifdRecognizer, DlibRecognizer
from reage.nets.agetransgan import load_generator
from reage.nets.agetransgan_config import GROUP_YEARS, NUM_GROUPS, group_of, middle_of
from reage.training.agetransgan.dataset import AgeTransGanDataset
from reage.training.agetransgan.train import (
    AgeTransGanTrainingConfig,
    agetransgan_mi,
    build_agetransgan,
    load_embed,
    make_dataset,
    to_stored_config,
    train_stage,
)
from reage.training.export import export
from reage.training.runner import RunContext
from reage.training.trainer import process_state
from reage.types import CompletePlan, Face, Reading
from reage.weights import save_weights

SOURCE_GROUP = GROUP_YEARS.index((20, 29))
ESTIMATE_PX = 256


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="AgeTransGAN fine-tuned with and without L_MI.")
    parser.add_argument("shards", type=Path, help="shards of portraits, crops of 640 px")
    parser.add_argument("checkpoint", type=Path, help="of a run of `agetransgan`, beside which its cross-age set lies")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=80)
    parser.add_argument("--weight", type=float, default=10.0, help="of L_MI")
    parser.add_argument("--people", type=int, default=30, help="held-out people of 20 to 29, and as many of all ages")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    portraits = read_shards(given.shards)
    faces = Judged.open(portraits, given.people)
    context = RunContext(checkpoint=given.checkpoint, log_dir=None)
    config = agetransgan_mi(given.weight, steps=given.steps)
    dataset = make_dataset(config, portraits, context, config.turned_faces)
    del portraits
    rows: dict[tuple[float, int], Result] = {}
    for seed in range(given.seeds):
        for weight in (0.0, given.weight):
            rows[weight, seed] = judge(fine_tune(agetransgan_mi(weight, seed=seed, steps=given.steps), dataset), faces)
            print(f"weight {weight:g}, seed {seed}: FVR {rows[weight, seed].rate():.2f} %")
    show(write_page(rows, judge(load_engine("agetransgan"), faces), faces, given.steps), given.write)


def fine_tune(config: AgeTransGanTrainingConfig, dataset: AgeTransGanDataset) -> Engine:
    """The engine with the shipped generator after the third stage."""
    net = build_agetransgan(config, load_embed(config.net.generator, process_state().device))
    net.generator.load_state_dict(load_generator("agetransgan").state_dict())
    train_stage(config, "mutual", net, dataset)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "agetransgan.safetensors"
        stored = {**to_stored_config(config, dataset.child), "name": "agetransgan"}
        save_weights(weights, net.generator.state_dict(), stored)
        return load_engine("agetransgan", weights=export(weights, Path(folder) / "agetransgan.onnx"))


# Judging


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Held-out people and what judges them.

    Args:
        faces: of N people, those of 20 to 29 years first.
        readings: of the faces.
        num_young: how many are of 20 to 29.
        real_means: (G,) mean reading of real held-out faces of each group.
        estimator: that no net learned from.
        recognizers: that compare the people.
    """

    faces: list[Face]
    readings: list[Reading]
    num_young: int
    real_means: NDArray[np.floating]
    estimator: AgeEstimator
    recognizers: tuple[DlibRecognizer, ...]

    @classmethod
    def open(cls, portraits: Portraits, people: int) -> Judged:
        """People of the "val" split, evenly spaced over it."""
        held_out = with_taught_ages(portraits.pick(portraits.split == "val"), dict(QUERY_AGES))
        groups = np.array([group_of(age) for age in held_out.age_years.tolist()])
        estimator = AgeEstimator.load("age-b")
        read = np.array([reading.age_years for reading in estimator.measure_crops(held_out.crops)])
        rows = [spread(np.flatnonzero(which), people) for which in (groups == SOURCE_GROUP, groups > SOURCE_GROUP)]
        parser, own = FaceParser.load(), AgeEstimator.load("age-a")
        faces = [portrait_to_face(held_out, row, parser) for row in np.concatenate(rows).tolist()]
        return cls(
            faces=faces,
            readings=[own.measure(face) for face in faces],
            num_young=len(rows[0]),
            real_means=np.array([read[groups == group].mean() for group in range(NUM_GROUPS)]),
            estimator=estimator,
            recognizers=(DlibRecognizer.load(), AifdRecognizer.load()),
        )


def spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Some of the rows, evenly spaced."""
    return rows[np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a generator makes of N people.

    Args:
        years: (N, G) readings of the faces moved to each group.
        same: (R, N, G) whether each recognizer takes them for the same person.
        own: (N, G) the face is of that group.
        num_young: see `Judged`.
    """

    years: NDArray[np.floating]
    same: NDArray[np.bool_]
    own: NDArray[np.bool_]
    num_young: int

    def rate(self, recognizer: int = 0) -> float:
        """FVR in per cent: over all groups but the person's own."""
        return 100 * float(self.same[recognizer][~self.own].mean())


def judge(engine: Engine, judged: Judged) -> Result:
    """Every person in every group."""
    years, same = [], []
    for face, reading in track(list(zip(judged.faces, judged.readings, strict=True)), "judging"):
        own = float(np.clip(reading.age_years, *engine.ages))
        plans = [CompletePlan(age=middle_of(group), age_from=own) for group in range(NUM_GROUPS)]
        crops = [engine.render(face, reading, plan).crop for plan in plans]
        small = np.stack([geometry.resize(crop, ESTIMATE_PX, ESTIMATE_PX) for crop in crops])
        years.append(judged.estimator.estimate(small)["age_years"])
        same.append([matches(recognizer, face, crops) for recognizer in judged.recognizers])
    return Result(
        years=np.stack(years),
        same=np.array(same).transpose(1, 0, 2),
        own=np.array([[group == group_of(one.age_years) for group in range(NUM_GROUPS)] for one in judged.readings]),
        num_young=judged.num_young,
    )


def matches(recognizer: DlibRecognizer, face: Face, crops: list[NDArray[np.uint8]]) -> list[bool]:
    """Whether each crop shows the person of the face."""
    points = face.to_crop(face.landmarks)
    own = recognizer.embed(face.crop, points)
    threshold = recognizer.threshold if isinstance(recognizer, AifdRecognizer) else -SAME_PERSON_DISTANCE
    return [bool(recognizer.similarity(own, recognizer.embed(crop, points)) >= threshold) for crop in crops]


# Page


def write_page(rows: dict[tuple[float, int], Result], start: Result, judged: Judged, steps: int) -> str:
    """FVR and EAM for each group, as they start, and with and without L_MI, as means over seeds."""
    weights = sorted({weight for weight, _ in rows})
    by_weight = {weight: [one for (own, _), one in rows.items() if own == weight] for weight in weights}
    names = {weight: f"L_MI weight {weight:g}" if weight else "without L_MI" for weight in weights}
    columns = ("", "", *(f"{first}-{last}" for first, last in GROUP_YEARS), "mean")
    note = (
        f"{len(judged.faces)} held-out people, {judged.num_young} of them of 20 to 29 years, moved to the middle of "
        f"each group. {steps} steps of fine-tuning on turned faces, {len(by_weight[weights[0]])} seeds, means over "
        "seeds. FVR: share, in per cent, that a recognizer takes for the same person, the person's own group left "
        "out; EAM: mean reading of age-b, with the mean distance to real faces last."
    )
    pages = []
    for title, part in (("from 20-29", np.s_[: judged.num_young]), ("from all adults", np.s_[:])):
        lines = [["real faces", "EAM", *(f"{mean:.1f}" for mean in judged.real_means), ""]]
        for name, results in [("as shipped", [start]), *((names[weight], by_weight[weight]) for weight in weights)]:
            lines += describe(name, results, part, judged)
        pages.append(to_markdown(f"AgeTransGAN with and without L_MI, {title}", note, columns, lines))
    return "\n".join([*pages, claim(by_weight, judged)])


def describe(name: str, results: list[Result], part: slice, judged: Judged) -> list[list[str]]:
    """The lines of one way to train."""
    lines = []
    for place, recognizer in enumerate(judged.recognizers):
        same = np.stack([np.where(one.own, np.nan, one.same[place])[part] for one in results])
        rates = 100 * np.nanmean(same, (0, 1))
        lines.append([name, f"FVR, {recognizer.name}", *(f"{rate:.1f}" for rate in rates), f"{np.nanmean(rates):.2f}"])
    means = np.mean([one.years[part].mean(0) for one in results], 0)
    distance = np.abs(means - judged.real_means).mean()
    return [*lines, [name, "EAM", *(f"{mean:.1f}" for mean in means), f"{distance:.2f}"]]


def claim(by_weight: dict[float, list[Result]], judged: Judged) -> str:
    """What L_MI changes, with 95 % intervals over people."""
    without, with_loss = (by_weight[weight] for weight in sorted(by_weight))
    people = [str(number) for number in range(len(judged.faces))]
    lines = ["# What L_MI changes", ""]
    for place, recognizer in enumerate(judged.recognizers):
        gain = [
            100 * np.nanmean(np.where(b.own, np.nan, b.same[place].astype(float) - a.same[place]), 1)
            for a, b in zip(without, with_loss, strict=True)
        ]
        low, high = bootstrap_interval(np.mean(gain, 0), people)
        seeds = ", ".join(f"{one.mean():+.2f}" for one in gain)
        lines.append(
            f"- FVR by {recognizer.name}: {np.mean(gain):+.2f} points, 95 % {low:+.2f} to {high:+.2f} over people; "
            f"by seed {seeds}."
        )
    far = [
        np.abs(b.years - judged.real_means).mean(1) - np.abs(a.years - judged.real_means).mean(1)
        for a, b in zip(without, with_loss, strict=True)
    ]
    low, high = bootstrap_interval(np.mean(far, 0), people)
    lines.append(f"- Distance of readings to the group's: {np.mean(far):+.2f} years, 95 % {low:+.2f} to {high:+.2f}.")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    torch.manual_seed(0)
    main()
