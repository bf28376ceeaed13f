"""A place with photos, workers that work in this process, and an engine to which accidents happen."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest
import skimage.data

from reage.cluster import ClusterRun, Manifest, Place, WorkerConfig
from reage.cluster.attempts import Attempts
from reage.cluster.pictures import list_pictures
from reage.cluster.run import name_run
from reage.cluster.worker import BlockWorker
from reage.engines.none import NoOpEngine
from reage.images import Image, encode_image
from reage.pipeline import Reager
from reage.types import Aged, CompletePlan, Face, Plan, Reading

FINE, UNFORESEEN, CRASH, CRASH_ONCE = range(4)


class Accidents(NoOpEngine):
    """Changes nothing; what happens instead is told by the first pixel of the photo."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        assert face.photo is not None
        accident = face.photo[0, 0, 0]
        if accident == UNFORESEEN:
            raise RuntimeError("not foreseen,\nat all")
        mark = self._folder / f"crashed-{face.photo[0, 0, 1]}"
        if accident == CRASH or (accident == CRASH_ONCE and not mark.exists()):
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return super().render(face, reading, plan)


def encode_photo(accident: int = FINE, number: int = 0) -> bytes:
    """A PNG of one face, with an accident in its first pixel."""
    photo = skimage.data.astronaut()[:256, 96:352].copy()
    photo[0, 0] = accident, number, 0
    return encode_image(Image(pixels=photo), ".png", altered=False)


class PoolHere:
    """One worker in this process; counts the photos that it is given."""

    num_workers = 1

    def __init__(self) -> None:
        self.given: list[str] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def age(self, config: WorkerConfig, blocks: Sequence[pa.Table]) -> Generator[pa.Table]:
        worker = BlockWorker(config, Attempts())
        for block in blocks:
            self.given += block["name"].to_pylist()
            yield worker(block)


@pytest.fixture(scope="session")
def accidents(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Reager]:
    """Loads the engine with accidents, once for all tests of a process."""
    folder, loaded = tmp_path_factory.mktemp("crashes"), list[Reager]()

    def load(device: str) -> Reager:
        loaded.extend([] if loaded else [Reager(Accidents(folder))])
        return loaded[0]

    return load


@pytest.fixture(params=["file", "memory"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Place, Place]:
    """Empty places for photos and results, in the file system and in memory."""
    root = str(tmp_path) if request.param == "file" else f"memory://{tmp_path}"
    return Place(f"{root}/photos"), Place(f"{root}/aged")


@pytest.fixture
def make_run(accidents: Callable[[str], Reager]) -> Callable[..., ClusterRun]:
    """Makes a run from one place to another."""

    def make(places: tuple[Place, Place], **changes: Any) -> ClusterRun:
        source, output = places
        config = WorkerConfig(
            load=changes.pop("load", accidents),
            plan=Plan(age=70),
            source=source,
            output=output,
            manifest=Manifest(output, changes.pop("settings", "at 70"), {"engine": "accidents"}),
            run=name_run(),
        )
        return ClusterRun(**{"listing": list_pictures(source, output), "config": config, "pool": PoolHere(), **changes})

    return make
