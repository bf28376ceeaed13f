"""The workers of a run, as actors of Ray Data: on this computer, or on the computers of a Ray cluster.

Ray is started without its dashboard and telemetry, and listens to this computer alone; or one that runs is joined, and
left running. A worker that is lost is replaced, and its block is given to another, which goes on where it ended.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Self

from reage.cluster.attempts import Attempts
from reage.cluster.worker import BlockWorker, WorkerConfig
from reage.errors import EngineError, ReageError
from reage.processes import MB_PER_WORKER, THREAD_VARIABLES, count_cores

if TYPE_CHECKING:
    import pyarrow as pa

_ENVIRONMENT = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",  # what concerns the user is raised, and becomes a sentence
    "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    "RAY_DATA_LOG_LEVEL": "CRITICAL",
    "RAY_DATA_RAISE_ORIGINAL_MAP_EXCEPTION": "1",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # or Ray says at every start that it will
}
_LOOPBACK = {"RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"}
"""By this variable Ray does not look for an address that other computers know, on Linux as well."""

_ANSWER_SECONDS = 5.0

_STORE_BYTES = 200_000_000
"""Of the shared memory of a Ray that is started here: only names and records go through it."""


@dataclass(kw_only=True)
class RayPool:
    """The workers of a run; a context, within which Ray runs.

    Args:
        address: of a Ray cluster to join, HOST:PORT, or "auto" for the one of this computer; None to start Ray here.
        max_workers: at most so many; None for as many as there are cores, or graphics cards.
        device: "cpu"; "auto" for graphics cards where there are some; any other is one of a graphics card.

    Attributes:
        num_workers: how many there is room for now; more are added when computers join.
        uses_cards: whether each worker has a graphics card of its own.

    Raises:
        ReageError: on entering, when Ray cannot be started or joined.
        EngineError: on entering, when no computer has a graphics card and the device is one.
    """

    address: str | None = None
    max_workers: int | None = None
    device: str = "cpu"
    num_workers: int = field(default=1, init=False)
    uses_cards: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        try:
            self._stack.enter_context(_running_ray(self.address, self.max_workers))
            self._size_up()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def age(self, config: WorkerConfig, blocks: Sequence[pa.Table]) -> Generator[pa.Table]:
        """What a `BlockWorker` makes of each block, as soon as it is complete.

        Raises:
            ReageError: when the workers cannot be made, or their computers fail.
        """
        config = replace(config, device=self.device if self.uses_cards else "cpu")
        attempts = _start_attempts()
        with _reporting():
            rows = self._transform(blocks, config, attempts)
            for answer in rows.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0):
                attempts.forget.remote(answer["block"][0].as_py())
                yield answer

    def _transform(self, blocks: Sequence[pa.Table], config: WorkerConfig, attempts: Any) -> Any:
        """The dataset of the records, which are made while it is read."""
        import ray

        first = max(1, min(self.num_workers, len(blocks)))
        most = None if self.max_workers is None else max(first, self.max_workers)
        return ray.data.from_arrow(list(blocks)).map_batches(
            _RayWorker,
            batch_size=len(blocks[0]),  # all but the last have as many, so that each is a batch
            batch_format="pyarrow",
            compute=ray.data.ActorPoolStrategy(
                min_size=1, initial_size=first, max_size=most, max_tasks_in_flight_per_actor=2
            ),
            fn_constructor_args=(config, _RemoteAttempts(attempts)),
            num_cpus=1,
            num_gpus=1 if self.uses_cards else None,
            memory=MB_PER_WORKER * 1_000_000,
        )

    def _size_up(self) -> None:
        import ray

        there = ray.cluster_resources()
        cards, cores = int(there.get("GPU", 0)), int(there.get("CPU", 0))
        if self.device not in ("cpu", "auto") and not cards:
            raise EngineError(
                f"No computer of the cluster has a graphics card for the device '{self.device}'; use cpu."
            )
        self.uses_cards = self.device != "cpu" and cards > 0
        room = min(cores, cards) if self.uses_cards else cores
        room = min(room, int(there.get("memory", 0)) // (MB_PER_WORKER * 1_000_000))
        self.num_workers = max(1, min(room, self.max_workers or room))


class _RayWorker:
    """A `BlockWorker` that refuses work where it could not be loaded: of what is raised earlier Ray keeps a text alone.

    Args:
        config: of the run.
        attempts: what other workers have done.
    """

    def __init__(self, config: WorkerConfig, attempts: _RemoteAttempts) -> None:
        self._refusal: ReageError | None = None
        try:
            self._worker = BlockWorker(config, attempts)
        except ReageError as error:
            self._refusal = error

    def __call__(self, block: pa.Table) -> pa.Table:
        if self._refusal is not None:
            raise self._refusal
        return self._worker(block)


class _RemoteAttempts:
    """`Attempts` for a worker, which are in another process.

    Args:
        actor: that holds them.
    """

    def __init__(self, actor: Any) -> None:
        self._actor = actor

    def begin(self, block: int) -> dict[str, str]:
        import ray

        known: dict[str, str] = ray.get(self._actor.begin.remote(block))
        return known

    def start(self, block: int, name: str) -> int:
        import ray

        number: int = ray.get(self._actor.start.remote(block, name))
        return number

    def finish(self, block: int, name: str, record: str) -> None:
        self._actor.finish.remote(block, name, record)


def _start_attempts() -> Any:
    """The actor that holds the attempts, on the computer that started the run, which ends with it."""
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    return ray.remote(Attempts).options(num_cpus=0, scheduling_strategy=here).remote()


def _check_answers(address: str) -> None:
    """Checks that something listens at HOST:PORT, for which Ray would wait for minutes."""
    host, _, port = address.removeprefix("ray://").rpartition(":")
    if not port.isdecimal():
        return
    try:
        socket.create_connection((host.strip("[]"), int(port)), _ANSWER_SECONDS).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ReageError(
            f"No Ray cluster answers at '{address}' ({reason}); give the address that `ray start --head` prints, or "
            "leave --address out."
        ) from error


@contextmanager
def _running_ray(address: str | None, max_workers: int | None) -> Generator[None]:
    """A context in which this process is joined to Ray."""
    os.environ.update(_ENVIRONMENT)
    if address is None:
        os.environ.update(_LOOPBACK)
    else:
        _check_answers(address)
    import ray
    from ray._private import ray_constants, worker

    worker._worker_logs_enabled = False  # of lost workers, on stdout, beside the JSON
    ray_constants.ENABLE_RAY_CLUSTER = address is not None  # as _LOOPBACK, where Ray was imported before
    with TemporaryDirectory(prefix="reage-ray-", ignore_cleanup_errors=True) as folder:
        own: dict[str, Any] = {
            "num_cpus": max(1, min(count_cores(), max_workers or count_cores())),
            "include_dashboard": False,
            "object_store_memory": _STORE_BYTES,
            "_temp_dir": folder,
        }
        try:
            with _reporting(), _without_stderr():
                ray.init(
                    address or "local",
                    logging_level=logging.CRITICAL,
                    log_to_driver=False,
                    runtime_env={"env_vars": dict.fromkeys(THREAD_VARIABLES, "1")},
                    **({} if address else own),
                )
                import ray.data
            yield
        finally:
            ray.shutdown()


@contextmanager
def _without_stderr() -> Generator[None]:
    """A context in which nothing is printed on stderr, where Ray's own code prints past Python's streams."""
    kept = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


@contextmanager
def _reporting() -> Generator[None]:
    """Makes one sentence of what Ray raises; an error of a worker that is one already is raised as it is."""
    try:
        yield
    except Exception as error:
        cause = getattr(error, "cause", error)
        if isinstance(cause, ReageError):
            raise type(cause)(str(cause).splitlines()[0]) from error  # without the lines that Ray Data adds
        if type(error).__module__.split(".")[0] != "ray" and not isinstance(error, ConnectionError | RuntimeError):
            raise
        reason = (str(error).strip().splitlines() or [type(error).__name__])[-1].rstrip(".")
        raise ReageError(
            f"Ray could not do it ({reason[:200]}); check that all computers of the cluster have this reage[ray]."
        ) from error
