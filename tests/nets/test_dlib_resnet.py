from pathlib import Path

import dlib
import numpy as np
import pytest
import torch

from reage.errors import WeightsError
from reage.images.tensors import to_net
from reage.nets.dlib_resnet import CHIP_PX, DLIB_FILE, DlibResNet, Trunk, TrunkConfig, load_dlib_resnet
from reage.types import Pixels
from reage.weights import find_dlib_model

TINY = TrunkConfig(stem=4, stages=((4, 1), (8, 2)))


@pytest.fixture(scope="module")
def net() -> DlibResNet:
    return load_dlib_resnet()


@pytest.fixture(scope="module")
def chip(photo: Pixels) -> Pixels:
    predictor = dlib.shape_predictor(str(find_dlib_model("shape_predictor_5_face_landmarks.dat")))
    shape = predictor(photo, dlib.rectangle(175, 76, 265, 166))
    cut: Pixels = dlib.get_face_chip(photo, shape, size=CHIP_PX, padding=0.25)
    return cut


def test_embeddings_are_those_of_dlib(net: DlibResNet, chip: Pixels) -> None:
    dlibs = dlib.face_recognition_model_v1(str(find_dlib_model(DLIB_FILE))).compute_face_descriptor(chip)
    ours = net(to_net(chip))[0].numpy()
    assert np.abs(ours - np.array(dlibs)).max() < 1e-5


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


@pytest.mark.parametrize(
    "content", [b"", b"\x05con_4", b"\x04fc_2\x01\x80", b"\x05con_4" + b"\x01\x02" + b"\x01\x01" * 4]
)
def test_another_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "net.dat").write_bytes(content)
    with pytest.raises(WeightsError, match="not dlib's face recognition model"):
        load_dlib_resnet(tmp_path / "net.dat")


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "net.dat").write_bytes(find_dlib_model(DLIB_FILE).read_bytes()[:20_000_000])
    with pytest.raises(WeightsError, match="not dlib's face recognition model"):
        load_dlib_resnet(tmp_path / "net.dat")
