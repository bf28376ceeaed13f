"""`reage training export`: the ONNX file says what the net says, and how it came about."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn

from reage.errors import WeightsError
from reage.faces.segmentation import FaceParser
from reage.images.tensors import to_net
from reage.measure.recognizers import OnnxRecognizer
from reage.mesh_points import NUM_POINTS
from reage.nets import agetransgan, agetransgan_config
from reage.nets.age import AgeNetConfig, build_age_net, load_age_net
from reage.nets.aifd import build_aifd, load_aifd
from reage.nets.aifd import paper as paper_aifd
from reage.nets.aifd import tiny as tiny_aifd
from reage.nets.amgan import build_generator, load_generator
from reage.nets.amgan_config import tiny
from reage.nets.deaging import build_deaging_net, load_deaging_net
from reage.nets.deaging_config import tiny as tiny_deaging
from reage.nets.dlib_resnet import TrunkConfig
from reage.nets.pix2pix import build_unet, load_unet
from reage.nets.pix2pix_config import tiny as tiny_pix2pix
from reage.nets.runtime import open_session
from reage.nets.segmentation import SegmentationNet, SegmentationNetConfig, build_segmentation_net
from reage.training.export import EXPORTS, export, export_face_parser, fold_normalisation
from reage.weights import find_weights, load_torch_weights, save_weights

CONFIG = {
    "net": {"input_px": 64, "widths": [8, 8, 8]},
    "recipe": {"learning_rate": 0.003, "scene": {"hat_prob": 0.15}},
    "seed": 7,
    "name": "face-parser",
    "commit": "0123abc",
    "version": "0.1.0",
}

TINY_AGE_NET = AgeNetConfig(
    trunk=TrunkConfig(stem=4, stages=((4, 1), (8, 1))),
    feature_stages=(0, 1),
    input_crops=((0.8, 48), (0.9, 52)),
    calibration=((40.0, 30.0), (50.0, 50.0), (60.0, 65.0)),
)


def make_inputs(seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    picture = rng.uniform(-1, 1, (1, 3, 64, 64)).astype(np.float32)
    return picture, rng.uniform(-1, 1, (1, 6, 32, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> SegmentationNet:
    """A tiny net whose normalisations are not those of a new one."""
    torch.manual_seed(0)
    net = build_segmentation_net(SegmentationNetConfig(input_px=64, widths=(8, 8, 8)))
    with torch.no_grad():
        for layer in net.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_mean.normal_(0, 0.2)
                layer.running_var.uniform_(0.3, 2)
                layer.weight.uniform_(0.7, 1.5)
                layer.bias.normal_(0, 0.2)
        net.head.weight.mul_(12)
    return net.eval()


@pytest.fixture(scope="module")
def weights(net: SegmentationNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("export") / "face-parser.safetensors"
    save_weights(path, net.state_dict(), CONFIG)
    return path


@pytest.fixture(scope="module")
def exported(weights: Path) -> Path:
    return export_face_parser(weights, weights.parent / "nets" / "face-parser.onnx")


@torch.no_grad()
def test_the_file_gives_the_shares_that_the_net_gives(exported: Path, weights: Path) -> None:
    stored = build_segmentation_net(SegmentationNetConfig(input_px=64, widths=(8, 8, 8)))
    stored.load_state_dict(load_torch_weights(weights)[0])
    session = open_session(exported)
    for seed in range(3):
        picture, face_map = make_inputs(seed)
        (shares,) = session.run(["shares"], {"picture": picture, "face_map": face_map})
        expected = stored.eval()(torch.from_numpy(picture), torch.from_numpy(face_map)).softmax(1).numpy()
        assert shares.shape == (1, 10, 64, 64)
        assert np.ptp(expected, axis=(2, 3)).max() > 0.1
        np.testing.assert_allclose(shares, expected, atol=1e-3)
        np.testing.assert_allclose(shares.sum(1), 1, atol=1e-5)


@torch.no_grad()
def test_folding_normalisations_changes_nothing_but_the_last_bits(net: SegmentationNet) -> None:
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    folded = fold_normalisation(net)
    inputs = [torch.from_numpy(values) for values in make_inputs()]
    torch.testing.assert_close(folded(*inputs), net(*inputs), atol=0.02, rtol=0.02)
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in folded.modules())
    assert all(torch.equal(weight, weight.half().float()) for weight in folded.parameters())
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())


def test_the_file_holds_no_normalisation_and_its_weights_in_16_bits(exported: Path) -> None:
    model = onnx.load(exported)
    onnx.checker.check_model(model, full_check=True)
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}
    large = [constant for constant in model.graph.initializer if np.prod(constant.dims) > 64]
    assert large
    assert {constant.data_type for constant in large} == {onnx.TensorProto.FLOAT16}
    assert [opset.version for opset in model.opset_import if not opset.domain] == [17]


def test_the_file_says_how_it_came_about(exported: Path) -> None:
    stored = {entry.key: entry.value for entry in onnx.load(exported).metadata_props}
    assert set(stored) == set(CONFIG)
    assert json.loads(stored["net"]) == CONFIG["net"]
    assert json.loads(stored["recipe"]) == CONFIG["recipe"]
    assert json.loads(stored["seed"]) == 7
    assert (stored["name"], stored["commit"], stored["version"]) == ("face-parser", "0123abc", "0.1.0")
    assert str(exported.parent).encode() not in exported.read_bytes()


def test_the_same_weights_give_the_same_file(exported: Path, weights: Path, tmp_path: Path) -> None:
    assert export_face_parser(weights, tmp_path / "again.onnx").read_bytes() == exported.read_bytes()


def test_the_file_is_a_face_parser(exported: Path) -> None:
    crop = np.random.default_rng(0).integers(0, 256, (96, 96, 3), np.uint8)
    mesh = np.random.default_rng(1).uniform(0, 96, (NUM_POINTS, 3)).astype(np.float32)
    shares = FaceParser.load(exported).measure_shares(crop, mesh)
    assert shares.shape == (10, 64, 64)


def test_other_weights_are_refused_in_a_sentence(net: SegmentationNet, tmp_path: Path) -> None:
    tensors = net.state_dict()
    save_weights(tmp_path / "wider.safetensors", tensors, {**CONFIG, "net": {"input_px": 64, "widths": [8, 8, 16]}})
    save_weights(tmp_path / "plain.safetensors", tensors, {"seed": 1})
    save_weights(tmp_path / "odd.safetensors", tensors, {**CONFIG, "net": {"width": 24}})
    for path in (*tmp_path.iterdir(), find_weights("zones-a"), find_weights("exemplar")):
        with pytest.raises(WeightsError, match=r"^The weights in .* are not made for a face parser of .*\.$"):
            export_face_parser(path, tmp_path / "parser.onnx")
    with pytest.raises(WeightsError, match="no weights file at"):
        export_face_parser(tmp_path / "missing.safetensors", tmp_path / "parser.onnx")
    assert not (tmp_path / "parser.onnx").exists()


def test_a_place_that_cannot_be_written_to_is_refused(weights: Path, tmp_path: Path) -> None:
    (tmp_path / "nets").touch()
    with pytest.raises(WeightsError, match="could not be written"):
        export_face_parser(weights, tmp_path / "nets" / "parser.onnx")


# Other nets


def export_tiny_age_net(folder: Path) -> Path:
    torch.manual_seed(0)
    net = build_age_net(TINY_AGE_NET)
    nn.init.normal_(net.head.weight, std=0.1)
    save_weights(folder / "mine.safetensors", net.state_dict(), {"net": asdict(TINY_AGE_NET), "name": "age-a"})
    return export(folder / "mine.safetensors", folder / "mine.onnx")


def export_tiny_aifd(folder: Path) -> Path:
    torch.manual_seed(0)
    net = build_aifd(tiny_aifd())
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.normal_(layer.running_mean, std=0.2)
            nn.init.uniform_(layer.running_var, 0.5, 2)
    save_weights(folder / "mine.safetensors", net.state_dict(), {"net": asdict(net.config), "name": "aifd"})
    return export(folder / "mine.safetensors", folder / "mine.onnx")


def export_tiny_generator(folder: Path) -> Path:
    torch.manual_seed(0)
    net = build_generator(tiny().generator)
    save_weights(folder / "mine.safetensors", net.state_dict(), {"net": asdict(net.config), "name": "amgan"})
    return export(folder / "mine.safetensors", folder / "mine.onnx")


def export_tiny_agetransgan(folder: Path) -> Path:
    torch.manual_seed(0)
    net = agetransgan.build_generator(agetransgan_config.tiny().generator)
    save_weights(
        folder / "mine.safetensors",
        net.state_dict(),
        {"net": asdict(net.config), "child": np.zeros((NUM_POINTS, 3)).tolist(), "name": "agetransgan"},
    )
    return export(folder / "mine.safetensors", folder / "mine.onnx")


@pytest.mark.parametrize(
    "export_tiny", [export_tiny_age_net, export_tiny_agetransgan, export_tiny_aifd, export_tiny_generator]
)
def test_training_reads_the_same_weights_back(export_tiny: Callable[[Path], Path], tmp_path: Path) -> None:
    path = export_tiny(tmp_path)
    onnx.checker.check_model(onnx.load(path), full_check=True)
    stored, config = load_torch_weights(tmp_path / "mine.safetensors")
    read, config_read = load_torch_weights(path)
    assert set(read) == set(stored)
    assert all(torch.equal(read[name].flatten(), tensor.flatten()) for name, tensor in stored.items())
    assert config_read == config
    assert path.stat().st_size < 1.05 * (tmp_path / "mine.safetensors").stat().st_size + 60_000
    assert export(path, tmp_path / "again.onnx").read_bytes() == path.read_bytes()


@torch.inference_mode()
def test_an_exported_age_net_gives_its_estimates_for_any_batch(tmp_path: Path) -> None:
    session = open_session(export_tiny_age_net(tmp_path))
    net = load_age_net(tmp_path / "mine.safetensors")
    for num in (1, 3):
        inputs = [torch.rand(num, 3, px, px) * 2 - 1 for _, px in TINY_AGE_NET.input_crops]
        logits, masculinity = net.classify(inputs)
        expected = [*net.interpret(logits, masculinity), net.expected_age(logits)]
        found = session.run(None, {f"crop_{number}": x.numpy() for number, x in enumerate(inputs)})
        for ours, theirs in zip(found, expected, strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-3)


@torch.inference_mode()
def test_an_exported_encoder_gives_embeddings_and_ages_for_any_batch(tmp_path: Path) -> None:
    session = open_session(export_tiny_aifd(tmp_path))
    net = load_aifd(tmp_path / "mine.safetensors")
    for num in (1, 3):
        x = torch.rand(num, 3, net.config.input_px, net.config.input_px) * 2 - 1
        for ours, theirs in zip(session.run(["embeddings", "age_years"], {"chips": x.numpy()}), net(x), strict=True):
            np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


@torch.inference_mode()
def test_the_papers_encoder_is_a_net_for_faces_of_112_px(tmp_path: Path) -> None:
    trunk = TrunkConfig(stem=4, stages=((4, 1), (4, 1), (4, 1), (8, 1)))
    config = replace(paper_aifd(), trunk=trunk, embedding_size=8, age_size=8)
    torch.manual_seed(0)
    net = build_aifd(config).eval()
    save_weights(tmp_path / "mine.safetensors", net.state_dict(), {"net": asdict(config), "name": "aifd"})
    recognizer = OnnxRecognizer.load(export(tmp_path / "mine.safetensors", tmp_path / "mine.onnx"))
    faces = np.random.default_rng(0).integers(0, 256, (2, 112, 112, 3), np.uint8)
    x = to_net(faces)
    expected = nn.functional.normalize(net.embed(x) + net.embed(x.flip(3))).numpy()
    np.testing.assert_allclose(recognizer.embed_aligned(faces), expected, atol=1e-2)


@torch.inference_mode()
def test_an_exported_generator_gives_its_change(tmp_path: Path) -> None:
    session = open_session(export_tiny_generator(tmp_path))
    net = load_generator(tmp_path / "mine.safetensors")
    x, planes = (torch.rand(1, channels, 256, 256) * 2 - 1 for channels in (3, 4))
    found = session.run(None, {"picture": x.numpy(), "planes": planes.numpy()})
    for ours, theirs in zip(found, net.predict_change(x, planes), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-4)


@torch.inference_mode()
@pytest.mark.parametrize(("recipe", "sizes"), [("sketch", (4, 1)), ("sketch-to-photo", (1, 3))])
def test_an_exported_sketch_net_draws_the_same(tmp_path: Path, recipe: str, sizes: tuple[int, int]) -> None:
    torch.manual_seed(0)
    net = build_unet(tiny_pix2pix(*sizes).generator)
    save_weights(tmp_path / "mine.safetensors", net.state_dict(), {"net": asdict(net.config), "name": recipe})
    session = open_session(export(tmp_path / "mine.safetensors", tmp_path / "mine.onnx"))
    source = torch.rand(1, sizes[0], 256, 256) * 2 - 1
    drawn = load_unet(tmp_path / "mine.onnx")(source)
    np.testing.assert_allclose(session.run(["drawn"], {"source": source.numpy()})[0], drawn.numpy(), atol=1e-4)


@torch.inference_mode()
def test_an_exported_deaging_net_gives_both_pictures(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = build_deaging_net(tiny_deaging())
    torch.nn.init.normal_(net.old.out.weight)
    save_weights(tmp_path / "mine.safetensors", net.state_dict(), {"net": asdict(net.config), "name": "deaging"})
    session = open_session(export(tmp_path / "mine.safetensors", tmp_path / "mine.onnx"))
    picture = torch.rand(1, 3, 32, 32) * 2 - 1
    found = session.run(["young", "old"], {"picture": picture.numpy()})
    for ours, theirs in zip(found, load_deaging_net(tmp_path / "mine.onnx")(picture), strict=True):
        np.testing.assert_allclose(ours, theirs.numpy(), atol=1e-3)


@pytest.mark.parametrize("name", [name for name in EXPORTS if name != "deaging-published"])
def test_shipped_files_are_small(name: str) -> None:
    path = find_weights(name)
    weights = sum(np.prod(constant.dims, dtype=int) for constant in onnx.load(path).graph.initializer)
    assert path.suffix == ".onnx"
    assert path.stat().st_size < 2.1 * weights


def test_other_recipes_are_refused(tmp_path: Path) -> None:
    names = (
        "age-a, age-b, agetransgan, aifd, amgan, deaging, deaging-published, face-parser, landmark-transfer, "
        "reenactment, sketch, sketch-to-photo"
    )
    with pytest.raises(WeightsError, match=rf"can be exported: {names}\.$"):
        export("exemplar", tmp_path / "out.onnx")
