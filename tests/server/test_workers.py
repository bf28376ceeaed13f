"""Tasks that wait too long, are too many, or come too late."""

from __future__ import annotations

import asyncio
import threading
import time
from dataclasses import replace

import pytest

from reage.server.config import Limits, ServerConfig
from reage.server.tasks import FindTask, list_names
from reage.server.workers import WorkerPool, WorkRefused


def run(pool, photo, refused) -> None:
    try:
        pool.run(FindTask(photo=photo))
    except WorkRefused as refusal:
        refused.append(refusal)


def test_tasks_that_are_too_slow_too_many_or_too_late_are_refused(me) -> None:
    limits = Limits(seconds=0.2, queue_length=0)
    pool = WorkerPool(ServerConfig(limits=limits))
    first_id, refused = pool.process_ids[0], []
    thread = threading.Thread(target=run, args=(pool, me, refused))  # the worker is not even loaded in that time
    thread.start()
    while not pool.waiting:
        time.sleep(0.001)
    with pytest.raises(WorkRefused) as busy:
        pool.run(FindTask(photo=me))
    assert (busy.value.status, busy.value.kind) == (503, "busy")
    thread.join(30)
    assert (refused[0].status, refused[0].kind) == (504, "time")
    assert (pool.restarts, len(pool.process_ids), pool.waiting) == (1, 1, 0)
    assert pool.process_ids != [first_id]
    with pytest.raises(WorkRefused, match="longer than"):
        asyncio.run(pool.run_soon(FindTask(photo=me)))
    pool.stop()
    with pytest.raises(WorkRefused) as late:
        pool.run(FindTask(photo=me))
    assert (late.value.status, late.value.kind) == (503, "stopping")
    assert pool.process_ids == []


def test_an_engine_that_cannot_be_loaded_is_a_refusal(me) -> None:
    pool = WorkerPool(replace(ServerConfig(), engine="nothing"))
    answer = pool.run(FindTask(photo=me))
    pool.stop()
    assert answer.kind == "EngineError"
    assert answer.expected


def test_names_of_uploads_say_nothing_of_folders() -> None:
    given = ["../../etc/passwd", "C:\\a\\me.jpg", "me.jpg", None, "...", "/"]
    assert list_names(given) == ["passwd", "me.jpg", "3-me.jpg", "photo-4", "photo-5", "photo-6"]
