"""Worker processes for the photos of a folder: each loads the engine once and computes on its share of the cores.

A worker is given one photo at a time through a pipe of its own. It ends when the pipe does, so that none outlives a run
that was killed; and a worker that ends by itself, as a decoder that crashes does, takes one photo with it.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TYPE_CHECKING, TypeAlias

from reage.batch import FileOutcome
from reage.errors import ReageError
from reage.folders.claims import Claims
from reage.folders.listing import FolderPhoto
from reage.folders.worker import PhotoWorker, RunConfig, fail, make_folder
from reage.processes import describe_end, limit_threads

if TYPE_CHECKING:
    from reage.pipeline import Reager

LoadReager: TypeAlias = "Callable[[], Reager]"
"""Loads what a worker ages with; it can be pickled."""

_STOP_SECONDS = 10


class WorkerProcesses:
    """Processes that age photos.

    Args:
        load: loads the `Reager` of each.
        config: of the run.
        num_jobs: how many.
        num_threads: that each computes with.

    Attributes:
        note: a remark on the target age, see `reage.pipeline.describe_clipped_ages`, once an engine is loaded.
    """

    def __init__(self, load: LoadReager, config: RunConfig, num_jobs: int, num_threads: int) -> None:
        self._load, self._config = load, config
        self._num_jobs, self._num_threads = num_jobs, num_threads
        self._workers: dict[Connection, BaseProcess] = {}
        self.note = ""

    def age(self, photos: Sequence[FolderPhoto]) -> Iterator[FileOutcome]:
        """What became of each photo, in the order in which they are finished.

        Raises:
            ReageError: when the engine cannot be loaded.
        """
        left = list(reversed(photos))
        given: dict[Connection, FolderPhoto] = {}
        try:
            for _ in range(min(self._num_jobs, len(photos))):
                self._start()
            while self._workers:
                for connection in wait(list(self._workers)):
                    assert isinstance(connection, Connection)
                    outcome = self._receive(connection, given.pop(connection, None))
                    if connection in self._workers:
                        self._give(connection, left, given)
                    elif left:
                        self._start()
                    if outcome is not None:
                        yield outcome
        finally:
            self._stop()
            with Claims(self._config.output, self._config.settings):
                pass  # takes the lock file away where the last worker was killed and could not

    def _start(self) -> None:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        worker = context.Process(target=_serve, args=(theirs, self._load, self._config), daemon=True)
        with limit_threads(self._num_threads):
            worker.start()
        theirs.close()
        self._workers[ours] = worker

    def _receive(self, connection: Connection, photo: FolderPhoto | None) -> FileOutcome | None:
        """The outcome that a worker has sent; None for the note that it sends when it has loaded the engine."""
        try:
            message = connection.recv()
        except (EOFError, OSError):
            worker = self._workers.pop(connection)
            worker.join()
            connection.close()
            if photo is None:
                raise ReageError(
                    f"A worker process ended {describe_end(worker)} while it loaded; try --jobs 1."
                ) from None
            return fail(photo, f"The process that aged it ended {describe_end(worker)}; try it alone.")
        if isinstance(message, ReageError):
            raise message
        if isinstance(message, FileOutcome):
            return message
        self.note = message
        return None

    def _give(self, connection: Connection, left: list[FolderPhoto], given: dict[Connection, FolderPhoto]) -> None:
        """Gives a worker the next photo, or ends it."""
        if not left:
            worker = self._workers.pop(connection)
            connection.close()
            worker.join(_STOP_SECONDS)
            return
        given[connection] = left.pop()
        with suppress(OSError):  # of a worker that has just ended, which is noticed when it should answer
            connection.send(given[connection])

    def _stop(self) -> None:
        for worker in self._workers.values():
            worker.terminate()
        for connection, worker in self._workers.items():
            worker.join(_STOP_SECONDS)
            if worker.is_alive():
                worker.kill()
            connection.close()
        self._workers.clear()


def _serve(connection: Connection, load: LoadReager, config: RunConfig) -> None:
    """A worker process: loads, then ages one photo after the other until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides when to stop
    signal.signal(signal.SIGTERM, _leave)
    from reage.pipeline import describe_clipped_ages

    try:
        reager = load()
        make_folder(config.output)
        claims = Claims(config.output, config.settings)
        worker = PhotoWorker(reager, config, claims)
    except ReageError as error:
        connection.send(error)
        return
    with suppress(EOFError, OSError), claims:
        connection.send(describe_clipped_ages(reager.engine, [config.plan.age]))
        while True:
            connection.send(worker(connection.recv()))


def _leave(*_: object) -> None:
    """Ends the process through all `finally` clauses, so that no unfinished file stays."""
    raise SystemExit
