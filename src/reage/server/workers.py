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
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reage.processes import describe_end, limit_threads

if TYPE_CHECKING:
    from reage.server.config import Limits, ServerConfig
    from reage.server.tasks import Answer, Refusal, Task, VideoTask

MAX_GROWTH = 4
"""Largest result of a job, in sizes of the largest file that one may be given."""

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


@dataclass(frozen=True)
class Progress:
    """How far a task has come.

    Args:
        step: what is done at the moment, a word.
        done: how much of it is.
        total: of how much; 0 where it is not known.
    """

    step: str
    done: int
    total: int


class Worker:
    """One process and the pipe to it.

    Args:
        config: of the server.
    """

    def __init__(self, config: ServerConfig) -> None:
        context = multiprocessing.get_context("spawn")
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(theirs, config), daemon=True)
        with limit_threads(config.num_threads):
            self.process.start()
        theirs.close()

    def work(
        self, task: Task | VideoTask, until: float, report: Callable[[Progress], None] | None = None
    ) -> Answer | Refusal:
        """What the process answers to a task.

        Args:
            task: to do.
            until: time of `time.monotonic` at which it must be done.
            report: is told how far it has come.

        Raises:
            TimeoutError: when it is not.
            WorkRefused: when the process crashes on it: with 422, because the file is the likely reason, or 503 when
                the system ended the process.
        """
        try:
            self.connection.send(task)
            while self.connection.poll(max(0.0, until - time.monotonic())):
                answer: Any = self.connection.recv()
                if not isinstance(answer, Progress):
                    return answer
                if report is not None:
                    report(answer)
        except (EOFError, OSError):
            self.process.join(_STOP_SECONDS)
            how = describe_end(self.process)
            by_system = self.process.exitcode in (-signal.SIGKILL, -signal.SIGTERM)
            raise WorkRefused(
                503 if by_system else 422,
                "crash",
                f"The process that worked on the file ended {how}; try again, or give it in another format.",
            ) from None
        raise TimeoutError

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
        self._idle: list[Worker] = []
        self._waiters: deque[Future[Worker]] = deque()  # the first that came is the first that is served
        self._workers: set[Worker] = set()
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
            WorkRefused: when too many tasks wait (503), it takes too long (504), or the worker crashes on it, see
                `Worker.work`.
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

    def _take(self, until: float) -> Worker:
        waiter: Future[Worker] = Future()
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

    def _give(self, worker: Worker) -> None:
        """Hands a worker that is free to the task that has waited longest."""
        with self._lock:
            if self._waiters:
                self._waiters.popleft().set_result(worker)
            else:
                self._idle.append(worker)

    def _exchange(self, worker: Worker, task: Task, until: float) -> Answer | Refusal:
        try:
            answer = worker.work(task, until)
        except TimeoutError:
            self._replace(worker)
            raise self._too_slow() from None
        except WorkRefused:
            self._replace(worker)
            raise
        self._give(worker)
        return answer

    def _too_slow(self) -> WorkRefused:
        seconds = self._limits.seconds
        return WorkRefused(
            504, "time", f"It took longer than the {seconds:g} s that are allowed; give a smaller photo."
        )

    def _replace(self, worker: Worker) -> None:
        worker.end()
        with self._lock:
            self._workers.discard(worker)
            self.restarts += 1
        self._add()

    def _add(self) -> None:
        with self._lock:
            if self._stopped:
                return
            worker = Worker(self._config)
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
    runner = TaskRunner(config, after_load=lambda: _limit_process(config.limits), report=connection.send)
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


def _limit_process(limits: Limits) -> None:
    """Refuses this process more addresses than it has now and those of the limits, and huge files; where it can."""
    with suppress(ImportError, OSError, ValueError):
        import resource

        used = int(Path("/proc/self/statm").read_text().split()[0]) * os.sysconf("SC_PAGE_SIZE")
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (used + int(limits.memory_gb * _GIGABYTE), hard))
        hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(MAX_GROWTH * limits.job_megabytes * 1e6), hard))
