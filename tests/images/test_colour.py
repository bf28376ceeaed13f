import struct
import zlib

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import pytest

from reage.errors import ImageError
from reage.images import load_image
from tests.images.pictures import assert_close, assert_one_sentence, make_pixels, make_profile

OLD_PILLOW = int(PIL.__version__.partition(".")[0]) < 13
YCBCR = pytest.param("YCbCr", marks=pytest.mark.xfail(OLD_PILLOW, reason="Pillow below 13 cannot read its own file"))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", YCBCR, "LAB"])
def test_every_mode_shows_its_colours(tmp_path, mode):
    plain = PIL.Image.fromarray(np.full((20, 20, 3), (255, 255, 255), np.uint8))
    if mode == "LAB":
        srgb, lab = PIL.ImageCms.createProfile("sRGB"), PIL.ImageCms.createProfile("LAB")
        plain = PIL.ImageCms.profileToProfile(plain, srgb, lab, outputMode="LAB")
    plain.convert(mode).save(tmp_path / "a.tif")
    image = load_image(tmp_path / "a.tif")
    assert_close(image.pixels, np.full((20, 20, 3), 255), 1)
    assert (image.alpha is not None) == (mode in ("LA", "PA", "RGBA"))
    assert image.grey == (mode in ("1", "L", "LA"))


def test_transparent_palette_and_transparent_grey_have_alpha(tmp_path):
    picture = PIL.Image.fromarray(make_pixels()).quantize(8)
    picture.save(tmp_path / "a.png", transparency=3)
    expected = np.where(np.asarray(picture) == 3, 0, 255)
    assert np.array_equal(load_image(tmp_path / "a.png").alpha, expected)
    PIL.Image.fromarray(make_pixels()[..., 0]).save(tmp_path / "b.png", transparency=0)
    image = load_image(tmp_path / "b.png")
    assert image.grey
    assert np.array_equal(image.alpha == 0, make_pixels()[..., 0] == 0)


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(tmp_path, suffix):
    levels = np.linspace(0, 65535, 32 * 24).astype(np.uint16).reshape(24, 32)
    PIL.Image.fromarray(levels).save(tmp_path / f"a{suffix}")
    image = load_image(tmp_path / f"a{suffix}")
    assert image.grey
    assert np.array_equal(image.pixels[..., 0], np.rint(levels / 257))


def test_sixteen_bit_colour_is_read_as_eight(tmp_path):
    wide = make_pixels().astype(">u2") * 257
    lines = b"".join(b"\0" + line.tobytes() for line in wide)
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", 32, 24, 16, 2, 0, 0, 0)),
        (b"IDAT", zlib.compress(lines)),
        (b"IEND", b""),
    ]
    body = (
        struct.pack(">I", len(part)) + name + part + struct.pack(">I", zlib.crc32(name + part)) for name, part in chunks
    )
    (tmp_path / "a.png").write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(body))
    assert np.array_equal(load_image(tmp_path / "a.png").pixels, make_pixels())


def test_unbounded_numbers_are_refused(tmp_path):
    PIL.Image.fromarray(np.full((20, 20), 100_000, np.int32)).save(tmp_path / "b.tif")
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "b.tif")
    assert_one_sentence(refusal, "b.tif", "32-bit")


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_cmyk_goes_through_its_profile_to_srgb(tmp_path, suffix):
    inks = [(255 * (1 - k), 128, 128) for c in (0, 1) for m in (0, 1) for y in (0, 1) for k in (0, 1)]
    icc = make_profile("CMYK", [value for lab in inks for value in lab])  # a press whose c, m and y print nothing
    PIL.Image.new("CMYK", (32, 24), (255, 0, 0, 128)).save(tmp_path / f"a{suffix}", icc_profile=icc)
    image = load_image(tmp_path / f"a{suffix}")
    assert_close(image.pixels, np.full((24, 32, 3), 118), 4)
    assert image.icc is None


@pytest.mark.parametrize("icc", [None, b"no profile at all"])
def test_cmyk_without_a_usable_profile_is_converted_plainly(tmp_path, icc):
    PIL.Image.new("CMYK", (32, 24), (255, 0, 0, 0)).save(tmp_path / "a.tif", icc_profile=icc)
    image = load_image(tmp_path / "a.tif")
    assert_close(image.pixels, np.full((24, 32, 3), (0, 255, 255)), 0)
    assert image.icc is None
