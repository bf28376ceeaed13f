"""Ages the photos of a block one by one; whatever happens to one of them becomes its record."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import reage
from reage.batch import FileAger, FileOutcome, conclude
from reage.cluster.attempts import MAX_ATTEMPTS
from reage.cluster.manifest import Manifest, make_row
from reage.cluster.pictures import Picture, read_block
from reage.cluster.places import Place
from reage.errors import ReageError
from reage.images import MAX_MEGAPIXELS
from reage.measure import DlibRecognizer
from reage.pipeline import timed
from reage.types import Plan

if TYPE_CHECKING:
    import pyarrow as pa

    from reage.pipeline import Reager

FLUSH_SECONDS = 10.0
"""After so many seconds a part of the manifest is written, and not only at the end of its block."""


@dataclass(frozen=True, kw_only=True)
class WorkerConfig:
    """What the workers of a run do with every photo; it can be pickled.

    Args:
        load: loads the `Reager` for a device, once for each worker.
        plan: for every face.
        faces: see `Reager.__call__`.
        max_megapixels: size of the largest picture that is opened.
        source: place of the photos.
        output: place of the results.
        manifest: in the place of the results.
        run: name of the run, which sorts after those of earlier runs.
        device: on which the worker computes; its pool sets it.
        version: of reage, which all workers must have.
    """

    load: Callable[[str], Reager]
    plan: Plan
    faces: str | int | Sequence[int] = "all"
    max_megapixels: float = MAX_MEGAPIXELS
    source: Place
    output: Place
    manifest: Manifest
    run: str
    device: str = "cpu"
    version: str = reage.__version__


class SharedAttempts(Protocol):
    """`reage.cluster.attempts.Attempts`, or what stands for it in another process."""

    def begin(self, block: int) -> dict[str, str]:
        """See `Attempts`."""
        ...

    def start(self, block: int, name: str) -> int:
        """See `Attempts`."""
        ...

    def finish(self, block: int, name: str, record: str) -> None:
        """See `Attempts`."""
        ...


class BlockWorker:
    """Ages blocks of photos: fetches each, ages it from file to file, stores the result, writes the block's part.

    A record is a JSON object: `outcome` (a `FileOutcome` as plain values), `source_hash`, `seconds`, `worker`,
    `finished` (seconds since 1970).

    Args:
        config: of the run.
        attempts: what other workers have done.

    Raises:
        ReageError: when the engine cannot be loaded, or this computer has another version of reage.
    """

    def __init__(self, config: WorkerConfig, attempts: SharedAttempts) -> None:
        if config.version != reage.__version__:
            raise ReageError(
                f"A worker has reage {reage.__version__}, and the run was started by {config.version}; install one "
                "version everywhere."
            )
        self._config, self._attempts = config, attempts
        self._ager = FileAger(
            config.load(config.device),
            config.plan,
            faces=config.faces,
            max_megapixels=config.max_megapixels,
            recognizer=DlibRecognizer.load(),
        )
        self._name = f"{platform.node()}:{os.getpid()}"

    def __call__(self, block: pa.Table) -> pa.Table:
        """The records of a block of `make_blocks`: columns "block" and "record"."""
        import pyarrow as pa

        number, pictures = read_block(block)
        known = self._attempts.begin(number)
        rows: list[dict[str, Any]] = []
        records: list[str] = []
        written = time.monotonic()
        for picture in pictures:
            record = known.get(picture.file.name) or self._age_once(number, picture)
            rows.append(make_row(picture, json.loads(record)))
            records.append(record)
            if time.monotonic() - written > FLUSH_SECONDS or picture is pictures[-1]:
                self._config.manifest.write_part(f"{self._config.run}-{number:08}", rows)
                written = time.monotonic()
        return pa.table({"block": pa.array([number] * len(records), pa.int64()), "record": records})

    def _age_once(self, block: int, picture: Picture) -> str:
        name, started = picture.file.name, time.monotonic()
        hashes: list[str] = []
        is_tried = self._attempts.start(block, name) <= MAX_ATTEMPTS
        outcome = conclude(
            self._config.source.address_of(name),
            self._config.output.address_of(picture.output),
            partial(self._age, picture, hashes) if is_tried else _refuse,
        )
        record = {
            "outcome": asdict(outcome),
            "source_hash": hashes[0] if hashes else None,
            "seconds": round(time.monotonic() - started, 3),
            "worker": self._name,
            "finished": time.time(),
        }
        text = json.dumps(record)
        self._attempts.finish(block, name, text)
        return text

    def _age(self, picture: Picture, hashes: list[str]) -> FileOutcome:
        """The outcome of a photo that could be aged; adds the hash of its file to `hashes`."""
        config, seconds = self._config, dict[str, float]()
        with TemporaryDirectory(prefix="reage-") as folder:
            source = Path(folder, "source", PurePosixPath(picture.file.name).name)
            output = Path(folder, "output", PurePosixPath(picture.output).name)
            for path in (source, output):
                path.parent.mkdir()
            with timed(seconds, "fetch"):
                content = config.source.read(picture.file.name)
                source.write_bytes(content)
            hashes.append(hashlib.sha256(content).hexdigest())
            try:
                done = self._ager.age(source, output)
            except ReageError as error:
                raise ReageError(
                    str(error).replace(str(source), config.source.address_of(picture.file.name))
                ) from error
            with timed(seconds, "store"):
                config.output.write(picture.output, output.read_bytes())
        done.values["seconds"] |= {step: round(took, 4) for step, took in seconds.items()}
        return FileOutcome(
            source=config.source.address_of(picture.file.name),
            output=config.output.address_of(picture.output),
            status="aged",
            values=done.values,
        )


def _refuse() -> FileOutcome:
    raise ReageError(
        f"{MAX_ATTEMPTS} workers ended while they aged it, as they do when a picture crashes its decoder or memory is "
        "used up; try it alone with `reage age`."
    )
