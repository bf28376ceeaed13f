"""The age predictor is fed as dlib's net is, tested with a tiny net that puts all weight on one year."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from reage.data.age_predictor import AgePredictor
from reage.errors import WeightsError
from reage.types import Face


def save_net(path: Path, weights: np.ndarray, side: int = 64) -> Path:
    """The mean colour (1, 3) times weights (3, N), plus 1 / 81 for every year, as probabilities."""
    nodes = [
        helper.make_node("ReduceMean", ["images"], ["colour"], axes=[2, 3], keepdims=0),
        helper.make_node("MatMul", ["colour", "weights"], ["parts"]),
        helper.make_node("Add", ["parts", "even"], ["probabilities"]),
    ]
    constants = {"weights": weights, "even": np.full((1, weights.shape[1]), 1 / 81)}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, side, side])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["N", weights.shape[1]])],
        [numpy_helper.from_array(values.astype(np.float32), name) for name, values in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def test_the_age_is_the_expectation_over_years(face: Face, tmp_path: Path) -> None:
    even = AgePredictor.load(save_net(tmp_path / "even.onnx", np.zeros((3, 81))))
    assert even.predict(face) == pytest.approx((0.25 + sum(range(1, 81))) / 81, rel=1e-5)


def test_the_chip_is_given_less_the_mean_colour_by_256(face: Face, tmp_path: Path) -> None:
    ages = []
    for channel in range(3):
        weights = np.zeros((3, 81))
        weights[channel, 50] = 1
        ages.append(AgePredictor.load(save_net(tmp_path / "net.onnx", weights)).predict(face))
    even = (0.25 + sum(range(1, 81))) / 81
    colour = (np.array(ages) - even) / 50 * 256 + [122.782, 117.001, 104.298]
    middle = face.crop[150:400, 130:380].reshape(-1, 3).mean(0)
    np.testing.assert_allclose(colour, middle, atol=25)


def test_missing_and_other_nets_are_refused(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no age predictor at"):
        AgePredictor.load(tmp_path / "none.onnx")
    for weights, side in ((np.zeros((3, 2)), 64), (np.zeros((3, 81)), 32)):
        with pytest.raises(WeightsError, match="is not dlib's age predictor"):
            AgePredictor.load(save_net(tmp_path / "net.onnx", weights, side))
