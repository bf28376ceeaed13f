"""The shipped ONNX nets give what MediaPipe's own runtime gives, and sessions are opened once."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from reage.errors import EngineError, WeightsError
from reage.images import geometry
from reage.nets.runtime import PROVIDERS, choose_device, find_devices, load_session, open_session
from reage.training.convert import SOURCES
from reage.types import Pixels
from reage.weights import SHIPPED

TOLERANCE_PX = 1e-3
"""Measured: 0.00002 px for boxes, 0.00018 px for the mesh, 0.00001 for logits."""

Stored = dict[str, NDArray]


@pytest.fixture(scope="module")
def stored() -> Stored:
    """Made by the original runtime, see data/README.md there."""
    with np.load(Path(__file__).parent.parent / "faces" / "data" / "mediapipe.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def small(photo: Pixels, stored: Stored) -> Pixels:
    """(192, 192, 3) head and shoulders."""
    return checked(geometry.resize(photo[:384, 20:404], 192, 192), stored["input_sha256"][0])


@pytest.fixture(scope="module")
def large(photo: Pixels, stored: Stored) -> Pixels:
    """(256, 256, 3) the face."""
    return checked(geometry.resize(photo[57:185, 156:284], 256, 256), stored["input_sha256"][1])


def checked(pixels: Pixels, sha256: str) -> Pixels:
    assert hashlib.sha256(pixels.tobytes()).hexdigest() == sha256, "another input than the stored results are of"
    return pixels


def detect(pixels: Pixels) -> list[NDArray]:
    return load_session("face-detector").run(None, {"input": pixels[None] / np.float32(127.5) - 1})


# The nets


def test_the_detector_agrees_with_the_original(small: Pixels, stored: Stored) -> None:
    regressors, logits = detect(small)
    assert regressors.shape == (1, 2304, 16)
    assert stored["logits"].max() > 0
    np.testing.assert_allclose(logits[0, :, 0], stored["logits"], rtol=0, atol=TOLERANCE_PX)
    np.testing.assert_allclose(regressors[0, stored["anchors"]], stored["regressors"], rtol=0, atol=TOLERANCE_PX)


def test_the_mesh_agrees_with_the_original(large: Pixels, stored: Stored) -> None:
    session = load_session("face-mesh")
    outputs = session.run(None, {session.get_inputs()[0].name: large[None] / np.float32(255)})
    for found, name in zip(outputs, ("points", "presence", "third"), strict=True):
        np.testing.assert_allclose(found.ravel(), stored[name].ravel(), rtol=0, atol=TOLERANCE_PX)


def test_onnx_runtime_reports_to_nobody(tmp_path: Path) -> None:
    """Its telemetry notes a session in the folder for temporary files, before it sends anything."""
    code = "from reage.nets import runtime; runtime.find_devices()"
    environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
    subprocess.run([sys.executable, "-c", code], env={**environment, "TMPDIR": str(tmp_path)}, check=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("height", "width"), [(64, 64), (192, 320), (448, 128)])
def test_the_detector_takes_any_multiple_of_64_px(height: int, width: int) -> None:
    regressors, logits = detect(np.zeros((height, width, 3), np.uint8))
    assert regressors.shape == (1, height * width // 16, 16)
    assert logits.shape == (1, height * width // 16, 1)


def test_a_face_in_a_larger_picture_is_found_at_its_place(small: Pixels, stored: Stored) -> None:
    _, logits = detect(np.pad(small, ((0, 64), (64, 0), (0, 0))))
    row, column = divmod(int(logits[0, :, 0].argmax()), 64)
    assert row * 48 + column - 16 in stored["anchors"][:4]
    assert logits.max() == pytest.approx(stored["logits"].max(), abs=1)


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_each_net_says_where_it_comes_from(source) -> None:
    stored = load_session(source.name).get_modelmeta().custom_metadata_map
    assert (stored["name"], stored["source"]) == (source.name, source.file)
    assert (stored["licence"], stored["author"]) == (source.licence, source.author)
    assert stored["recipe"] == "reage training convert"
    assert len(stored["source_sha256"]) == 64
    assert len(stored["commit"]) == 40
    assert stored["version"]


def test_the_cards_name_the_shipped_files_and_their_licence() -> None:
    own = {"age-a", "age-b", "agetransgan", "aifd", "amgan", "face-parser", "landmark-transfer", "reenactment"}
    own |= {"deaging", "sketch", "sketch-to-photo"}
    assert {path.stem for path in SHIPPED.glob("*.onnx")} == {source.name for source in SOURCES} | own
    for source in SOURCES:
        name = "mediapipe" if source.licence == "Apache-2.0" else "identity"
        card = (Path(__file__).parents[2] / "models" / f"{name}.md").read_text()
        assert source.author in card
        assert hashlib.sha256((SHIPPED / f"{source.name}.onnx").read_bytes()).hexdigest()[:12] in card
        assert load_session(source.name).get_modelmeta().custom_metadata_map["source_sha256"][:12] in card
    assert "Apache License" in (SHIPPED / "LICENSE-mediapipe").read_text()


# Sessions


def test_a_session_is_shared() -> None:
    assert load_session("face-mesh") is load_session("face-mesh")
    assert load_session("face-mesh") is not load_session("face-detector")


@pytest.mark.parametrize(("setting", "number"), [("3", 3), ("2,1", 2), ("", 0), ("many", 0), (None, 0)])
def test_threads_are_those_that_are_set(setting: str | None, number: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if setting is not None:
        monkeypatch.setenv("OMP_NUM_THREADS", setting)
    options = open_session(SHIPPED / "face-detector.onnx").get_session_options()
    assert (options.intra_op_num_threads, options.inter_op_num_threads) == (number, 1)


@pytest.mark.parametrize("name", ["magic", "", "../face-mesh"])
def test_an_unknown_net_is_refused(name: str) -> None:
    with pytest.raises(WeightsError, match=r"^There is no net '.*'; use a shipped one \(age-a, .*face-detector.*\)"):
        load_session(name)


@pytest.mark.parametrize("kept", [0, 1000, 0.5])
def test_a_damaged_file_is_refused(kept: float, tmp_path: Path) -> None:
    whole = (SHIPPED / "face-detector.onnx").read_bytes()
    path = tmp_path / "net.onnx"
    path.write_bytes(whole[: int(kept * len(whole)) if kept < 1 else int(kept)])
    with pytest.raises(WeightsError, match=r"net\.onnx is not an ONNX file that onnxruntime can read; export .*\.$"):
        open_session(path)


# Devices


def test_the_cpu_is_always_there() -> None:
    assert find_devices()[-1] == "cpu"
    assert choose_device("cpu") == "cpu"
    assert choose_device("auto") == find_devices()[0]
    assert open_session(SHIPPED / "face-expression.onnx", "auto").get_providers()[-1] == PROVIDERS["cpu"]


@pytest.fixture
def built_for_cuda(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As if ONNX Runtime were built for graphics cards of which this computer has none."""
    find_devices.cache_clear()
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: [PROVIDERS["cuda"], PROVIDERS["cpu"]])
    yield
    find_devices.cache_clear()


@pytest.mark.usefixtures("built_for_cuda")
def test_a_device_without_its_driver_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reage.nets.runtime._works", lambda provider: provider == PROVIDERS["cpu"])
    assert find_devices() == ("cpu",)
    with pytest.raises(EngineError, match=r"^The device 'cuda' cannot be used on this computer; use cpu, see .*\.$"):
        load_session("face-mesh", "cuda")
    assert choose_device("auto") == "cpu"


@pytest.mark.usefixtures("built_for_cuda")
def test_auto_takes_a_graphics_card_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reage.nets.runtime._works", lambda provider: True)
    assert find_devices() == ("cuda", "cpu")
    assert choose_device("auto") == choose_device("cuda") == "cuda"


@pytest.mark.parametrize("device", ["magic", "", "CPU", "cuda:0"])
def test_an_unknown_device_is_refused(device: str) -> None:
    with pytest.raises(EngineError, match=r"^There is no device '.*'; use one of cuda, .*cpu, or auto\.$"):
        choose_device(device)
