"""Refusals in the words of a form: without options of the command line, and without paths of this computer."""

from __future__ import annotations

import re
from pathlib import PurePath
from typing import Any

from reage.server.guard import Refused
from reage.server.tasks import Answer, Refusal, Task
from reage.server.workers import WorkerPool, WorkRefused

_MAX_CHARACTERS = 500
_PATH = re.compile(r"(?<![\w.])(?:/[^\s'\",;:()]+){2,}|[A-Za-z]:\\[^\s'\",;()]+")


async def run_task(pool: WorkerPool, task: Task) -> Answer:
    """The answer of a worker.

    Raises:
        Refused: when there is none.
    """
    try:
        return check_answer(await pool.run_soon(task))
    except WorkRefused as refusal:
        raise refuse_work(refusal) from None


def check_answer(answer: Answer | Refusal) -> Answer:
    """The answer of a worker, if it is one.

    Raises:
        Refused: when it is a refusal.
    """
    if isinstance(answer, Refusal):
        raise Refused(422 if answer.expected else 500, name_error(answer.kind), describe_for_form(answer.message))
    return answer


def refuse_work(refusal: WorkRefused) -> Refused:
    """What a request is told when no worker has finished its task."""
    after = {"retry-after": "2"} if refusal.status == 503 else None
    return Refused(refusal.status, refusal.kind, refusal.message, after)


def describe_for_form(message: str) -> str:
    """An error of the command line with the names of fields in the place of options, and without paths."""
    text = message.replace(", or a higher --max-megapixels", "").replace("--from", "age_from")
    text = str(hide_paths(re.sub(r"--(?=[a-z])", "", text)))
    return (
        text if len(text) <= _MAX_CHARACTERS else f"{text[: _MAX_CHARACTERS // 2]} ... {text[-_MAX_CHARACTERS // 2 :]}"
    )


def hide_paths(values: Any) -> Any:
    """Plain values in which paths of this computer are only the names of their files."""
    if isinstance(values, str):
        return _PATH.sub(lambda found: PurePath(found[0].replace("\\", "/")).name, values)
    if isinstance(values, dict):
        return {name: hide_paths(value) for name, value in values.items()}
    return [hide_paths(value) for value in values] if isinstance(values, list) else values


def name_error(kind: str) -> str:
    """The word that names a class of errors to programs."""
    words = {
        "ImageError": "image",
        "FaceNotFound": "face",
        "VideoError": "video",
        "PlanError": "plan",
        "EngineError": "engine",
        "WeightsError": "weights",
    }
    return words.get(kind, "fault")
