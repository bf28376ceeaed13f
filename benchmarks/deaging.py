"""What makes a photo young for a forensic sketch: `exemplar`, or a net of the type that swaps faces?

Held-out adults, made young by each engine: how far the person stays the same, how old they look to an estimator that no
engine learned from, and how near their faces come to those of real young people.

    python benchmarks/deaging.py shards/ exemplar deaging published=deaging-published.onnx --write benchmarks/deaging.md
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from common.markdown import show, show_interval, to_markdown
from numpy.typing import NDArray
from rich.progress import track

from reage.composite import composite
from reage.data.ages import QUERY_AGES, with_taught_ages
from reage.data.faces import portrait_to_face
from reage.data.shards import Portraits, read_shards
from reage.engines import load_engine
from reage.engines.base import Engine
from reage.engines.deaging import DeagingEngine
from reage.evaluation.judges import age_features
from reage.evaluation.metrics.distribution import kernel_distance
from reage.images import regions
from reage.measure.age import AgeEstimator
from reage.measure.recognizers import SAME_PERSON_DISTANCE, AifdRecognizer, DlibRecognizer, identity_distance
from reage.nets.age import load_age_net
from reage.nets.deaging_config import YOUNG_YEARS
from reage.plan import complete
from reage.training.distillation import Teacher
from reage.types import Face, Pixels, Plan, Reading

HEADERS = (
    *("identity distance, dlib", "one person (below {:g})", "similarity, aifd", "reads, years", "younger by, years"),
    *("KID to young faces x 1000", "s a face"),
)


@dataclass(frozen=True, kw_only=True)
class Judged:
    """Held-out people, real young faces, and what compares them.

    Args:
        faces: of N people.
        readings: of the faces, of their true ages.
        people: (N,) their ids.
        young: (M, F) features of young people's faces.
    """

    faces: list[Face]
    readings: list[Reading]
    people: list[str]
    young: NDArray[np.float32]

    @classmethod
    def open(cls, portraits: Portraits, teacher: Teacher, count: int, min_age: float) -> Judged:
        """The oldest photos of at most so many people of that age or older, evenly spaced."""
        known = with_taught_ages(portraits, dict(QUERY_AGES))
        is_young = (known.age_years >= YOUNG_YEARS[0]) & (known.age_years <= YOUNG_YEARS[1])
        old = portraits.with_known_age()
        first = np.sort(np.unique(old.person, return_index=True)[1])
        rows = [row for row in first.tolist() if old.age_years[row] >= min_age]
        rows = [rows[place] for place in np.linspace(0, len(rows) - 1, min(count, len(rows))).astype(int)]
        faces = [portrait_to_face(old, row, teacher.parser) for row in rows]
        readings = [
            replace(teacher.read(face), age_years=float(old.age_years[row]))
            for face, row in zip(faces, rows, strict=True)
        ]
        return cls(
            faces=faces,
            readings=readings,
            people=[str(old.person[row]) for row in rows],
            young=find_features(list(known.crops[is_young])),
        )


def main() -> None:
    """Reads the command line."""
    parser = argparse.ArgumentParser(description="Engines that make old faces young.")
    parser.add_argument("shards", type=Path)
    parser.add_argument("engines", nargs="+", help="names, or NAME=FILE of a de-aging net that was exported")
    parser.add_argument("--count", type=int, default=120, help="people")
    parser.add_argument("--age", type=float, default=25.0, help="to make them, years")
    parser.add_argument("--min-age", type=float, default=50.0, help="of the people, years")
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    given = parser.parse_args()
    teacher = Teacher.load(load_engine("none"))
    judged = Judged.open(read_shards(given.shards, "val"), teacher, given.count, given.min_age)
    lines = [["photo, unchanged", *judge(judged, [face.crop for face in judged.faces]), ""]]
    for text in given.engines:
        name, _, file = text.partition("=")
        engine = DeagingEngine.load(file) if file else load_engine(name)
        crops, seconds = make_young(judged, engine, given.age, name)
        lines.append([name, *judge(judged, crops), f"{seconds:.2f}"])
    ages = np.array([reading.age_years for reading in judged.readings])
    note = (
        f"{len(ages)} held-out people of {ages.min():.0f} to {ages.max():.0f} years (mean {ages.mean():.0f}), one "
        f"photo each, from their true age to {given.age:g}. Identity is that of photo and result; `exemplar` learned "
        "from no recognizer, the shipped `deaging` from `aifd`. Read by `age-b`, which no engine learned from. KID of "
        f"features of `age-b`, all in grey, to {len(judged.young)} faces of held-out people of {YOUNG_YEARS[0]:g} to "
        f"{YOUNG_YEARS[1]:g}, mostly synthetic. Brackets: 95 % over people."
    )
    headers = ["engine", *(head.format(SAME_PERSON_DISTANCE) for head in HEADERS)]
    show(to_markdown(f"Made {given.age:g} years old", note, headers, lines), given.write)


def make_young(judged: Judged, engine: Engine, age: float, name: str) -> tuple[list[Pixels], float]:
    """The crop of each face at an age, and seconds for one."""
    crops, started = [], time.perf_counter()
    for face, reading in track(list(zip(judged.faces, judged.readings, strict=True)), name):
        aged = engine.render(face, reading, complete(Plan(age=age), reading))
        crops.append(composite(face.crop, face, aged))
    return crops, (time.perf_counter() - started) / len(crops)


def judge(judged: Judged, crops: list[Pixels]) -> list[str]:
    """The numbers of a row but the last."""
    dlib, aifd, estimator = DlibRecognizer.load(), AifdRecognizer.load(), AgeEstimator.load("age-b")
    distances, similarities = [], []
    for face, crop in zip(judged.faces, crops, strict=True):
        points = face.landmarks
        distances.append(float(identity_distance(dlib.embed(face.crop, points), dlib.embed(crop, points))))
        similarities.append(float(aifd.similarity(aifd.embed(face.crop, points), aifd.embed(crop, points))))
    before, after = (
        np.array([reading.age_years for reading in estimator.measure_crops(np.stack(some))])
        for some in ([face.crop for face in judged.faces], crops)
    )
    same = np.array(distances) < SAME_PERSON_DISTANCE
    kid = 1000 * kernel_distance(judged.young, find_features(crops)).mean
    rows = ((distances, ".3f"), (same, ".1%"), (similarities, ".3f"), (after, ".1f"), (before - after, ".1f"))
    return [*(show_interval(values, judged.people, style) for values, style in rows), f"{kid:.0f}"]


def find_features(crops: list[Pixels]) -> NDArray[np.float32]:
    """(N, F) of crops in grey."""
    grey = [np.repeat(regions.to_pixels(regions.to_light(crop))[..., None], 3, -1) for crop in crops]
    return age_features(load_age_net("age-b"), np.stack(grey))


if __name__ == "__main__":
    main()
