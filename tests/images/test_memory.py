import subprocess
import sys

import numpy as np
import PIL.Image
import pytest

from reage.errors import ImageError
from reage.images import Image, load_image, memory, save_image
from tests.images.pictures import assert_one_sentence, make_pixels


def test_a_picture_above_the_limit_is_refused_before_it_is_decoded(tmp_path):
    PIL.Image.new("L", (2000, 1500)).save(tmp_path / "a.png")
    content = (tmp_path / "a.png").read_bytes()
    (tmp_path / "a.png").write_bytes(content[: len(content) // 2])  # it could not be decoded
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.png", max_megapixels=2.9)
    assert_one_sentence(refusal, "2000 x 1500 px", "2.9 megapixels", "3 megapixels need 0.1 GB", "--max-megapixels")


def test_all_frames_count(tmp_path):
    frames = tuple(Image(pixels=np.roll(make_pixels(), number, 1), duration_ms=50) for number in range(1, 11))
    save_image(Image(pixels=make_pixels(), duration_ms=50, more=frames), tmp_path / "a.png")
    load_image(tmp_path / "a.png", max_megapixels=0.001)
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.png", frame=None, max_megapixels=0.001)
    assert_one_sentence(refusal, "11 frames", "--frame")


def test_a_picture_that_needs_more_than_is_free_is_refused(tmp_path, monkeypatch):
    save_image(Image(pixels=make_pixels()), tmp_path / "a.png")
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.png")
    assert_one_sentence(refusal, "a.png", "GB are free", "smaller copy")


def test_a_lack_of_memory_is_told_as_such(tmp_path, monkeypatch):
    PIL.Image.new("RGB", (3000, 2000)).save(tmp_path / "a.jpg")

    def fail(self):
        raise MemoryError

    monkeypatch.setattr(PIL.Image.Image, "load", fail)
    monkeypatch.setattr("PIL.JpegImagePlugin.JpegImageFile.load", fail)
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.jpg")
    assert_one_sentence(refusal, "does not fit the memory", "6 megapixels need 0.1 GB", "smaller copy")


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_limit_of_the_process_is_respected(tmp_path):
    PIL.Image.new("L", (12_000, 10_000)).save(tmp_path / "a.png")
    script = """
import resource, sys
from reage.errors import ImageError
from reage.images import load_image
resource.setrlimit(resource.RLIMIT_AS, (2 * 10**9, 2 * 10**9))
try:
    load_image(sys.argv[1])
except ImageError as error:
    print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.png"], capture_output=True, text=True, check=True
    )
    assert "120 megapixels need" in done.stdout
    assert "GB are free" in done.stdout


def test_free_memory_is_known_here():
    assert (memory.free_bytes() or 1) > 0
