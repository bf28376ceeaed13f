import cv2
import numpy as np
import PIL.Image
import pytest

from reage.errors import ImageError
from reage.images import Image, load_image, save_image
from reage.images.samples import to_eight_bits
from tests.images.pictures import OLD_PACKET, assert_one_sentence, make_exif, make_pixels, make_srgb

NOISE = np.random.default_rng(0).integers(0, 65536, (24, 32, 4)).astype(np.uint16)
RAMP = np.linspace(0, 65535, 64 * 64).astype(np.uint16).reshape(64, 64, 1).repeat(3, -1)


def write_png(path, samples):
    swapped = samples if samples.ndim == 2 else samples[..., [2, 1, 0, 3][: samples.shape[2]]]
    path.write_bytes(cv2.imencode(".png", swapped)[1].tobytes())


@pytest.mark.parametrize("samples", [NOISE[..., 0], NOISE[..., :3], NOISE], ids=["grey", "rgb", "rgba"])
def test_16_bit_png_comes_back_exactly(tmp_path, samples):
    write_png(tmp_path / "a.png", samples)
    image = load_image(tmp_path / "a.png")
    colour = samples[..., None] if samples.ndim == 2 else samples[..., :3]
    np.testing.assert_array_equal(image.deep, np.broadcast_to(colour, (24, 32, 3)))
    np.testing.assert_array_equal(image.pixels, to_eight_bits(image.deep))
    assert image.grey == (samples.ndim == 2)
    assert save_image(image, tmp_path / "b.png", altered=False) == ()
    again = load_image(tmp_path / "b.png")
    np.testing.assert_array_equal(again.deep, image.deep)
    assert again.grey == image.grey
    if samples.shape[2:] == (4,):
        np.testing.assert_array_equal(again.alpha, NOISE[..., 3])


def test_16_bit_png_has_all_the_metadata_of_an_8_bit_one(tmp_path):
    metadata = {
        "exif": make_exif(),
        "icc": make_srgb(),
        "xmp": OLD_PACKET,
        "texts": {"Title": "Ömä"},
        "dpi": (300, 300),
    }
    save_image(
        Image(pixels=to_eight_bits(NOISE[..., :3]), deep=NOISE[..., :3], **metadata), tmp_path / "a.png", altered=False
    )
    back = load_image(tmp_path / "a.png")
    assert {name: getattr(back, name) for name in metadata} == metadata


def test_16_bit_png_is_turned_by_its_exif(tmp_path):
    deep = NOISE[..., :3]
    for number in range(1, 9):
        save_image(
            Image(pixels=to_eight_bits(deep), deep=deep, exif=make_exif(number)), tmp_path / "a.png", altered=False
        )
        PIL.Image.fromarray(to_eight_bits(deep)).save(tmp_path / "b.png", exif=make_exif(number))
        np.testing.assert_array_equal(
            to_eight_bits(load_image(tmp_path / "a.png").deep), load_image(tmp_path / "b.png").pixels
        )


def test_heic_of_10_bits_keeps_them(tmp_path):
    save_image(
        Image(pixels=to_eight_bits(RAMP), deep=RAMP, exif=make_exif(), xmp=OLD_PACKET),
        tmp_path / "a.heic",
        altered=False,
    )
    image = load_image(tmp_path / "a.heic")
    assert len(np.unique(image.deep >> 6)) > 600
    assert np.abs(image.deep.astype(int) - RAMP).max() < 600
    assert image.xmp == OLD_PACKET
    assert b"Leica" in image.exif
    assert image.deep.max() == 65535


def test_avif_of_10_bits_is_read_with_them(tmp_path):
    small = (RAMP >> 6)[..., ::-1]
    done, file = cv2.imencode(
        ".avif", np.ascontiguousarray(small), [cv2.IMWRITE_AVIF_DEPTH, 10, cv2.IMWRITE_AVIF_QUALITY, 95]
    )
    assert done
    (tmp_path / "a.avif").write_bytes(file.tobytes())
    image = load_image(tmp_path / "a.avif")
    assert image.deep is not None
    assert np.abs(image.deep.astype(int) - RAMP).max() < 700
    assert "16 bits per channel" in save_image(image, tmp_path / "b.avif")[0]


def test_jpeg_2000_of_16_bits_is_read_with_them(tmp_path):
    file = cv2.imencode(".jp2", RAMP, [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000])[1]
    (tmp_path / "a.jp2").write_bytes(file.tobytes())
    np.testing.assert_array_equal(load_image(tmp_path / "a.jp2").deep, RAMP)


@pytest.mark.parametrize("suffix", [".png", ".tif", ".heic", ".jp2", ".avif"])
def test_deep_files_cut_short_are_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 65536, (64, 64, 3)).astype(np.uint16)
    options = {".avif": [cv2.IMWRITE_AVIF_DEPTH, 10], ".jp2": [cv2.IMWRITE_JPEG2000_COMPRESSION_X1000, 1000]}
    if suffix in options:
        whole = cv2.imencode(suffix, noise >> 6 if suffix == ".avif" else noise, options[suffix])[1].tobytes()
    else:
        save_image(Image(pixels=to_eight_bits(noise), deep=noise), tmp_path / f"a{suffix}")
        whole = (tmp_path / f"a{suffix}").read_bytes()
    for share in (0.3, 0.6, 0.99):
        (tmp_path / f"b{suffix}").write_bytes(whole[: int(share * len(whole))])
        with pytest.raises(ImageError) as refusal:
            load_image(tmp_path / f"b{suffix}")
        assert_one_sentence(refusal, f"b{suffix}")


@pytest.mark.parametrize("suffix", [".jpg", ".webp", ".avif", ".jp2", ".bmp"])
def test_16_bits_that_a_format_cannot_keep_are_noted(tmp_path, suffix):
    image = Image(pixels=make_pixels(), deep=make_pixels() * np.uint16(257))
    (note,) = save_image(image, tmp_path / f"a{suffix}", altered=False)
    assert note == f"{suffix} cannot keep the 16 bits per channel; .png or .tif can."
    assert load_image(tmp_path / f"a{suffix}").deep is None
