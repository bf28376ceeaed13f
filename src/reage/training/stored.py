"""Keeps a dataclass of arrays in one file, so that what took long to make is made once."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from reage.files import replace_file

Arrays = TypeVar("Arrays")


def save_arrays(path: Path, arrays: Any) -> None:
    """Writes all fields of a dataclass of numpy arrays, whole or not at all."""
    with replace_file(path) as unfinished, unfinished.open("wb") as file:
        np.savez(file, **{field.name: getattr(arrays, field.name) for field in fields(arrays)})


def load_arrays(path: Path, kind: type[Arrays]) -> Arrays:
    """What `save_arrays` wrote of a dataclass of this kind."""
    with np.load(path) as stored:
        return kind(**{name: stored[name] for name in stored.files})
