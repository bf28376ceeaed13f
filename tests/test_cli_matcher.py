"""`reage compare` with a face net of the user's own."""

from __future__ import annotations

import json
from pathlib import Path

import onnx
import pytest
import skimage.data
from onnx import TensorProto, helper
from typer.testing import CliRunner

from reage.cli import app
from reage.images import Image, save_image


def call(*arguments: object):
    return CliRunner().invoke(app, ["compare", "me.png", "me.png", *map(str, arguments)])


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A file whose net gives the mean colour, beside the demo photo in the current folder."""
    monkeypatch.chdir(tmp_path)
    save_image(Image(pixels=skimage.data.astronaut()[:256, 96:352].copy()), "me.png", altered=False)
    ends = [
        helper.make_tensor_value_info("face", TensorProto.FLOAT, ["N", 3, 112, 112]),
        helper.make_tensor_value_info("who", TensorProto.FLOAT, ["N", 3]),
    ]
    node = helper.make_node("ReduceMean", ["face"], ["who"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([node], "colour", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "colour.onnx")
    return "colour.onnx"


def test_its_similarity_stands_beside_the_distance(net: str) -> None:
    done = call("--matcher", net, "--matcher-kind", "adaface", "--json")
    assert done.exit_code == 0, done.output
    story = json.loads(done.stdout)
    assert story["same_person"] is True
    assert story["matcher"] == {"name": "colour", "kind": "adaface", "similarity": pytest.approx(1)}


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ((), "colour: similarity 1.00.\n"),
        (("--matcher-threshold", 0.3), "1.00 (the same from 0.3), the same person.\n"),
    ],
)
def test_a_verdict_needs_a_threshold(net: str, options: tuple[object, ...], end: str) -> None:
    done = call("--matcher", net, *options)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("The same person: distance 0.00")
    assert done.stdout.endswith(end)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("--matcher", "none.onnx"), "none.onnx"),
        (("--matcher", "me.png"), "not an ONNX file"),
        (("--matcher", "colour.onnx", "--matcher-kind", "facenet"), "arcface or adaface"),
        (("--matcher-threshold", "0.3"), "--matcher"),
    ],
)
def test_what_cannot_be_asked_is_told(net: str, options: tuple[str, ...], told: str) -> None:
    done = call(*options)
    assert done.exit_code == 2
    assert told in done.stderr
    assert done.stdout == ""
