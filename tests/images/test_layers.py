"""The files of layers: all or none, and no other file overwritten."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from reage.errors import ImageError
from reage.images import check_layers, replace_layers
from reage.types import Layers

NAMES = {"moved.png", "gain.tiff", "added.tiff", "skin.png", "hair.png", "mask.png", "README.txt"}


@pytest.fixture
def layers() -> Layers:
    random = np.random.default_rng(0)
    return Layers(
        moved=random.integers(0, 256, (20, 30, 3), dtype=np.uint8),
        gain=random.normal(0, 0.3, (20, 30, 3)).astype(np.float32),
        added=random.normal(0, 9, (20, 30, 3)).astype(np.float32),
        skin=random.random((20, 30), np.float32),
        hair=random.random((20, 30), np.float32),
    )


def test_all_files_appear_at_the_end(tmp_path: Path, layers: Layers) -> None:
    folder = check_layers(tmp_path / "layers", [])
    assert not folder.exists()
    with replace_layers(folder, layers):
        assert not any((folder / name).exists() for name in NAMES)
    assert {path.name for path in folder.iterdir()} == NAMES
    mask = cv2.imread(str(folder / "mask.png"), cv2.IMREAD_UNCHANGED)
    assert (mask.dtype, mask.shape, mask.min()) == (np.uint16, (20, 30), 65535)
    skin = cv2.imread(str(folder / "skin.png"), cv2.IMREAD_UNCHANGED)
    np.testing.assert_allclose(skin / 65535, layers.skin, atol=1e-5)
    text = (folder / "README.txt").read_text()
    assert "floor = 7.65" in text
    assert "(moved + floor) * exp(gain) - floor + added" in text


@pytest.mark.parametrize("there_before", [True, False])
def test_failure_leaves_nothing(tmp_path: Path, layers: Layers, there_before: bool) -> None:
    folder = tmp_path / "layers"
    if there_before:
        folder.mkdir()
        (folder / "moved.png").write_text("earlier")
    with pytest.raises(ImageError, match="no room"), replace_layers(folder, layers):
        raise ImageError("no room")
    assert folder.exists() == there_before
    if there_before:
        assert [path.read_text() for path in folder.iterdir()] == ["earlier"]


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, layers: Layers) -> None:
    (tmp_path / "file").write_text("")
    for folder in (tmp_path / "file", tmp_path / "missing" / "layers"):
        with pytest.raises(ImageError, match=r"\.$"):
            check_layers(folder, [])
        with pytest.raises(ImageError, match=r"\.$"), replace_layers(folder, layers):
            pass
    assert {path.name for path in tmp_path.iterdir()} == {"file"}


def test_files_that_are_kept_are_not_overwritten(tmp_path: Path) -> None:
    kept = tmp_path / "mask.png"
    with pytest.raises(ImageError, match=r"mask.png' would be overwritten"):
        check_layers(tmp_path, [kept])
    assert check_layers(tmp_path, [tmp_path / "photo.png"]) == tmp_path
    (tmp_path / "gain.tiff").mkdir()
    with pytest.raises(ImageError, match=r"gain.tiff' is a folder"):
        check_layers(tmp_path, [])
