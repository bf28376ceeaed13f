"""dlib's recognizer, `aifd`, and recognizers from ONNX files, tested with tiny nets that return the mean colour."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper

from reage.errors import WeightsError
from reage.faces.mesh import to_ibug
from reage.images import geometry
from reage.images.tensors import to_net
from reage.measure.recognizers import (
    ARCFACE_POINTS,
    CHIP_PX,
    SAME_PERSON_DISTANCE,
    AifdRecognizer,
    DlibRecognizer,
    FaceRecognizer,
    OnnxRecognizer,
    align_for_arcface,
    arcface_from_image,
    identity_distance,
    load_recognizer,
    make_chip,
)
from reage.nets.aifd import build_aifd, load_aifd, tiny
from reage.training.export import export
from reage.types import Face, Pixels, Plane
from reage.weights import save_weights

EYES_NOSE_MOUTH = np.array(
    [[38.2946, 51.6963], [73.5318, 51.5014], [56.0252, 71.7366], [41.5493, 92.3655], [70.7299, 92.2041]]
)
"""ArcFace's template."""

WHOLE, LEFT = 112, 40
MakeNet = Callable[..., Path]


# dlib


@pytest.fixture(scope="module")
def dlibs() -> dict[str, NDArray]:
    """Made by dlib, see data/README.md."""
    with np.load(Path(__file__).parent / "data" / "dlib.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def recognizer() -> DlibRecognizer:
    return DlibRecognizer.load()


def test_the_chip_is_about_dlibs_own(photo: Pixels, dlibs: dict[str, NDArray], recognizer: DlibRecognizer) -> None:
    chip = make_chip(photo, dlibs["landmarks"])
    difference = np.abs(chip.astype(int) - dlibs["chip"])
    assert np.median(difference) <= 3
    assert difference.mean() < 5
    ours, theirs = recognizer.embed_chips(np.stack([chip, dlibs["chip"]]))
    assert identity_distance(ours, theirs) < 0.1


def test_chips_of_any_size_show_the_same(photo: Pixels, dlibs: dict[str, NDArray]) -> None:
    small = make_chip(photo, dlibs["landmarks"], 75)
    assert small.shape == (75, 75, 3)
    shrunk = geometry.resize(make_chip(photo, dlibs["landmarks"]), 75, 75)
    assert np.abs(small.astype(int) - shrunk).mean() < 4


def test_the_identity_is_dlibs_own(dlibs: dict[str, NDArray], recognizer: DlibRecognizer) -> None:
    (embedding,) = recognizer.embed_chips(dlibs["chip"][None])
    assert identity_distance(embedding, dlibs["embedding"]) < 2e-3


def test_many_chips_are_embedded_as_one(dlibs: dict[str, NDArray], recognizer: DlibRecognizer) -> None:
    many = recognizer.embed_chips(np.repeat(dlibs["chip"][None], 34, 0))
    assert many.shape == (34, 128)
    np.testing.assert_allclose(many, many[:1].repeat(34, 0), atol=1e-5)


def test_a_darker_copy_is_the_same_person(face: Face, recognizer: DlibRecognizer) -> None:
    points = face.to_crop(face.landmarks)
    dark = (face.crop * 0.6).astype(np.uint8)
    crops = np.stack([face.crop, dark, face.crop[:, ::-1]])
    mirrored_points = (points * (-1, 1) + (len(face.crop) - 1, 0))[[3, 2, 1, 0, 4]]
    identities = recognizer.embed_crops(crops, np.stack([points, points, mirrored_points]))
    distances = identity_distance(identities[:1], identities)
    assert distances.shape == (3,)
    assert distances[0] == 0
    assert 0 < distances[1] < distances[2] < SAME_PERSON_DISTANCE


def test_noise_is_nobody_the_astronaut_knows(face: Face, recognizer: DlibRecognizer) -> None:
    noise = np.random.default_rng(0).integers(0, 256, face.crop.shape, np.uint8)
    points = face.to_crop(face.landmarks)
    assert (
        identity_distance(recognizer.embed(face.crop, points), recognizer.embed(noise, points)) > SAME_PERSON_DISTANCE
    )


# aifd


@pytest.fixture(scope="module")
def tiny_aifd(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a small untrained encoder."""
    torch.manual_seed(0)
    config = replace(tiny(), input_px=CHIP_PX)
    path = tmp_path_factory.mktemp("aifd") / "mine.safetensors"
    settings = {"net": asdict(config), "threshold": "0.25", "name": "aifd"}
    save_weights(path, build_aifd(config).state_dict(), settings)
    return export(path, path.with_suffix(".onnx"))


def test_aifd_adds_a_face_and_its_mirror_image(tiny_aifd: Path, dlibs: dict[str, NDArray]) -> None:
    recognizer, chips = AifdRecognizer.load(tiny_aifd), dlibs["chip"][None]
    (found,) = recognizer.embed_chips(chips)
    with torch.inference_mode():
        x = to_net(chips)
        net = load_aifd(tiny_aifd)
        expected = (net.embed(x) + net.embed(x.flip(3)))[0].numpy()
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    np.testing.assert_allclose(recognizer.embed_chips(np.ascontiguousarray(chips[:, :, ::-1]))[0], found, atol=1e-5)
    assert (recognizer.name, recognizer.threshold) == ("aifd", 0.25)


def test_aifd_is_a_recognizer_by_cosine(tiny_aifd: Path, face: Face) -> None:
    recognizer: FaceRecognizer = AifdRecognizer.load(tiny_aifd)
    points = face.to_crop(face.landmarks)
    many = recognizer.embed_crops(np.stack([face.crop, face.crop // 2]), np.stack([points, points]))
    np.testing.assert_allclose(many[1], recognizer.embed(face.crop // 2, points), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(many, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(recognizer.similarity(many[:1], many), [1, many[0] @ many[1]], atol=1e-5)


def test_aifd_knows_the_astronaut_and_not_noise(face: Face) -> None:
    recognizer = AifdRecognizer.load()
    points = face.to_crop(face.landmarks)
    noise = np.random.default_rng(0).integers(0, 256, face.crop.shape, np.uint8)
    pictures = np.stack([face.crop, (face.crop * 0.6).astype(np.uint8), noise])
    itself, dark, other = recognizer.embed_crops(pictures, np.stack([points] * 3))
    assert recognizer.similarity(itself, dark) > recognizer.threshold > recognizer.similarity(itself, other)


def test_other_weights_are_not_aifd(make_net: MakeNet, tiny_aifd: Path) -> None:
    for weights in (make_net(), "age-a"):
        with pytest.raises(WeightsError, match="not made for the recognizer aifd"):
            AifdRecognizer.load(weights)


def test_a_recognizer_is_found_by_name_or_file(make_net: MakeNet) -> None:
    assert isinstance(load_recognizer("aifd"), AifdRecognizer)
    found = load_recognizer(make_net(), "adaface")
    assert isinstance(found, OnnxRecognizer)
    assert found.kind == "adaface"


# ONNX


@pytest.fixture
def make_net(tmp_path: Path) -> MakeNet:
    """Writes a net that gives the mean colour of the left `columns` it sees, and a 1: (N, 4)."""

    def make(
        number: int | str = "N",
        *,
        channels_last: bool = False,
        columns: int = WHOLE,
        flat: bool = False,
        norm: bool = False,
    ) -> Path:
        shape = [number, 112, 112, 3] if channels_last else [number, 3, 112, 112]
        rows_and_columns = [1, 2] if channels_last else [2, 3]
        constants = {
            "start": [0],
            "stop": [columns],
            "axis": rows_and_columns[1:],
            "pads": [0, 0, 0, 1],
            "sizes": [1, -1],
        }
        nodes = [
            helper.make_node("Slice", ["face", "start", "stop", "axis"], ["part"]),
            helper.make_node("ReduceMean", ["part"], ["mean"], axes=rows_and_columns, keepdims=0),
            helper.make_node("Pad", ["mean", "pads", "one"], ["padded"]),
            helper.make_node("Reshape", ["padded", "sizes"], ["embedding"]) if flat else None,
            None if flat else helper.make_node("Identity", ["padded"], ["embedding"]),
            helper.make_node("ReduceL2", ["embedding"], ["norm"], axes=[1]) if norm else None,
        ]
        stored = [helper.make_tensor(name, TensorProto.INT64, [len(v)], v) for name, v in constants.items()]
        stored.append(helper.make_tensor("one", TensorProto.FLOAT, [], [1.0]))
        outputs = ["norm", "embedding"] if norm else ["embedding"]
        return write(nodes, shape, outputs, stored, tmp_path / "tiny.onnx")

    return make


def write(nodes: list, shape: list, outputs: list[str], stored: list, path: Path) -> Path:
    graph = helper.make_graph(
        [node for node in nodes if node is not None],
        "tiny",
        [helper.make_tensor_value_info("face", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        stored,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8), path)
    return path


def faces_of(colour: tuple[int, int, int], number: int = 1) -> Pixels:
    return np.full((number, 112, 112, 3), colour, np.uint8)


def noise(number: int) -> Pixels:
    return np.random.default_rng(3).integers(0, 256, (number, 112, 112, 3)).astype(np.uint8)


@pytest.mark.parametrize("channels_last", [False, True])
@pytest.mark.parametrize(("kind", "channels"), [("arcface", [0, 1, 2]), ("adaface", [2, 1, 0])])
def test_each_kind_has_its_order_of_colours(
    make_net: MakeNet, kind: str, channels: list[int], channels_last: bool
) -> None:
    recognizer = OnnxRecognizer.load(make_net(channels_last=channels_last), kind)
    (embedding,) = recognizer.embed_aligned(faces_of((255, 10, 100)))
    expected = (np.array([255, 10, 100])[channels] - 127.5) / 127.5
    np.testing.assert_allclose(embedding[:3] / embedding[3], expected, atol=1e-3)
    assert embedding.dtype == np.float32
    assert np.linalg.norm(embedding) == pytest.approx(1, abs=1e-6)
    assert (recognizer.name, recognizer.kind) == ("tiny", kind)


@pytest.mark.parametrize(("degrees", "size", "shift"), [(0, 1, (0, 0)), (25, 3.7, (210, -14)), (-140, 0.4, (5, 800))])
def test_a_moved_face_gets_back_to_its_place(degrees: float, size: float, shift: tuple[float, float]) -> None:
    angle = np.deg2rad(degrees)
    turn = size * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    points = (ARCFACE_POINTS @ turn.T + shift).astype(np.float32)
    template = EYES_NOSE_MOUTH @ turn.T + shift
    matrix = arcface_from_image(points)
    np.testing.assert_allclose(geometry.move_points(points, matrix), ARCFACE_POINTS, atol=0.01)
    np.testing.assert_allclose(geometry.move_points(template, matrix), EYES_NOSE_MOUTH, atol=0.01)


def test_a_real_face_lies_as_its_eyes_nose_and_mouth_would_put_it(face: Face) -> None:
    points = to_ibug(face.mesh)
    own = np.stack([points[36:42].mean(0), points[42:48].mean(0), points[30], points[48], points[54]])
    by_arcface = geometry.move_points(own, geometry.fit_similarity(own, EYES_NOSE_MOUTH))
    ours = geometry.move_points(own, arcface_from_image(face.landmarks))
    assert np.linalg.norm(ours - by_arcface, axis=1).max() < 3
    assert np.linalg.norm(by_arcface - EYES_NOSE_MOUTH, axis=1).max() < 8


def test_pixels_follow_the_points(photo: Pixels, face: Face) -> None:
    straight = align_for_arcface(photo, face.landmarks)
    turned = align_for_arcface(np.ascontiguousarray(photo[::-1, ::-1]), 511 - face.landmarks)
    assert straight.shape == (112, 112, 3)
    assert np.abs(straight.astype(int) - turned).mean() < 1


def test_a_mirrored_face_is_the_same(make_net: MakeNet) -> None:
    recognizer = OnnxRecognizer.load(make_net(columns=LEFT))
    faces = noise(3)
    faces[:, :, :LEFT] //= 2
    mirrored = np.ascontiguousarray(faces[:, :, ::-1])
    np.testing.assert_allclose(recognizer.embed_aligned(faces), recognizer.embed_aligned(mirrored), atol=1e-6)
    (embedding,) = recognizer.embed_aligned(faces[:1])
    sides = np.concatenate([faces[0, :, :LEFT], faces[0, :, -LEFT:]]).mean((0, 1)) / 127.5 - 1
    np.testing.assert_allclose(embedding[:3] / embedding[3], sides, atol=1e-4)


@pytest.mark.parametrize("net", [{"number": 1}, {"flat": True}, {"norm": True}, {"number": 1, "channels_last": True}])
def test_files_for_one_face_or_with_a_norm_give_the_same(make_net: MakeNet, net: dict[str, object]) -> None:
    faces = noise(35)
    expected = OnnxRecognizer.load(make_net(columns=LEFT)).embed_aligned(faces)
    assert expected.shape == (35, 4)
    given = OnnxRecognizer.load(make_net(columns=LEFT, **net)).embed_aligned(faces)
    np.testing.assert_allclose(given, expected, atol=1e-6)


def test_many_crops_give_the_same_as_one_by_one(make_net: MakeNet, face: Face) -> None:
    recognizer = OnnxRecognizer.load(make_net())
    points = face.to_crop(face.landmarks)
    crops = np.stack([face.crop, face.crop // 2])
    both = recognizer.embed_crops(crops, np.stack([points, points]))
    np.testing.assert_allclose(both[1], recognizer.embed(face.crop // 2, points), atol=1e-6)
    assert recognizer.embed_crops(crops[:0], np.empty((0, 5, 2), np.float32)).shape == (0, 4)


def test_similarity_is_a_cosine() -> None:
    a: Plane = np.array([[1, 0], [1, 1], [2, 0]], np.float32)
    b: Plane = np.array([[0, 3], [2, 2], [-1, 0]], np.float32)
    np.testing.assert_allclose(OnnxRecognizer.similarity(a, b), [0, 1, -1], atol=1e-6)
    assert OnnxRecognizer.similarity(a[0], a[1]) == pytest.approx(np.sqrt(0.5))


def test_the_net_leaves_threads_to_others(make_net: MakeNet) -> None:
    options = OnnxRecognizer.load(make_net())._session.get_session_options()
    assert options.intra_op_num_threads == torch.get_num_threads()


def test_no_file_no_net_no_such_kind(make_net: MakeNet, tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no face net at"):
        OnnxRecognizer.load(tmp_path / "none.onnx")
    (tmp_path / "text.onnx").write_text("no net")
    with pytest.raises(WeightsError, match="not an ONNX file"):
        OnnxRecognizer.load(tmp_path / "text.onnx")
    with pytest.raises(WeightsError, match="use arcface or adaface"):
        OnnxRecognizer.load(make_net(), "facenet")


@pytest.mark.parametrize("shape", [["N", 3, 160, 160], ["N", 1, 112, 112], [3, 112, 112], ["N", 37632]])
def test_another_input_is_refused(tmp_path: Path, shape: list) -> None:
    path = write(
        [helper.make_node("Identity", ["face"], ["embedding"])], shape, ["embedding"], [], tmp_path / "other.onnx"
    )
    with pytest.raises(WeightsError, match=r"The net of other takes .* 3x112x112"):
        OnnxRecognizer.load(path)


def test_two_identities_are_refused(tmp_path: Path) -> None:
    nodes = [helper.make_node("Identity", ["face"], [name]) for name in ("a", "b")]
    path = write(nodes, ["N", 3, 112, 112], ["a", "b"], [], tmp_path / "two.onnx")
    with pytest.raises(WeightsError, match="gives 2 outputs"):
        OnnxRecognizer.load(path)


def test_a_file_for_four_faces_is_refused(make_net: MakeNet) -> None:
    with pytest.raises(WeightsError, match="cannot take one face"):
        OnnxRecognizer.load(make_net(4))
