"""Empty places, and runs from one to another by a worker in this process, with an engine to which accidents happen."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Self

import pyarrow as pa
import pytest

from reage.cluster import ClusterRun, Manifest, Place, WorkerConfig
from reage.cluster.attempts import Attempts
from reage.cluster.pictures import list_pictures
from reage.cluster.run import name_run
from reage.cluster.worker import BlockWorker
from reage.pipeline import Reager
from reage.types import Plan
from tests.cluster.accidents import Accidents


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
def accidents() -> Callable[[str], Reager]:
    """Loads the engine with accidents, once for all tests of a process."""
    loaded: list[Reager] = []

    def load(device: str) -> Reager:
        loaded.extend([] if loaded else [Reager(Accidents())])
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
