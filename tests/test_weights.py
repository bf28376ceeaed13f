"""Weights files: saved, loaded, found, refused."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from reage import weights
from reage.errors import WeightsError

CONFIG = {"net": {"width": 8, "stages": [[4, 1]]}, "seed": 3, "recipe": "tiny"}


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    tensors = {"kernel": np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3), "count": np.array([7, 300_000])}
    weights.save_weights(tmp_path / "new" / "w.safetensors", tensors, CONFIG)
    return tmp_path / "new" / "w.safetensors"


def test_what_is_saved_is_loaded(saved: Path) -> None:
    arrays, config = weights.load_weights(saved)
    assert config == CONFIG
    assert arrays["kernel"].dtype == np.float32
    np.testing.assert_allclose(arrays["kernel"], np.linspace(-1, 1, 6).reshape(2, 3), atol=5e-4)
    np.testing.assert_array_equal(arrays["count"], [7, 300_000])


def test_torch_tensors_go_in_and_come_out(tmp_path: Path) -> None:
    net = torch.nn.Conv2d(3, 4, 3).to(memory_format=torch.channels_last)
    weights.save_weights(tmp_path / "w.safetensors", net.state_dict(), CONFIG, fp16=False)
    tensors, config = weights.load_torch_weights(tmp_path / "w.safetensors")
    assert config == CONFIG
    assert all(torch.equal(tensors[name], value) for name, value in net.state_dict().items())


def test_floats_are_stored_in_16_bits_by_default(tmp_path: Path) -> None:
    tensors = {"w": np.ones(5000, np.float32)}
    weights.save_weights(tmp_path / "fp16", tensors, {})
    weights.save_weights(tmp_path / "full", tensors, {}, fp16=False)
    assert (tmp_path / "full").stat().st_size - (tmp_path / "fp16").stat().st_size == 10_000


def test_saving_replaces_the_file_and_leaves_nothing_else(saved: Path) -> None:
    weights.save_weights(saved, {"w": np.zeros(1)}, {"seed": 4})
    assert weights.load_weights(saved)[1] == {"seed": 4}
    assert [file.name for file in saved.parent.iterdir()] == [saved.name]


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x10" + b"\x00" * 40])
def test_a_damaged_file_is_refused_in_a_sentence(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "w.safetensors").write_bytes(content)
    with pytest.raises(WeightsError, match="damaged"):
        weights.load_weights(tmp_path / "w.safetensors")


def test_a_cut_file_is_damaged(saved: Path) -> None:
    saved.write_bytes(saved.read_bytes()[:-1])
    with pytest.raises(WeightsError, match="damaged"):
        weights.load_weights(saved)


def test_a_file_without_config_was_not_written_by_reage(tmp_path: Path) -> None:
    from safetensors.numpy import save_file

    save_file({"w": np.zeros(2)}, tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match="no config"):
        weights.load_weights(tmp_path / "w.safetensors")


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsError, match="no weights file at"):
        weights.load_weights(tmp_path / "w.safetensors")
    with pytest.raises(WeightsError, match=r"'nobody'.*age-a"):
        weights.find_weights("nobody")


def test_weights_cannot_be_written_into_a_file(saved: Path) -> None:
    with pytest.raises(WeightsError, match="choose another place"):
        weights.save_weights(saved / "w.safetensors", {}, {})


def test_shipped_weights_go_by_name_and_others_by_path(saved: Path) -> None:
    assert weights.find_weights("skin").name == "skin.safetensors"
    assert weights.find_weights("age-a").name == "age-a.onnx"
    assert weights.find_weights(saved) == saved
    assert weights.find_weights(str(saved)) == saved


def test_the_hash_names_the_content(saved: Path) -> None:
    first = weights.weights_hash(saved)
    assert len(first) == 12
    assert int(first, 16) >= 0
    weights.save_weights(saved, {"w": np.zeros(1)}, {})
    assert weights.weights_hash(saved) != first


def test_reading_weights_needs_no_torch(saved: Path) -> None:
    read = f"import sys; from reage.weights import load_weights; load_weights({str(saved)!r})"
    code = f"{read}; print('torch' in sys.modules)"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.strip() == "False"


def test_an_exported_net_is_read_back_with_its_config(tmp_path: Path) -> None:
    tensors, config = weights.load_torch_weights(weights.find_weights("amgan"))
    assert config["name"] == "amgan"
    assert config["net"]["widths"] == [32, 64, 128]
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert tensors["change.weight"].shape == (10, 16, 3, 3)
    (tmp_path / "cut.onnx").write_bytes(weights.find_weights("amgan").read_bytes()[:1000])
    with pytest.raises(WeightsError, match="damaged"):
        weights.load_torch_weights(tmp_path / "cut.onnx")
    with pytest.raises(WeightsError, match="net for ONNX Runtime"):
        weights.load_weights(weights.find_weights("amgan"))
