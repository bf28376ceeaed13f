"""ONNX Runtime sessions of the nets that find, measure and age faces: opened once, with the same settings everywhere.

Convention: nets take and give float32 arrays; shapes and layouts are documented where a net is used. A device is "cpu",
"cuda", "coreml", "directml", or "auto" for the first of the others that this computer has, else "cpu".
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from reage.errors import EngineError, WeightsError
from reage.weights import SHIPPED, find_weights, made_for, parse_metadata

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

PROVIDERS: Mapping[str, str] = MappingProxyType(
    {
        "cuda": "CUDAExecutionProvider",
        "coreml": "CoreMLExecutionProvider",
        "directml": "DmlExecutionProvider",
        "cpu": "CPUExecutionProvider",
    }
)
"""Device -> its execution provider in ONNX Runtime, in the order in which "auto" looks for them."""


def _import_onnxruntime() -> Any:
    """ONNX Runtime without its telemetry, which from 1.31 on starts at the import and reports to its vendor."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


@cache
def find_devices() -> tuple[str, ...]:
    """The devices on which the installed ONNX Runtime can compute here, in the order of `PROVIDERS`."""
    onnxruntime = _import_onnxruntime()
    built = onnxruntime.get_available_providers()
    return tuple(device for device, provider in PROVIDERS.items() if provider in built and _works(provider))


def _works(provider: str) -> bool:
    """Whether a session really uses a provider; without its driver, it falls back to the CPU."""
    return (
        provider == PROVIDERS["cpu"] or _open(SHIPPED / "face-expression.onnx", provider).get_providers()[0] == provider
    )


def choose_device(device: str) -> str:
    """One of `PROVIDERS`, given a device or "auto".

    Raises:
        EngineError: when there is no such device, or the installed ONNX Runtime cannot use it.
    """
    if device not in (*PROVIDERS, "auto"):
        raise EngineError(f"There is no device '{device}'; use one of {', '.join(PROVIDERS)}, or auto.")
    if device == "cpu":
        return device
    found = find_devices()
    if device != "auto" and device not in found:
        raise EngineError(
            f"The device '{device}' cannot be used on this computer; use {' or '.join(found)}, see `reage devices`."
        )
    return found[0] if device == "auto" else device


def load_session(name: str, device: str = "cpu") -> InferenceSession:
    """The session of a shipped net by its name; all faces and threads share it.

    Raises:
        WeightsError: when there is no such net, or ONNX Runtime cannot read it.
        EngineError: when there is no such device.
    """
    return _load_session(name, device)


@cache
def _load_session(name: str, device: str) -> InferenceSession:
    path = SHIPPED / f"{name}.onnx"
    if not path.is_file():
        names = ", ".join(sorted(file.stem for file in SHIPPED.glob("*.onnx"))) or "none"
        raise WeightsError(f"There is no net '{name}'; use a shipped one ({names}) or install reage again.")
    return open_session(path, device)


def load_trained(weights: str | Path, device: str = "cpu") -> tuple[Path, InferenceSession, dict[str, Any]]:
    """A net that `reage training export` wrote, by the name of shipped weights or the path of its file.

    Returns:
        The file, the session, which is shared if the weights are shipped, and the config that they were saved with.

    Raises:
        WeightsError: when there are no such weights, or they are no ONNX file.
        EngineError: when there is no such device.
    """
    path = find_weights(weights)
    is_shipped = path.parent == SHIPPED and path.suffix == ".onnx"
    session = load_session(path.stem, device) if is_shipped else open_session(path, device)
    with made_for(path, "ONNX Runtime", "export them again with `reage training export`"):
        return path, session, parse_metadata(session.get_modelmeta().custom_metadata_map)


def check_outputs(session: InferenceSession, names: Sequence[str]) -> None:
    """Checks that a net gives what its caller expects, in that order; call it within `reage.weights.made_for`.

    Raises:
        ValueError: when it gives something else.
    """
    given = [value.name for value in session.get_outputs()]
    if given != list(names):
        raise ValueError(given)


def open_session(path: str | Path, device: str = "cpu") -> InferenceSession:
    """A new session of the net in an ONNX file; what its device cannot compute is computed by the CPU.

    Raises:
        WeightsError: when ONNX Runtime cannot read the file.
        EngineError: when there is no such device.
    """
    return _open(path, PROVIDERS[choose_device(device)])


def _open(path: str | Path, provider: str) -> InferenceSession:
    onnxruntime = _import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.enable_cpu_mem_arena = True
    options.intra_op_num_threads = _find_num_threads()
    options.inter_op_num_threads = 1
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # waiting threads leave the cores to others
    options.log_severity_level = 4  # what goes wrong is raised, not printed
    providers = list(dict.fromkeys((provider, PROVIDERS["cpu"])))
    try:
        return onnxruntime.InferenceSession(path, options, providers=providers)
    except Exception as error:  # onnxruntime's errors have no common base
        raise WeightsError(f"{path} is not an ONNX file that onnxruntime can read; export the net again.") from error


def _find_num_threads() -> int:
    """The first number in OMP_NUM_THREADS; without one 0, which is a thread for each core."""
    first = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(first) if first.isdigit() else 0
