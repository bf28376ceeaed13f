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
def load_session(name: str | Path) -> InferenceSession:
    """The session of a shipped net by its name, or of a file by its path; all faces and threads share it.

    Raises:
        WeightsError: when there is no such file, or ONNX Runtime cannot read it.
    """
    import onnxruntime

    path = next((path for path in (SHIPPED / f"{name}.onnx", Path(name)) if path.is_file()), None)
    if path is None:
        raise WeightsError(f"There is no net '{name}'; install reage again, or give the path of an .onnx file.")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = int(os.environ.get("OMP_NUM_THREADS", "0"))  # 0: one for each core
    options.inter_op_num_threads = 1
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime's errors have no common base
        raise WeightsError(f"{path} is not an ONNX file that onnxruntime can read; export the net again.") from error
