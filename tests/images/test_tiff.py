import numpy as np
import PIL.Image
import pytest

from reage.errors import ImageError
from reage.images import Image, load_image, save_image
from tests.images.pictures import MAKE, assert_one_sentence, make_exif, make_pixels, make_srgb, write_tiff

NOISE = np.random.default_rng(0).integers(0, 65536, (24, 32, 4)).astype(np.uint16)


@pytest.mark.parametrize(("order", "big"), [("<", False), (">", False), ("<", True)])
@pytest.mark.parametrize("kind", [np.uint16, np.float32])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_deep_samples_are_read_and_written_exactly(tmp_path, channels, kind, order, big):
    samples = NOISE[..., :channels]
    if kind == np.float32:
        samples = samples / np.float32(65535)
    write_tiff(tmp_path / "a.tif", samples, order=order, big=big)
    image = load_image(tmp_path / "a.tif")
    assert image.deep.dtype == kind
    assert image.grey == (channels == 1)
    np.testing.assert_array_equal(image.deep, np.broadcast_to(samples[..., :3], (24, 32, 3)))
    save_image(image, tmp_path / "b.tif")
    again = load_image(tmp_path / "b.tif")
    np.testing.assert_array_equal(again.deep, image.deep)
    assert (again.alpha is None) == (channels != 4)
    if channels == 4:
        np.testing.assert_array_equal(again.alpha, NOISE[..., 3])


def test_white_is_the_greatest_number_after_reading(tmp_path):
    write_tiff(tmp_path / "a.tif", NOISE[..., :1], tags={262: 0})
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif").deep[..., 0], 65535 - NOISE[..., 0])


def test_colour_multiplied_by_alpha_is_divided_by_it(tmp_path):
    colour, alpha = NOISE[..., :3] // 2, np.full((24, 32, 1), 32768, np.uint16)
    write_tiff(tmp_path / "a.tif", np.concatenate([colour // 2, alpha], -1), tags={338: 1})
    back = load_image(tmp_path / "a.tif").deep.astype(int)
    assert np.abs(back - colour).max() <= 2


@pytest.mark.parametrize("channels", [1, 3, 4])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_deep_pages_are_turned_by_their_orientation(tmp_path, orientation, channels):
    write_tiff(tmp_path / "a.tif", NOISE[..., :channels], tags={274: orientation, MAKE: "Leica"})
    image = load_image(tmp_path / "a.tif")
    PIL.Image.fromarray((NOISE[..., 0] >> 8).astype(np.uint8)).save(tmp_path / "b.png", exif=make_exif(orientation))
    np.testing.assert_array_equal(image.deep[..., 0] >> 8, load_image(tmp_path / "b.png").pixels[..., 0])
    exif = PIL.Image.Exif()
    exif.load(image.exif)
    assert (exif[274], exif[MAKE]) == (1, "Leica")


@pytest.mark.parametrize(
    ("value", "word"),
    [(np.nan, "NaN"), (np.inf, "infinite"), (200.0, "divide them"), (30_000.0, "0 as black and 1 as white")],
)
def test_floats_without_a_known_white_are_refused(tmp_path, value, word):
    write_tiff(tmp_path / "a.tif", np.full((24, 32, 3), value, np.float32))
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.tif")
    assert_one_sentence(refusal, "a.tif", word)


def test_floats_beyond_white_are_kept(tmp_path):
    samples = NOISE[..., :3].astype(np.float32) / 65535
    samples[0, 0], samples[0, 1] = 9.5, -0.25
    write_tiff(tmp_path / "a.tif", samples)
    image = load_image(tmp_path / "a.tif")
    assert image.pixels[0, :2, 0].tolist() == [255, 0]
    save_image(image, tmp_path / "b.tif")
    np.testing.assert_array_equal(load_image(tmp_path / "b.tif").deep, samples)


def make_pages(metadata_of_second=True):
    second = Image(pixels=255 - make_pixels(40, 20), exif=make_exif() if metadata_of_second else None, dpi=(300, 300))
    third = Image(pixels=make_pixels(), deep=NOISE[..., :3].copy())
    grey = Image(pixels=make_pixels()[..., :1].repeat(3, -1), grey=True, icc=None)
    return Image(pixels=make_pixels(), icc=make_srgb(), iptc=b"\x1c\x02x\x00\x03Ann", more=(second, third, grey))


def test_all_pages_are_kept_with_their_own_metadata(tmp_path):
    save_image(make_pages(), tmp_path / "a.tif")
    back = load_image(tmp_path / "a.tif", frame=None)
    first, second, third, grey = back.frames
    for page, made in zip(back.frames, make_pages().frames, strict=True):
        np.testing.assert_array_equal(page.samples, made.samples)
    assert (first.icc, first.iptc) == (make_srgb(), b"\x1c\x02x\x00\x03Ann")
    assert (second.icc, second.dpi) == (None, (300, 300))
    assert b"Leica" in second.exif
    assert grey.grey
    assert not third.grey


def test_one_page_is_read_with_a_note(tmp_path):
    save_image(make_pages(), tmp_path / "a.tif")
    page = load_image(tmp_path / "a.tif", frame=2)
    np.testing.assert_array_equal(page.pixels, 255 - make_pixels(40, 20))
    assert page.notes == ("The file has 4 pages, of which this is number 2.",)
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.tif", frame=5)
    assert_one_sentence(refusal, "4 pages", "--frame is 5", "1 to 4")


def test_thumbnails_among_the_pages_are_left_out(tmp_path):
    thumbnail = PIL.Image.Exif()
    thumbnail[254] = 1
    first, second = PIL.Image.fromarray(make_pixels()), PIL.Image.new("RGB", (16, 16))
    second.encoderinfo = {"exif": thumbnail}
    first.save(tmp_path / "a.tif", save_all=True, append_images=[second, PIL.Image.new("RGB", (20, 20))])
    assert [page.pixels.shape for page in load_image(tmp_path / "a.tif", frame=None).frames] == [
        (24, 32, 3),
        (20, 20, 3),
    ]


def test_pages_that_form_a_ring_are_read_once(tmp_path):
    save_image(make_pages(), tmp_path / "a.tif")
    content = bytearray((tmp_path / "a.tif").read_bytes())
    entries = int.from_bytes(content[8:10], "little")
    content[10 + 12 * entries : 14 + 12 * entries] = (8).to_bytes(4, "little")
    (tmp_path / "a.tif").write_bytes(content)
    assert len(load_image(tmp_path / "a.tif", frame=None).frames) == 1


def test_big_tiff_keeps_its_exif(tmp_path):
    PIL.Image.fromarray(make_pixels()).save(tmp_path / "a.tif", big_tiff=True, exif=make_exif())
    image = load_image(tmp_path / "a.tif")
    assert image.notes == ()
    for suffix in (".tif", ".jpg", ".png"):
        assert save_image(image, tmp_path / f"b{suffix}") == ()
        assert b"Leica" in load_image(tmp_path / f"b{suffix}").exif
