"""Runs an evaluation over all subjects, on several cores, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

import reage
from reage.data.shards import has_shards, read_shards
from reage.engines import load_engine
from reage.errors import ReageError
from reage.evaluation.calibration import measure_identity
from reage.evaluation.generators import EngineGenerator, PairGenerator, PictureGenerator
from reage.evaluation.judges import Judges
from reage.evaluation.reference import IdentityLines
from reage.evaluation.rows import SCHEMA, Rows, read_rows, to_table, write_rows
from reage.evaluation.subjects import PhotoSubjects, PortraitSubjects, Subjects, pair_photos
from reage.faces.finder import FaceFinder
from reage.faces.segmentation import FaceParser
from reage.images import list_images

if TYPE_CHECKING:
    from reage.measure.recognizers import OnnxRecognizer

TARGETS = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0)
ZONE_SCORES = (0.0, 0.5, 1.0)
ROWS_FILE = "rows.parquet"


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is to be judged.

    Args:
        engine: name of an engine, or of the program whose pictures are judged.
        faces: folder of shards, of which only held-out people count, or of photos; with `after`, of photos before.
        after: folder of pictures another program made of those photos.
        weights: file for the engine; None for the shipped ones.
        targets: ages asked for, years; of pairs the one age.
        zone_scores: scores each zone is asked for.
        num_subjects: so many of the subjects, spread over all; 0 for all.
        zone_subjects: at least so many subjects get zone orders, spread over all; 0 for none.
        matcher: ONNX file of a second net for identity.
        matcher_kind: how that net wants its faces.
        inception: TorchScript file of an Inception net.
    """

    engine: str
    faces: Path
    after: Path | None = None
    weights: Path | None = None
    targets: tuple[float, ...] = TARGETS
    zone_scores: tuple[float, ...] = ZONE_SCORES
    num_subjects: int = 0
    zone_subjects: int = 24
    matcher: Path | None = None
    matcher_kind: Literal["arcface", "adaface"] = "arcface"
    inception: Path | None = None


class Bench:
    """Everything loaded that it takes to judge one subject after the other."""

    def __init__(self, order: EvaluationConfig) -> None:
        self.judges = Judges.load(_load_matcher(order), order.inception)
        self.subjects, self.maker = _load_pairs(order) if order.after else _load_engine(order, self.judges)

    def judge(self, place: int) -> list[dict[str, Any]]:
        """The rows of one subject; none if no face was found in its photo."""
        subject = self.subjects[place]
        return self.judges.judge(subject, self.maker.make(subject, place)) if subject else []

    def key(self, order: EvaluationConfig) -> str:
        """Names the run: the same subjects, pictures and judges."""
        story = {
            "order": asdict(order),
            "weights": self.maker.weights_hash,
            "judges": self.judges.names,
            "num": len(self.subjects),
            "columns": SCHEMA.names,
            "version": reage.__version__,
        }
        return hashlib.sha256(json.dumps(story, default=str, sort_keys=True).encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class Run:
    """A finished run.

    Args:
        rows: all that was measured.
        engine: who made the pictures.
        weights_hash: of its weights.
        judges: who judged what.
        missed: photos in which no face was found.
    """

    rows: Rows
    engine: str
    weights_hash: str
    judges: dict[str, str]
    missed: list[str] = field(default_factory=list)


def _load_matcher(order: EvaluationConfig) -> OnnxRecognizer | None:
    if not order.matcher:
        return None
    from reage.measure.recognizers import OnnxRecognizer

    return OnnxRecognizer.load(order.matcher, order.matcher_kind)


def _load_engine(order: EvaluationConfig, judges: Judges) -> tuple[Subjects, PictureGenerator]:
    engine = load_engine(order.engine, weights=order.weights)
    subjects: Subjects
    if has_shards(order.faces):
        portraits = read_shards(order.faces, split="val")
        subjects = PortraitSubjects(portraits.pick(_spread(len(portraits), order.num_subjects)), FaceParser.load())
    else:
        photos = list_images(order.faces)
        if not photos:
            raise ReageError(
                f"There are no photos and no portraits-*.parquet files in {order.faces}; give one of both."
            )
        chosen = [photos[place] for place in _spread(len(photos), order.num_subjects)]
        subjects = PhotoSubjects(chosen, FaceFinder.load(), dense_landmarks=engine.dense_landmarks)
    every = max(1, len(subjects) // order.zone_subjects) if order.zone_subjects else 0
    maker = EngineGenerator(
        engine=engine,
        reader=judges.reader,
        scorer=judges.zone_reader,
        targets=order.targets,
        zone_scores=order.zone_scores,
        zone_every=every,
    )
    return subjects, maker


def _spread(num: int, most: int) -> NDArray[np.int64]:
    """So many places among `num`, evenly chosen; all of them for 0."""
    return np.linspace(0, num - 1, min(num, most or num)).astype(np.int64)


def _load_pairs(order: EvaluationConfig) -> tuple[Subjects, PictureGenerator]:
    assert order.after is not None
    pairs = dict(pair_photos(order.faces, order.after))
    finder = FaceFinder.load()
    (target,) = order.targets
    maker = PairGenerator(name=order.engine, after=pairs, target=target, finder=finder)
    return PhotoSubjects(list(pairs), finder, dense_landmarks=False), maker


def second_matcher_lines(order: EvaluationConfig) -> IdentityLines | None:
    """What the second matcher says of all real people of the shards; None without matcher or shards."""
    matcher = _load_matcher(order)
    if not matcher or order.after or not has_shards(order.faces):
        return None
    portraits = read_shards(order.faces)
    identities = matcher.embed_crops(portraits.crops, portraits.landmarks)
    return measure_identity(portraits, identities, matcher.name, distance=False)


class Progress:
    """Is told how far a run is; this one tells nobody."""

    def begin(self, done: int, total: int) -> None:
        """So many of all subjects were judged by an earlier run."""

    def step(self) -> None:
        """One more was judged."""


def run(order: EvaluationConfig, folder: Path, *, workers: int = 1, progress: Progress | None = None) -> Run:
    """Judges all subjects; every subject's rows are stored at once, so that a stopped run loses one subject at most.

    Args:
        order: what is to be judged.
        folder: for `rows.parquet`, and for the rows of an unfinished run.
        workers: processes, each on one core.
        progress: is told.

    Raises:
        ReageError: when there is nobody to judge, or the order cannot be carried out.
    """
    progress = progress or Progress()
    bench = Bench(order)
    key, total = bench.key(order), len(bench.subjects)
    unfinished = folder / f"unfinished-{key}"
    unfinished.mkdir(parents=True, exist_ok=True)
    files = [unfinished / f"{place:06d}.parquet" for place in range(total)]
    missing = [place for place in range(total) if not files[place].exists()]
    progress.begin(total - len(missing), total)
    with _workers(order, bench, min(workers, len(missing))) as judged:
        for place, rows in judged(missing):
            write_rows(to_table(rows), files[place], key)
            progress.step()
    found = [read_rows(file) for file in files]
    rows = read_rows(*files)
    if not len(rows):
        raise ReageError(f"No face was found in any of the {total} photos of {order.faces}; give photos of faces.")
    write_rows(rows.table, folder / ROWS_FILE, key)
    for file in files:
        file.unlink()
    unfinished.rmdir()
    names = _names(bench.subjects)
    return Run(
        rows=rows,
        engine=bench.maker.name,
        weights_hash=bench.maker.weights_hash,
        judges=bench.judges.names,
        missed=[name for name, one in zip(names, found, strict=True) if not len(one)],
    )


def _names(subjects: Subjects) -> list[str]:
    if isinstance(subjects, PhotoSubjects):
        return [photo.name for photo in subjects.photos]
    return [str(file) for file in subjects.portraits.file]


Judged = Iterator[tuple[int, list[dict[str, Any]]]]


@contextmanager
def _workers(order: EvaluationConfig, bench: Bench, workers: int) -> Iterator[Any]:
    """A function from places to (place, rows), in any order: here, or in other processes."""
    if workers <= 1:
        yield lambda places: ((place, bench.judge(place)) for place in places)
        return
    context = multiprocessing.get_context("spawn")
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))  # read by the workers as they start
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(order,)) as pool:

        def judged(places: Sequence[int]) -> Judged:
            waiting = {pool.submit(_judge, place): place for place in places}
            for one in as_completed(waiting):
                yield waiting[one], one.result()

        try:
            yield judged
        finally:
            pool.shutdown(cancel_futures=True)


_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""Processes that each start a thread for every core are several times slower than those that start one."""

_bench: Bench
"""Of a worker process."""


def _start(order: EvaluationConfig) -> None:
    global _bench
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops the others
    torch.set_num_threads(1)
    _bench = Bench(order)


def _judge(place: int) -> list[dict[str, Any]]:
    return _bench.judge(place)
