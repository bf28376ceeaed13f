"""`reage compare`: by dlib's net, and by a net of the user's own."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from reage.images import load_image
from reage.measure import SAME_PERSON_DISTANCE, AifdRecognizer
from reage.types import Pixels
from tests.cli.commands import call


def test_one_person_is_compared_with_herself(me: Path, write: Callable[[Pixels, Path], Path]) -> None:
    darker = write((load_image(me).pixels * 0.7).astype(np.uint8), Path("dark.png"))
    done = call("compare", me, darker, "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert set(values) == {"same_person", "distance", "threshold", "age_gap_years", "age_years"}
    assert values["same_person"] is True
    assert 0 < values["distance"] < values["threshold"] == SAME_PERSON_DISTANCE
    assert values["age_gap_years"] == pytest.approx(values["age_years"][1] - values["age_years"][0], abs=0.11)


def test_a_person_reads_the_verdict(me: Path) -> None:
    done = call("compare", me, me)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("The same person: distance 0.00")
    assert "as old as the first" in done.stdout


def test_photo_without_a_face_is_refused(me: Path, write: Callable[[Pixels, Path], Path]) -> None:
    done = call("compare", me, write(np.full((128, 128, 3), 120, np.uint8), Path("wall.png")))
    assert done.exit_code == 2
    assert "face" in done.stderr
    assert done.stdout == ""


@pytest.fixture
def net(me: Path) -> str:
    """A file whose net gives the mean colour, beside the photo in the current folder."""
    ends = [
        helper.make_tensor_value_info("face", TensorProto.FLOAT, ["N", 3, 112, 112]),
        helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", 3]),
    ]
    node = helper.make_node("ReduceMean", ["face"], ["embedding"], axes=[2, 3], keepdims=0)
    graph = helper.make_graph([node], "colour", ends[:1], ends[1:])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), "colour.onnx")
    return "colour.onnx"


def test_its_similarity_stands_beside_the_distance(net: str) -> None:
    done = call("compare", "me.png", "me.png", "--matcher", net, "--matcher-kind", "adaface", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert values["same_person"] is True
    assert values["matcher"] == {"name": "colour", "kind": "adaface", "similarity": pytest.approx(1)}


@pytest.mark.parametrize(
    ("options", "end"),
    [
        ((), "colour: similarity 1.00.\n"),
        (("--matcher-threshold", 0.3), "1.00 (the same from 0.3), the same person.\n"),
    ],
)
def test_a_verdict_needs_a_threshold(net: str, options: tuple[object, ...], end: str) -> None:
    done = call("compare", "me.png", "me.png", "--matcher", net, *options)
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("The same person: distance 0.00")
    assert done.stdout.endswith(end)


def test_aifd_has_a_threshold_of_its_own(me: Path) -> None:
    done = call("compare", me, me, "--matcher", "aifd", "--json")
    assert done.exit_code == 0, done.output
    verdict = json.loads(done.stdout)["matcher"]
    assert verdict == {
        "name": "aifd",
        "similarity": pytest.approx(1),
        "threshold": pytest.approx(AifdRecognizer.load().threshold),
        "same_person": True,
    }
    strict = call("compare", me, me, "--matcher", "aifd", "--matcher-threshold", 1)
    assert "the same from 1)" in strict.stdout


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--matcher", "none.onnx"), "none.onnx"),
        (("--matcher", "me.png"), "not an ONNX file"),
        (("--matcher", "colour.onnx", "--matcher-kind", "facenet"), "arcface or adaface"),
        (("--matcher-threshold", "0.3"), "--matcher"),
    ],
)
def test_unusable_options_are_refused(net: str, options: tuple[str, ...], words: str) -> None:
    done = call("compare", "me.png", "me.png", *options)
    assert done.exit_code == 2
    assert words in done.stderr
    assert done.stdout == ""
