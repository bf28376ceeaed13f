"""Runs an evaluation over all subjects, in several processes, and resumes a run that was stopped."""

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
from reage.evaluation.reference import IdentityReference
from reage.evaluation.rows import SCHEMA, Rows, read_rows, to_table, write_rows
from reage.evaluation.subjects import PhotoSubjects, PortraitSubjects, Subjects, pair_photos
from reage.faces.finder import FaceFinder
from reage.faces.segmentation import FaceParser
from reage.images import list_images

if TYPE_CHECKING:
    from reage.measure.recognizers import AifdRecognizer, OnnxRecognizer

TARGETS = (20.0, 30.0, 40.0, 50.0, 60.0, 70.0, 75.0, 80.0)
ZONE_SCORES = (0.0, 0.5, 1.0)
ROWS_FILE = "rows.parquet"


@dataclass(frozen=True, kw_only=True)
class EvaluationConfig:
    """What is evaluated, on which faces, and by which nets.

    Args:
        engine: name of an engine, or of the program whose pictures are evaluated.
        faces: folder of shards, of which only held-out people are used, or of photos; with `after`, of photos before.
        after: folder of pictures that another program made of those photos.
        weights: file for the engine; None for the shipped ones.
        targets: ages asked for, years; with `after` the one age.
        zone_scores: scores that each zone is asked for.
        num_subjects: number of subjects, evenly spaced over all; 0 for all.
        zone_subjects: at least so many subjects get zone requests, evenly spaced over all; 0 for none.
        second_recognizer: ONNX file of a second net for identity, or "aifd".
        second_recognizer_kind: how that net wants its faces.
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
    second_recognizer: Path | None = None
    second_recognizer_kind: Literal["arcface", "adaface"] = "arcface"
    inception: Path | None = None


@dataclass(frozen=True, kw_only=True)
class EvaluationRun:
    """A finished run.

    Args:
        rows: all that was measured.
        engine: name of what made the pictures.
        weights_hash: hash of its weights.
        judges: what is measured -> the net that measured it.
        missed: photos in which no face was found.
    """

    rows: Rows
    engine: str
    weights_hash: str
    judges: dict[str, str]
    missed: list[str] = field(default_factory=list)


class Evaluator:
    """Judges, subjects and generator, loaded: evaluates one subject after the other.

    Args:
        config: what is evaluated.

    Raises:
        ReageError: when there are no subjects, or a net cannot be loaded.
    """

    def __init__(self, config: EvaluationConfig) -> None:
        self.config = config
        self.judges = Judges.load(_load_second_recognizer(config), config.inception)
        self.subjects, self.generator = _load_pairs(config) if config.after else _load_engine(config, self.judges)

    def evaluate(self, index: int) -> list[dict[str, Any]]:
        """The rows of the subject at an index; none if no face was found in its photo."""
        subject = self.subjects[index]
        return self.judges.judge(subject, self.generator.generate(subject, index)) if subject else []

    @property
    def key(self) -> str:
        """12 hexadecimal digits that name the run: equal for the same subjects, pictures and judges."""
        contents = {
            "config": asdict(self.config),
            "weights": self.generator.weights_hash,
            "judges": self.judges.names,
            "num_subjects": len(self.subjects),
            "columns": SCHEMA.names,
            "version": reage.__version__,
        }
        return hashlib.sha256(json.dumps(contents, default=str, sort_keys=True).encode()).hexdigest()[:12]

    @property
    def file_names(self) -> list[str]:
        """File of each subject."""
        if isinstance(self.subjects, PhotoSubjects):
            return [photo.name for photo in self.subjects.photos]
        return [str(file) for file in self.subjects.portraits.file]


def _load_second_recognizer(config: EvaluationConfig) -> AifdRecognizer | OnnxRecognizer | None:
    if not config.second_recognizer:
        return None
    from reage.measure.recognizers import load_recognizer

    return load_recognizer(config.second_recognizer, config.second_recognizer_kind)


def _load_engine(config: EvaluationConfig, judges: Judges) -> tuple[Subjects, PictureGenerator]:
    engine = load_engine(config.engine, weights=config.weights)
    subjects = _load_subjects(config)
    generator = EngineGenerator(
        engine=engine,
        age_estimator=judges.second_age_estimator,
        zone_scorer=judges.second_zone_scorer,
        targets=config.targets,
        zone_scores=config.zone_scores,
        zone_every=max(1, len(subjects) // config.zone_subjects) if config.zone_subjects else 0,
    )
    return subjects, generator


def _load_subjects(config: EvaluationConfig) -> Subjects:
    if has_shards(config.faces):
        portraits = read_shards(config.faces, split="val").with_known_age()
        rows = _evenly_spaced(len(portraits), config.num_subjects)
        return PortraitSubjects(portraits.pick(rows), FaceParser.load())
    photos = list_images(config.faces)
    if not photos:
        raise ReageError(f"There are no photos and no portraits-*.parquet files in {config.faces}; give one of both.")
    chosen = [photos[index] for index in _evenly_spaced(len(photos), config.num_subjects)]
    return PhotoSubjects(chosen, FaceFinder.load())


def _evenly_spaced(num: int, num_wanted: int) -> NDArray[np.int64]:
    """At most so many of `num` indices, evenly spaced; all of them for 0."""
    return np.linspace(0, num - 1, min(num, num_wanted or num)).astype(np.int64)


def _load_pairs(config: EvaluationConfig) -> tuple[Subjects, PictureGenerator]:
    assert config.after is not None
    pairs = dict(pair_photos(config.faces, config.after))
    finder = FaceFinder.load()
    (target,) = config.targets
    generator = PairGenerator(name=config.engine, after=pairs, target=target, finder=finder)
    return PhotoSubjects(list(pairs), finder), generator


def measure_second_recognizer(config: EvaluationConfig) -> IdentityReference | None:
    """The second recognizer's reference on all people of the shards; None without that net or without shards."""
    recognizer = _load_second_recognizer(config)
    if not recognizer or config.after or not has_shards(config.faces):
        return None
    portraits = read_shards(config.faces).with_known_age()
    identities = recognizer.embed_crops(portraits.crops, portraits.landmarks)
    return measure_identity(portraits, identities, recognizer.name, distance=False)


class Progress:
    """Callbacks of a run; these do nothing."""

    def begin(self, done: int, total: int) -> None:
        """Called once: so many of all subjects were evaluated by an earlier run."""

    def step(self) -> None:
        """Called after each further subject."""


def run_evaluation(
    config: EvaluationConfig, folder: Path, *, workers: int = 1, progress: Progress | None = None
) -> EvaluationRun:
    """Evaluates all subjects; every subject's rows are saved at once, so that a stopped run loses one subject at most.

    Args:
        config: what is evaluated.
        folder: for `rows.parquet`, and for the rows of an unfinished run.
        workers: processes, each on one core.
        progress: callbacks.

    Raises:
        ReageError: when there are no subjects, or the config cannot be carried out.
    """
    progress = progress or Progress()
    evaluator = Evaluator(config)
    key, total = evaluator.key, len(evaluator.subjects)
    unfinished = folder / f"unfinished-{key}"
    unfinished.mkdir(parents=True, exist_ok=True)
    files = [unfinished / f"{index:06d}.parquet" for index in range(total)]
    missing = [index for index in range(total) if not files[index].exists()]
    progress.begin(total - len(missing), total)
    with _workers(evaluator, min(workers, len(missing))) as evaluate_all:
        for index, subject_rows in evaluate_all(missing):
            write_rows(to_table(subject_rows), files[index], key)
            progress.step()
    by_subject = [read_rows(file) for file in files]
    rows = read_rows(*files)
    if not len(rows):
        raise ReageError(f"No face was found in any of the {total} photos of {config.faces}; give photos of faces.")
    write_rows(rows.table, folder / ROWS_FILE, key)
    for file in files:
        file.unlink()
    unfinished.rmdir()
    return EvaluationRun(
        rows=rows,
        engine=evaluator.generator.name,
        weights_hash=evaluator.generator.weights_hash,
        judges=evaluator.judges.names,
        missed=[name for name, own in zip(evaluator.file_names, by_subject, strict=True) if not len(own)],
    )


# Processes

SubjectRows = Iterator[tuple[int, list[dict[str, Any]]]]


@contextmanager
def _workers(evaluator: Evaluator, workers: int) -> Iterator[Any]:
    """A function from indices to (index, rows) in any order: in this process, or in others."""
    if workers <= 1:
        yield lambda indices: ((index, evaluator.evaluate(index)) for index in indices)
        return
    context = multiprocessing.get_context("spawn")
    os.environ.update(dict.fromkeys(_THREAD_SETTINGS, "1"))  # read by the workers as they start
    with ProcessPoolExecutor(workers, context, _start_worker, (evaluator.config,)) as pool:

        def evaluate_all(indices: Sequence[int]) -> SubjectRows:
            waiting = {pool.submit(_evaluate_in_worker, index): index for index in indices}
            for done in as_completed(waiting):
                yield waiting[done], done.result()

        try:
            yield evaluate_all
        finally:
            pool.shutdown(cancel_futures=True)


_THREAD_SETTINGS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""Processes that each start a thread for every core are several times slower than those that start one."""

_evaluator: Evaluator
"""Set in a worker process only."""


def _start_worker(config: EvaluationConfig) -> None:
    global _evaluator
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the first process stops the others
    torch.set_num_threads(1)
    _evaluator = Evaluator(config)


def _evaluate_in_worker(index: int) -> list[dict[str, Any]]:
    return _evaluator.evaluate(index)
