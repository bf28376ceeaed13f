"""dlib's recognizer out of a .dat file: the graph gives what the torch net with its weights gives."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from reage.nets.dlib_resnet import load_dlib_resnet
from reage.nets.runtime import open_session
from reage.training.dlib_file import build_recognizer, read_layers


def test_the_graph_gives_what_the_torch_net_gives(dlib_content: bytes, tmp_path: Path) -> None:
    model = build_recognizer(dlib_content)
    assert model.SerializeToString() == build_recognizer(dlib_content).SerializeToString()
    onnx.save(model, tmp_path / "net.onnx")
    chips = torch.rand(3, 3, 150, 150, generator=torch.Generator().manual_seed(0)) * 2 - 1
    (found,) = open_session(tmp_path / "net.onnx").run(None, {"chips": chips.numpy()})
    expected = load_dlib_resnet(tmp_path / "net.onnx")(chips).numpy()
    assert found.shape == (3, 128)
    assert np.ptp(found, axis=0).max() > 0
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3 * np.abs(expected).max())


def test_scales_and_shifts_are_folded_into_convolutions(dlib_content: bytes) -> None:
    filters, scales = (values for values, _ in zip(read_layers(dlib_content), range(2), strict=False))
    stored = {one.name: onnx.numpy_helper.to_array(one) for one in build_recognizer(dlib_content).graph.initializer}
    fifth = filters[5 * 147 : 6 * 147] * scales[5]
    np.testing.assert_allclose(stored["trunk.stem.weight"][5].ravel(), fifth, rtol=2e-3, atol=1e-6)
    np.testing.assert_allclose(
        stored["trunk.stem.bias"], filters[-32:] * scales[:32] + scales[32:], rtol=2e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    "other", [b"", b"\x05con_4", b"\x04fc_2\x01\x80", b"\x05con_4" + b"\x01\x02" + b"\x01\x01" * 4]
)
def test_another_file_is_no_net(other: bytes) -> None:
    with pytest.raises((ValueError, IndexError, StopIteration)):
        build_recognizer(other)


def test_a_cut_file_is_no_net(dlib_content: bytes) -> None:
    with pytest.raises((ValueError, IndexError, StopIteration)):
        build_recognizer(dlib_content[:-1000])
