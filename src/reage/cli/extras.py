"""What only some commands need."""

from __future__ import annotations

from importlib.util import find_spec

from reage.errors import ReageError


def require_pyarrow() -> None:
    """Shards need pyarrow.

    Raises:
        ReageError: when it is not installed.
    """
    if find_spec("pyarrow") is None:
        raise ReageError("Shards of portraits need pyarrow; run `pip install 'reage[train]'`.")


def require_evaluate() -> None:
    """Reports need pyarrow, torchmetrics, Jinja and matplotlib.

    Raises:
        ReageError: when one of them is not installed.
    """
    if any(find_spec(name) is None for name in ("pyarrow", "torchmetrics", "jinja2", "matplotlib")):
        raise ReageError("Evaluations need more packages; run `pip install 'reage[evaluate]'`.")


def require_personal() -> None:
    """Learning a person needs what diffusion and training need.

    Raises:
        ReageError: when one of them is not installed.
    """
    if any(find_spec(name) is None for name in ("accelerate", "diffusers", "peft", "pyarrow", "transformers")):
        raise ReageError("Learning a person needs more packages; run `pip install 'reage[train,diffusion]'`.")
