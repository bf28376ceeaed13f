"""`reage training convert`: what it refuses and what it writes, with tiny ONNX models in place of tf2onnx's."""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import ModelProto, TensorProto, helper
from typer.testing import CliRunner

import reage
from reage.cli import app
from reage.errors import WeightsError
from reage.training.convert import (
    SOURCES,
    convert,
    describe,
    free_size,
    halve_weights,
    number_constants,
    store_metadata,
)

TFLITE = b"\0\0\0\0TFL3 and no more"
STAND_IN = """
import pathlib, sys
arguments = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert arguments["--opset"] == "17" and pathlib.Path(arguments["--tflite"]).is_file()
pathlib.Path(arguments["--output"]).write_bytes(pathlib.Path({model!r}).read_bytes())
"""


def make_model(*, turned: bool = False) -> ModelProto:
    """A picture (1, 4, 4, 3) times 2 plus 1 as (1, 16, 3), like a net that was made for one size."""
    constants = {"two": 2.0, "one": 1.0}
    stored = [helper.make_tensor(name, TensorProto.FLOAT, [], [value]) for name, value in constants.items()]
    stored.append(helper.make_tensor("sizes", TensorProto.INT64, [3], [1, -1, 3]))
    nodes = [
        helper.make_node("Mul", ["input", "two"], ["twice"]),
        helper.make_node("Add", ["twice", "one"], ["more"]),
        helper.make_node("Reshape", ["more", "sizes"], ["found"]),
    ]
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 4, 4, 3])],
        [helper.make_tensor_value_info("found", TensorProto.FLOAT, [1, 16, 3])],
        stored[::-1] if turned else stored,
        doc_string="converted from /somewhere/net.tflite",
        value_info=[helper.make_tensor_value_info("more", TensorProto.FLOAT, [1, 4, 4, 3])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def run(model: ModelProto, height: int, width: int) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    (found,) = session.run(None, {"input": np.ones((1, height, width, 3), np.float32)})
    return found


def sizes_of(value: onnx.ValueInfoProto) -> list[int | str]:
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]


@pytest.fixture
def mediapipe(tmp_path: Path, dlib_content: bytes) -> Path:
    """A folder with files that start like MediaPipe's, and one like dlib's."""
    folder = tmp_path / "mediapipe"
    folder.mkdir()
    for source in SOURCES:
        (folder / source.file).write_bytes(dlib_content if source.file.endswith(".dat") else TFLITE)
    return folder


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A package in place of tf2onnx that gives the tiny model; tests run without TensorFlow."""
    packages = tmp_path / "packages"
    for name in ("tf2onnx", "tensorflow"):
        (packages / name).mkdir(parents=True)
        (packages / name / "__init__.py").touch()
    model = tmp_path / "tiny.onnx"
    onnx.save(make_model(), model)
    (packages / "tf2onnx" / "convert.py").write_text(STAND_IN.format(model=str(model)))
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.syspath_prepend(packages)
    return packages


# The parts


def test_a_net_of_one_size_takes_any() -> None:
    model = make_model()
    free_size(model)
    onnx.checker.check_model(model, full_check=True)
    assert sizes_of(model.graph.input[0]) == [1, "height", "width", 3]
    assert sizes_of(model.graph.output[0]) == [1, "anchors", 3]
    assert run(model, 2, 5).shape == (1, 10, 3)
    np.testing.assert_array_equal(run(model, 4, 4), run(make_model(), 4, 4))


def test_the_origin_is_stored_and_no_path() -> None:
    model = make_model()
    helper.set_model_props(model, {"old": "value"})
    store_metadata(model, describe(SOURCES[0], TFLITE))
    stored = {entry.key: entry.value for entry in model.metadata_props}
    commit = stored.pop("commit")
    assert not commit or len(commit) == 40
    assert stored == {
        "name": "face-detector",
        "source": "face_detection_full_range.tflite",
        "source_sha256": hashlib.sha256(TFLITE).hexdigest(),
        "licence": "Apache-2.0",
        "author": "The MediaPipe Authors",
        "recipe": "reage training convert",
        "version": reage.__version__,
    }
    assert b"somewhere" not in model.SerializeToString()


def test_the_order_of_constants_is_that_of_their_use() -> None:
    model, turned = make_model(), make_model(turned=True)
    turned.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "unk__7"
    for each in (model, turned):
        number_constants(each)
    assert sizes_of(turned.graph.input[0]) == ["batch", 4, 4, 3]
    turned.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    assert model == turned
    assert [constant.name for constant in model.graph.initializer] == ["constant_0", "constant_1", "constant_2"]
    np.testing.assert_array_equal(run(model, 4, 4), np.full((1, 16, 3), 3))


def test_weights_that_16_bits_hold_are_halved() -> None:
    model = make_model()
    model.graph.initializer[1].CopyFrom(helper.make_tensor("one", TensorProto.FLOAT, [], [1 / 3]))
    expected = run(model, 4, 4)
    halve_weights(model)
    onnx.checker.check_model(model, full_check=True)
    types = {constant.name: constant.data_type for constant in model.graph.initializer}
    assert types == {"two_half": TensorProto.FLOAT16, "one": TensorProto.FLOAT, "sizes": TensorProto.INT64}
    np.testing.assert_array_equal(run(model, 4, 4), expected)


# The command


@pytest.mark.usefixtures("stand_in")
def test_all_nets_are_written(mediapipe: Path, tmp_path: Path) -> None:
    nets = tmp_path / "new" / "nets"
    done = CliRunner().invoke(app, ["training", "convert", str(mediapipe), "-o", str(nets)])
    assert done.exit_code == 0, done.output
    assert done.stdout.split() == [str(nets / f"{source.name}.onnx") for source in SOURCES]
    assert {path.stem for path in nets.iterdir()} == {source.name for source in SOURCES}
    detector, mesh, expression, recognizer = (onnx.load(nets / f"{source.name}.onnx") for source in SOURCES)
    np.testing.assert_array_equal(run(expression, 4, 4), run(mesh, 4, 4))
    assert sizes_of(recognizer.graph.output[0]) == ["batch", 128]
    assert sizes_of(detector.graph.input[0]) == [1, "height", "width", 3]
    assert sizes_of(mesh.graph.input[0]) == [1, 4, 4, 3]
    assert {entry.key: entry.value for entry in mesh.metadata_props}["source"] == SOURCES[1].file
    first = [path.read_bytes() for path in sorted(nets.iterdir())]
    convert(mediapipe, nets)
    assert [path.read_bytes() for path in sorted(nets.iterdir())] == first


def test_the_help_has_an_example() -> None:
    done = CliRunner().invoke(app, ["training", "convert", "--help"])
    assert done.exit_code == 0
    assert "Example: reage training convert" in done.stdout


def test_without_tf2onnx_the_extra_is_named(mediapipe: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "tf2onnx", None)
    done = CliRunner().invoke(app, ["training", "convert", str(mediapipe), "-o", str(tmp_path / "nets")])
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert "tf2onnx" in done.stderr
    assert "reage[convert]" in done.stderr


def test_missing_and_other_files_are_refused(mediapipe: Path, tmp_path: Path) -> None:
    nets = tmp_path / "nets"
    with pytest.raises(WeightsError, match=r"There is no file '.*full_range\.tflite'; give the folder .*detector\.tf"):
        convert(tmp_path / "none", nets)
    (mediapipe / SOURCES[1].file).write_bytes(b"version https://git-lfs.github.com/spec/v1")
    with pytest.raises(WeightsError, match=r"landmarks_detector\.tflite' is not a TensorFlow Lite file"):
        convert(mediapipe, nets)
    assert not nets.exists()


@pytest.mark.usefixtures("stand_in")
def test_another_file_than_dlibs_is_refused(mediapipe: Path, tmp_path: Path) -> None:
    (mediapipe / SOURCES[3].file).write_bytes(b"no net")
    with pytest.raises(WeightsError, match=r"resnet_model_v1\.dat is not dlib's net"):
        convert(mediapipe, tmp_path / "nets")
    assert not (tmp_path / "nets").exists()


def test_a_file_that_tf2onnx_refuses_is_refused(stand_in: Path, mediapipe: Path, tmp_path: Path) -> None:
    (stand_in / "tf2onnx" / "convert.py").write_text("raise ValueError('bad table.')")
    with pytest.raises(WeightsError, match=r"could not convert face_.*\.tflite \(ValueError: bad table\); fetch"):
        convert(mediapipe, tmp_path / "nets")
    assert not (tmp_path / "nets").exists()


@pytest.mark.usefixtures("stand_in")
def test_a_place_that_cannot_be_written_to_is_refused(mediapipe: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").touch()
    with pytest.raises(WeightsError, match="could not be written"):
        convert(mediapipe, tmp_path / "nets")
