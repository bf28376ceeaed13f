"""A folder to work in, with a photo of one face, and a photo of two."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from reage.images import Image, geometry, save_image
from reage.types import Pixels


def make_photo() -> Pixels:
    """(256, 256, 3) head and shoulders out of the demo photo."""
    return skimage.data.astronaut()[:256, 96:352].copy()


@pytest.fixture(scope="session")
def write() -> Callable[[Pixels, Path], Path]:
    """Writes pixels to a file, and returns its path."""

    def write_pixels(pixels: Pixels, path: Path) -> Path:
        save_image(Image(pixels=pixels), path, altered=False)
        return path

    return write_pixels


@pytest.fixture
def desk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Pixels, Path], Path]) -> Iterator[Path]:
    """The current folder, with photos/me.png in it; nothing may change the photos."""
    (tmp_path / "photos").mkdir()
    write(make_photo(), tmp_path / "photos" / "me.png")
    monkeypatch.chdir(tmp_path)
    before = (tmp_path / "photos" / "me.png").read_bytes()
    yield tmp_path
    assert (tmp_path / "photos" / "me.png").read_bytes() == before


@pytest.fixture
def me(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Pixels, Path], Path]) -> Iterator[Path]:
    """Head and shoulders out of the demo photo, alone in the current folder, which nothing may change."""
    monkeypatch.chdir(tmp_path)
    photo = write(make_photo(), Path("me.png"))
    before = photo.read_bytes()
    yield photo
    assert photo.read_bytes() == before


@pytest.fixture
def pair(desk: Path, write: Callable[[Pixels, Path], Path]) -> Path:
    """A photo with two faces, the second smaller."""
    person = make_photo()
    smaller = np.full_like(person, person[0, 0])
    smaller[20:220, 20:220] = geometry.resize(person, 200, 200)
    return write(np.hstack([person, smaller]), desk / "pair.png")
