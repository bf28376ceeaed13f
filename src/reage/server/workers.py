"""Worker processes that decode and age: what they decode may crash them, which takes one task and nothing else.

A worker is given one task at a time through a pipe of its own, and ends when the pipe does, so that none outlives the
server. One that ends by itself, or works for too long and is ended, is replaced.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading
import time
from collections import deque
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reage.processes import describe_end, limit_threads

if TYPE_CHECKING:
    from reage.server.config import ServerConfig
    from reage.server.tasks import Answer, Refusal, Task

_STOP_SECONDS = 5.0
_GIGABYTE = 1_000_000_000


class WorkRefused(Exception):
    """A task that no worker has finished.

    Args:
        status: of HTTP.
        kind: a word for programs.
        message: a sentence for people.
    """

    def __init__(self, status: int, kind: str, message: str) -> None:
        super().__init__(message)
        self.status, self.kind, self.message = status, kind, message


class _Worker:
    """One process and the pipe to it."""

    def __init__(self, config: ServerConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, config), daemon=True)
        with limit_threads(config.num_threads):
            self.process.start()
        theirs.close()

    def end(self) -> None:
        """Ends the process at once."""
        self.process.kill()
        self.process.join(_STOP_SECONDS)
        self.connection.close()


class WorkerPool:
    """A fixed number of workers, and the tasks that wait for them; every method may be called from any thread.

    Args:
        config: of the server.

    Attributes:
        restarts: how many workers were replaced.
        waiting: how many tasks wait or are worked on.
    """

    def __init__(self, config: ServerConfig) -> None:
        self._config, self._limits = config, config.limits
        self._idle: list[_Worker] = []
        self._waiters: deque[Future[_Worker]] = deque()  # the first that came is the first that is served
        self._workers: set[_Worker] = set()
        self._lock = threading.Lock()
        self._threads = ThreadPoolExecutor(config.num_workers + config.limits.queue_length, "reage-worker")
        self._stopped = False
        self.restarts = self.waiting = 0
        for _ in range(config.num_workers):
            self._add()

    @property
    def process_ids(self) -> list[int]:
        """The ids of the processes that run."""
        with self._lock:
            return [worker.process.pid or 0 for worker in self._workers]

    def run(self, task: Task) -> Answer | Refusal:
        """What a worker answers to a task, after waiting for one that is free.

        Raises:
            WorkRefused: when too many tasks wait (503), it takes too long (504), or the worker crashes on it: with 422,
                because the photo is the likely reason, or 503 when the system ended the worker.
        """
        self._admit()
        return self._work(task)

    async def run_soon(self, task: Task) -> Answer | Refusal:
        """As `run`, without holding up the event loop."""
        self._admit()
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._work, task)

    def _admit(self) -> None:
        """Counts a task that waits, or refuses it."""
        with self._lock:
            if self._stopped:
                raise _make_stopping()
            if self.waiting >= self._config.num_workers + self._limits.queue_length:
                raise WorkRefused(503, "busy", f"{self.waiting} requests are waiting already; try again in a moment.")
            self.waiting += 1

    def _work(self, task: Task) -> Answer | Refusal:
        until = time.monotonic() + self._limits.seconds
        try:
            return self._exchange(self._take(until), task, until)
        finally:
            with self._lock:
                self.waiting -= 1

    def stop(self) -> None:
        """Ends all workers; what they work on is lost."""
        with self._lock:
            self._stopped, workers = True, list(self._workers)
            self._workers.clear()
            while self._waiters:
                self._waiters.popleft().set_exception(_make_stopping())
        for worker in workers:
            worker.end()
        self._threads.shutdown(wait=False)

    def _take(self, until: float) -> _Worker:
        waiter: Future[_Worker] = Future()
        with self._lock:
            if self._idle:
                return self._idle.pop()
            self._waiters.append(waiter)
        try:
            return waiter.result(max(0.0, until - time.monotonic()))
        except TimeoutError:
            with self._lock:
                if waiter.cancel():
                    self._waiters.remove(waiter)
                    raise self._too_slow() from None
            return waiter.result()

    def _give(self, worker: _Worker) -> None:
        """Hands a worker that is free to the task that has waited longest."""
        with self._lock:
            if self._waiters:
                self._waiters.popleft().set_result(worker)
            else:
                self._idle.append(worker)

    def _exchange(self, worker: _Worker, task: Task, until: float) -> Answer | Refusal:
        try:
            worker.connection.send(task)
            if not worker.connection.poll(max(0.0, until - time.monotonic())):
                self._replace(worker)
                raise self._too_slow()
            answer: Any = worker.connection.recv()
        except (EOFError, OSError):
            worker.process.join(_STOP_SECONDS)
            how = describe_end(worker.process)
            by_system = worker.process.exitcode in (-signal.SIGKILL, -signal.SIGTERM)
            self._replace(worker)
            raise WorkRefused(
                503 if by_system else 422,
                "crash",
                f"The process that worked on the photo ended {how}; try again, or give the photo in another format.",
            ) from None
        self._give(worker)
        return answer

    def _too_slow(self) -> WorkRefused:
        seconds = self._limits.seconds
        return WorkRefused(
            504, "time", f"It took longer than the {seconds:g} s that are allowed; give a smaller photo."
        )

    def _replace(self, worker: _Worker) -> None:
        worker.end()
        with self._lock:
            self._workers.discard(worker)
            self.restarts += 1
        self._add()

    def _add(self) -> None:
        with self._lock:
            if self._stopped:
                return
            worker = _Worker(self._config)
            self._workers.add(worker)
        self._give(worker)


def _make_stopping() -> WorkRefused:
    return WorkRefused(503, "stopping", "The server is stopping; try again later.")


def _serve(connection: Connection, config: ServerConfig) -> None:
    """A worker process: loads, then does one task after the other until the pipe ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the server decides when to stop
    import warnings

    from reage.server.tasks import TaskRunner

    warnings.filterwarnings("ignore", module="PIL")  # on odd tags; reage has notes of its own
    runner = TaskRunner(config, after_load=lambda: _limit_memory(config.limits.memory_gb))
    refusal = _load(runner, config.engine)
    with suppress(EOFError, OSError):
        while True:
            task = connection.recv()
            connection.send(refusal or runner(task))


def _load(runner: Any, engine: str) -> Refusal | None:
    """Loads the engine of the server, if it is not loaded; what is wrong with it, or None."""
    from reage.errors import ReageError
    from reage.server.tasks import Refusal

    try:
        runner.load(engine)
    except ReageError as error:
        return Refusal(kind=type(error).__name__, message=str(error))
    return None


def _limit_memory(gigabytes: float) -> None:
    """Refuses this process more addresses than it has now and these; where the system can."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + int(gigabytes * _GIGABYTE), hard))
