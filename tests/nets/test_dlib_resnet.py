from pathlib import Path

import numpy as np
import pytest
import torch

from reage.errors import WeightsError
from reage.images.tensors import to_net
from reage.measure.recognizers import DlibRecognizer, make_chip
from reage.nets.dlib_resnet import DlibResNet, Trunk, TrunkConfig, load_dlib_resnet
from reage.types import Face, Pixels
from reage.weights import SHIPPED

TINY = TrunkConfig(stem=4, stages=((4, 1), (8, 2)))


@pytest.fixture(scope="module")
def net() -> DlibResNet:
    return load_dlib_resnet()


@pytest.fixture(scope="module")
def chip(photo: Pixels, face: Face) -> Pixels:
    return make_chip(photo, face.landmarks)


def test_embeddings_are_those_of_the_onnx_file(net: DlibResNet, chip: Pixels) -> None:
    (expected,) = DlibRecognizer.load().embed_chips(chip[None])
    assert np.abs(net(to_net(chip))[0].numpy() - expected).max() < 1e-5


def test_gradients_reach_the_input(net: DlibResNet, chip: Pixels) -> None:
    x = to_net(chip).requires_grad_()
    net(x).square().sum().backward()
    assert x.grad is not None
    assert x.grad.abs().sum() > 0


def test_stages_are_pooled_in_the_order_asked_for() -> None:
    trunk = Trunk(TINY)
    x = torch.rand(2, 3, 64, 72) * 2 - 1
    fine, coarse = trunk(x)
    assert (fine.shape[1], coarse.shape[1]) == (4, 8)
    pooled = trunk.pooled(x, (1, 0))
    means = [coarse.mean((2, 3)), fine.mean((2, 3))]
    assert pooled.shape == (2, 12)
    for got, mean in zip((pooled[:, :8], pooled[:, 8:]), means, strict=True):
        torch.testing.assert_close(got, torch.nn.functional.layer_norm(mean, mean.shape[1:]))


@pytest.mark.parametrize("content", [None, b"", b"not an ONNX file"])
def test_another_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "net.onnx").write_bytes(content)
    with pytest.raises(WeightsError, match="not dlib's face recognition net"):
        load_dlib_resnet(tmp_path / "net.onnx")


def test_another_net_is_refused() -> None:
    with pytest.raises(WeightsError, match="not dlib's face recognition net"):
        load_dlib_resnet(SHIPPED / "face-mesh.onnx")
