"""A worker: what it makes of a block, what others have finished, and photos that end workers."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pytest

from reage.cluster import ClusterRun, Place
from reage.cluster.attempts import MAX_ATTEMPTS, Attempts
from reage.cluster.pictures import make_blocks
from reage.cluster.worker import BlockWorker
from reage.errors import ReageError
from tests.cluster.accidents import UNFORESEEN, encode_photo


@pytest.fixture
def run(places: tuple[Place, Place], make_run: Callable[..., ClusterRun]) -> ClusterRun:
    """A run over three photos, one of which is none."""
    places[0].write("a.png", encode_photo())
    places[0].write("b/me.jpg", b"no picture")
    places[0].write("c.png", encode_photo(UNFORESEEN))
    return make_run(places)


def blocks_of(run: ClusterRun) -> list[pa.Table]:
    return list(make_blocks(run.listing.pictures, 10))


def records_of(answer: pa.Table) -> list[dict[str, Any]]:
    return [json.loads(record) for record in answer["record"].to_pylist()]


def test_whatever_happens_to_a_photo_it_has_a_record_and_a_row(run: ClusterRun) -> None:
    source, output, manifest = run.config.source, run.config.output, run.config.manifest
    aged, broken, unforeseen = records_of(BlockWorker(run.config, Attempts())(*blocks_of(run)))
    assert [one["outcome"]["status"] for one in (aged, broken, unforeseen)] == ["aged", "failed", "failed"]
    assert aged["source_hash"] == hashlib.sha256(source.read("a.png")).hexdigest()
    values = aged["outcome"]["values"]
    assert values["faces"][0]["identity_distance"] == pytest.approx(0, abs=0.05)
    assert {"fetch", "store", "identity", "find"} <= set(values["seconds"])
    assert broken["outcome"]["reason"].startswith(f"'{source.address_of('b/me.jpg')}' is not a picture")
    assert broken["source_hash"] == hashlib.sha256(b"no picture").hexdigest()
    assert "RuntimeError (not foreseen, at all)" in unforeseen["outcome"]["reason"]
    assert "in render" in unforeseen["outcome"]["traceback"]
    assert [file.name for file in output.list_files() if file.name.endswith(".png")] == ["a.png"]
    manifest.compact()
    rows = manifest.read().to_pylist()
    assert [(row["source"], row["status"], row["faces"]) for row in rows] == [
        ("a.png", "aged", 1),
        ("b/me.jpg", "failed", 0),
        ("c.png", "failed", 0),
    ]
    assert rows[1]["error"] == broken["outcome"]["reason"]
    assert rows[0]["identity_distance"] is not None


def test_what_another_worker_has_finished_is_not_done_again(run: ClusterRun) -> None:
    attempts, (block,) = Attempts(), blocks_of(run)
    first = BlockWorker(run.config, attempts)(block)
    written = run.config.output.list_files()[0]
    second = BlockWorker(run.config, attempts)(block)
    assert second.equals(first)
    assert written in run.config.output.list_files()


def test_a_photo_that_ends_workers_is_refused_in_the_end(run: ClusterRun) -> None:
    attempts, (block,) = Attempts(), blocks_of(run)
    for _ in range(MAX_ATTEMPTS):
        attempts.start(0, "a.png")
    refused, *others = records_of(BlockWorker(run.config, attempts)(block))
    assert refused["outcome"]["reason"].startswith("3 workers ended while they aged it")
    assert [one["outcome"]["status"] for one in others] == ["failed", "failed"]
    assert run.config.output.list_files()[0].name.startswith("manifest-parts/")


def test_a_worker_of_another_version_is_refused(run: ClusterRun) -> None:
    with pytest.raises(ReageError, match=r"started by 9\.9; install one version everywhere"):
        BlockWorker(replace(run.config, version="9.9"), Attempts())
