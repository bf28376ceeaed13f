import numpy as np
import PIL.Image
import pytest

from reage.errors import ImageError
from reage.images import Image, load_image, save_image
from tests.images.pictures import OLD_PACKET, assert_close, assert_one_sentence, make_exif, make_pixels, make_srgb

DURATIONS = [50.0, 120.0, 80.0]
ANIMATED = [".gif", ".webp", ".png", ".avif"]


def make_animation(loop=0, alpha=None):
    first, *others = [
        Image(pixels=np.roll(make_pixels(), 5 * number, axis=1), duration_ms=duration, alpha=alpha)
        for number, duration in enumerate(DURATIONS)
    ]
    return Image(
        pixels=first.pixels, alpha=alpha, duration_ms=DURATIONS[0], more=tuple(others), loop=loop, exif=make_exif()
    )


@pytest.mark.parametrize("suffix", ANIMATED)
def test_an_animation_keeps_its_frames_timing_and_loop(tmp_path, suffix):
    for loop in (0, 3):
        save_image(make_animation(loop), tmp_path / f"a{suffix}")
        back = load_image(tmp_path / f"a{suffix}", frame=None)
        assert [frame.duration_ms for frame in back.frames] == DURATIONS
        assert back.loop == (0 if suffix == ".avif" else loop)
        for frame, made in zip(back.frames, make_animation().frames, strict=True):
            assert np.abs(frame.pixels.astype(int) - made.pixels).mean() <= (0 if suffix == ".png" else 8)
    save_image(back, tmp_path / f"b{suffix}")
    assert PIL.Image.open(tmp_path / f"b{suffix}").n_frames == 3


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_an_animation_that_is_played_once_stays_so(tmp_path, suffix):
    frames = [PIL.Image.fromarray(np.roll(make_pixels(), 5 * number, axis=1)) for number in range(2)]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:], duration=80)
    save_image(load_image(tmp_path / "a.gif", frame=None), tmp_path / f"b{suffix}")
    assert PIL.Image.open(tmp_path / f"b{suffix}").info.get("loop") == (None if suffix == ".gif" else 1)


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".avif"])
def test_transparent_frames_stay_transparent(tmp_path, suffix):
    y, x = np.mgrid[0:24, 0:32]
    alpha = np.where((x - 16) ** 2 + (y - 12) ** 2 < 100, 255, 0).astype(np.uint8)
    save_image(make_animation(alpha=alpha), tmp_path / f"a{suffix}")
    for frame in load_image(tmp_path / f"a{suffix}", frame=None).frames:
        assert_close(frame.alpha, alpha, 8 if suffix == ".avif" else 0)


def test_one_frame_is_read_with_a_note(tmp_path):
    save_image(make_animation(), tmp_path / "a.png")
    frame = load_image(tmp_path / "a.png", frame=3)
    np.testing.assert_array_equal(frame.pixels, np.roll(make_pixels(), 10, axis=1))
    assert frame.notes == ("The file has 3 frames, of which this is number 3.",)
    assert frame.duration_ms is None
    assert load_image(tmp_path / "a.png").notes == ("The file has 3 frames, of which this is number 1.",)
    for number in (0, 4):
        with pytest.raises(ImageError) as refusal:
            load_image(tmp_path / "a.png", frame=number)
        assert_one_sentence(refusal, "3 frames", f"--frame is {number}", "1 to 3")


@pytest.mark.parametrize(("suffix", "others"), [(".jpg", ".png"), (".tif", ".webp"), (".heic", ".avif")])
def test_a_format_without_animation_is_refused_for_one(tmp_path, suffix, others):
    with pytest.raises(ImageError) as refusal:
        save_image(make_animation(), tmp_path / f"a{suffix}")
    assert_one_sentence(refusal, "3 frames", suffix, others, "--frame")


def test_pages_are_no_animation(tmp_path):
    pages = Image(pixels=make_pixels(), more=(Image(pixels=make_pixels(20, 20)),))
    with pytest.raises(ImageError) as refusal:
        save_image(pages, tmp_path / "a.png")
    assert_one_sentence(refusal, "2 pages", ".tif")


@pytest.mark.parametrize("suffix", ANIMATED)
def test_the_metadata_of_an_animation_are_kept_once(tmp_path, suffix):
    image = make_animation()
    save_image(Image(**{**vars(image), "icc": make_srgb(), "xmp": OLD_PACKET}), tmp_path / f"a{suffix}", altered=False)
    back = load_image(tmp_path / f"a{suffix}", frame=None)
    if suffix != ".gif":
        assert back.icc == make_srgb()
        assert b"Leica" in back.exif
        assert back.xmp == OLD_PACKET
    assert all(frame.exif is None and frame.icc is None for frame in back.more)


def test_a_second_view_in_a_jpeg_is_noted_and_can_be_read(tmp_path):
    pictures = [PIL.Image.fromarray(make_pixels()), PIL.Image.fromarray(255 - make_pixels())]
    pictures[0].save(tmp_path / "a.jpg", "MPO", save_all=True, append_images=pictures[1:], quality=100, subsampling=0)
    image = load_image(tmp_path / "a.jpg", frame=None)
    assert_close(image.pixels, make_pixels(), 12)
    assert image.more == ()
    assert "1 other picture" in image.notes[0]
    assert_close(load_image(tmp_path / "a.jpg", frame=2).pixels, 255 - make_pixels(), 12)


def test_cmyk_is_noted(tmp_path):
    PIL.Image.new("CMYK", (32, 24), (255, 0, 0, 0)).save(tmp_path / "a.jpg")
    assert load_image(tmp_path / "a.jpg").notes == ("It is converted from CMYK to sRGB.",)


def test_jpeg_xl_without_its_plugin_says_what_to_install(tmp_path):
    if "JXL" in PIL.Image.OPEN:
        pytest.skip("pillow-jxl-plugin is here")
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(40))
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.jxl")
    assert_one_sentence(refusal, "JPEG XL", "pip install 'reage[jxl]'")


def test_jpeg_xl_is_read(tmp_path):
    pytest.importorskip("pillow_jxl")
    PIL.Image.fromarray(make_pixels()).save(tmp_path / "a.jxl", lossless=True, exif=make_exif(6), xmp=OLD_PACKET)
    image = load_image(tmp_path / "a.jxl")
    np.testing.assert_array_equal(image.pixels, np.rot90(make_pixels(), -1))
    assert b"Leica" in image.exif
    assert image.notes == ("The XMP of a JPEG XL picture is not read.",)
