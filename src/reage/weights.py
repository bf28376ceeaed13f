"""Reads, writes and finds weights: safetensors files that contain their own config, and ONNX files made of them.

A file holds tensors and, as JSON in its metadata, the config of the network, the recipe, its seed and the commit it ran
at. Numpy is enough to read a safetensors file; torch and onnx are imported only by `load_torch_weights`. A net that
runs on ONNX Runtime is stored once, as `reage training export` wrote it, see `reage.nets.runtime`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from reage.errors import WeightsError
from reage.files import replace_file

if TYPE_CHECKING:
    import torch

Arrays = dict[str, NDArray[Any]]

SHIPPED = Path(__file__).parent / "weights_data"
"""The folder of shipped weights."""
JUDGES = ("age-b", "zones-b")
"""Weights that only judge evaluations: they lie in the repository and are no part of the wheel."""
_CONFIG_KEY = "config"
HALF_SUFFIX = "_half"
"""Ends the names of tensors that an ONNX file stores in 16 bits; a cast gives the tensor of the name without it."""
_SUFFIXES = (".safetensors", ".onnx")


def save_weights(
    path: str | Path,
    tensors: Mapping[str, NDArray[Any] | torch.Tensor],
    config: Mapping[str, Any],
    *,
    fp16: bool = True,
) -> None:
    """Writes tensors and config to one file; the old file stays whole until the new one is complete.

    Args:
        path: of the file; its folder is made.
        tensors: name -> numpy array or torch tensor of any shape.
        config: plain values (JSON): the config of the network, and the recipe that trained it.
        fp16: store floating-point tensors in 16 bits; integers keep their type.

    Raises:
        WeightsError: when the file cannot be written.
    """
    arrays = {name: _to_stored(tensor, fp16) for name, tensor in tensors.items()}
    content = save(arrays, metadata={_CONFIG_KEY: json.dumps(dict(config), sort_keys=True)})
    with replace_file(path, WeightsError) as unfinished:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(content)


def load_weights(path: str | Path) -> tuple[Arrays, dict[str, Any]]:
    """Reads a weights file.

    Returns:
        Name -> array (16-bit floats become float32), and the config it was saved with.

    Raises:
        WeightsError: when the file is missing, damaged or was not written by reage.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsError(f"There is no weights file at {path}; give the path of a .safetensors file.")
    if path.suffix == ".onnx":
        raise WeightsError(f"{path} is a net for ONNX Runtime; give the path of a .safetensors file.")
    try:
        with safe_open(path, framework="np") as file:
            metadata = file.metadata() or {}
            arrays = {name: _to_working(file.get_tensor(name)) for name in file.keys()}  # noqa: SIM118
        config = json.loads(metadata[_CONFIG_KEY])
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"The weights file {path} is damaged; fetch or train it again.") from error
    except KeyError as error:
        raise WeightsError(f"The weights file {path} has no config inside; use a file that reage wrote.") from error
    return arrays, config


def load_torch_weights(path: str | Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Reads a weights file, or its net in an ONNX file, as torch tensors on the CPU; see `load_weights` for errors."""
    import torch

    path = Path(path)
    arrays, config = _load_exported(path) if path.suffix == ".onnx" and path.is_file() else load_weights(path)
    return {name: torch.from_numpy(array) for name, array in arrays.items()}, config


def _load_exported(path: Path) -> tuple[Arrays, dict[str, Any]]:
    """What `load_weights` gives, of an ONNX file that `reage training export` wrote."""
    import onnx
    from google.protobuf.message import DecodeError
    from onnx import numpy_helper

    try:
        model = onnx.load(path)
    except (OSError, DecodeError) as error:
        raise WeightsError(f"The weights file {path} is damaged; fetch or train it again.") from error
    arrays = {
        constant.name.removesuffix(HALF_SUFFIX): _to_working(np.array(numpy_helper.to_array(constant)))
        for constant in model.graph.initializer
    }
    return arrays, parse_metadata({entry.key: entry.value for entry in model.metadata_props})


def format_metadata(config: Mapping[str, Any]) -> dict[str, str]:
    """A config as the metadata of an ONNX file: text as it is, other values as JSON."""
    return {
        key: value if isinstance(value, str) else json.dumps(value, sort_keys=True) for key, value in config.items()
    }


def parse_metadata(metadata: Mapping[str, str]) -> dict[str, Any]:
    """The config from the metadata of an ONNX file; numbers stay text.

    Raises:
        ValueError: when it is not JSON where it looks like it.
    """
    return {key: json.loads(value) if value[:1] in ("{", "[") else value for key, value in metadata.items()}


@contextmanager
def made_for(path: str | Path, what: str, advice: str = "use the shipped ones") -> Iterator[None]:
    """Turns errors of building a network from weights into one sentence, which ends with the advice.

    Raises:
        WeightsError: when the tensors or the config of the file do not fit.
    """
    try:
        yield
    except (KeyError, TypeError, ValueError, RuntimeError) as error:
        raise WeightsError(f"The weights in {path} are not made for {what} of this version; {advice}.") from error


def find_weights(name: str | Path) -> Path:
    """The file of shipped weights by their name, or a local file by its path.

    Raises:
        WeightsError: when there is neither.
    """
    for suffix in _SUFFIXES:
        shipped = SHIPPED / f"{name}{suffix}"
        if shipped.is_file():
            return shipped
    if Path(name).is_file():
        return Path(name)
    if name in JUDGES:
        raise WeightsError(
            f"The weights '{name}', which judge evaluations, are no part of the wheel; "
            "clone the repository and run pip install -e '.[evaluate]' in it."
        )
    names = ", ".join(sorted(file.stem for file in SHIPPED.iterdir() if file.suffix in _SUFFIXES)) or "none"
    raise WeightsError(f"There are no weights '{name}'; use shipped ones ({names}) or the path of a weights file.")


def weights_hash(path: str | Path) -> str:
    """The first 12 hexadecimal digits of the file's SHA-256, which identify the weights that made a picture."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()[:12]


def _to_stored(tensor: NDArray[Any] | torch.Tensor, fp16: bool) -> NDArray[Any]:
    array = tensor if isinstance(tensor, np.ndarray) else tensor.detach().cpu().numpy()
    floating = np.issubdtype(array.dtype, np.floating)
    return np.ascontiguousarray(array, np.float16 if fp16 and floating else array.dtype)


def _to_working(array: NDArray[Any]) -> NDArray[Any]:
    return array.astype(np.float32) if array.dtype == np.float16 else array
