"""ONNX Runtime sessions of the nets that find and measure faces: opened once, with the same settings everywhere.

Convention: nets take and give float32 arrays; shapes and layouts are documented where a net is used.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from reage.errors import WeightsError
from reage.weights import SHIPPED

if TYPE_CHECKING:
    from onnxruntime import InferenceSession


@cache
def load_session(name: str) -> InferenceSession:
    """The session of a shipped net by its name; all faces and threads share it.

    Raises:
        WeightsError: when there is no such net, or ONNX Runtime cannot read it.
    """
    path = SHIPPED / f"{name}.onnx"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.onnx"))) or "none"
        raise WeightsError(f"There is no net '{name}'; use a shipped one ({names}) or install reage again.")
    return open_session(path)


def open_session(path: str | Path) -> InferenceSession:
    """A new session of the net in an ONNX file, on the CPU.

    Raises:
        WeightsError: when ONNX Runtime cannot read the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _find_num_threads()
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base
        raise WeightsError(f"{path} is not an ONNX file that onnxruntime can read; export the net again.") from error


def _find_num_threads() -> int:
    """The first number in OMP_NUM_THREADS; without one 0, which is a thread for each core."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdigit() else 0
