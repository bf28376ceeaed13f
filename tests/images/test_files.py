import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import pytest

from reage.errors import ImageError
from reage.images import MAX_MEGAPIXELS, SUFFIXES, Image, check_output, list_images, load_image, load_mask
from tests.images.pictures import (
    DATE_TAKEN,
    EXIF_IFD,
    GPS_IFD,
    LOSSLESS,
    MAKE,
    OLD_PACKET,
    ORIENTATION,
    WITH_ALPHA,
    WITH_METADATA,
    assert_close,
    assert_one_sentence,
    make_exif,
    make_pixels,
    make_profile,
    make_srgb,
)

# Round trips


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_comes_back_with_its_exif_and_profile(tmp_path, suffix):
    image = Image(pixels=make_pixels(), exif=make_exif(), icc=make_srgb())
    image.save(tmp_path / f"a{suffix}")
    back = load_image(tmp_path / f"a{suffix}")
    assert_close(back.pixels, image.pixels, 0 if suffix in LOSSLESS else 12)
    assert back.source == tmp_path / f"a{suffix}"
    assert not back.grey
    assert back.alpha is None
    if suffix in WITH_METADATA:
        assert back.icc == image.icc
        exif = PIL.Image.Exif()
        exif.load(back.exif)
        assert exif[MAKE] == "Leica"
        assert exif[ORIENTATION] == 1
        assert exif.get_ifd(EXIF_IFD)[DATE_TAKEN] == "1999:12:31 23:59:59"
        assert exif.get_ifd(GPS_IFD)[1] == "N"
    assert os.listdir(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("suffix", [".jpg", ".png", ".webp", ".tif", ".heic", ".avif"])
def test_orientation_is_applied_as_a_viewer_would(tmp_path, suffix, orientation):
    stored = make_pixels()
    shown = {
        1: stored,
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: stored[::-1, ::-1].transpose(1, 0, 2),
        8: np.rot90(stored),
    }[orientation]
    lossy = {".jpg": {"quality": 100}, ".tif": {}, ".png": {}}.get(suffix, {"quality": 95})
    PIL.Image.fromarray(stored).save(tmp_path / f"a{suffix}", exif=make_exif(orientation), **lossy)
    image = load_image(tmp_path / f"a{suffix}")
    assert_close(image.pixels, shown, 0 if suffix in LOSSLESS else 16)
    exif = PIL.Image.Exif()
    exif.load(image.exif)
    assert exif[ORIENTATION] == 1
    image.save(tmp_path / f"b{suffix}")
    assert_close(load_image(tmp_path / f"b{suffix}").pixels, shown, 0 if suffix in LOSSLESS else 24)


def test_orientation_turns_the_alpha_too(tmp_path):
    alpha = make_pixels()[..., 0]
    PIL.Image.fromarray(np.dstack([make_pixels(), alpha])).save(tmp_path / "a.png", exif=make_exif(6))
    assert np.array_equal(load_image(tmp_path / "a.png").alpha, np.rot90(alpha, -1))


def test_the_exif_thumbnail_of_the_old_face_is_left_out(tmp_path):
    small = io.BytesIO()
    PIL.Image.fromarray(make_pixels()).save(small, "JPEG")
    first = struct.pack("<HHHIII", 1, ORIENTATION, 3, 1, 1, 26)
    second = struct.pack("<HHHIIHHIII", 2, 513, 4, 1, 56, 514, 4, 1, len(small.getvalue()), 0)
    exif = b"Exif\0\0II*\0" + struct.pack("<I", 8) + first + second + small.getvalue()
    PIL.Image.fromarray(make_pixels()).save(tmp_path / "a.jpg", exif=exif)
    assert len(PIL.Image.open(tmp_path / "a.jpg").getexif().get_ifd(PIL.ExifTags.IFD.IFD1)) == 2
    load_image(tmp_path / "a.jpg").save(tmp_path / "b.jpg")
    assert not PIL.Image.open(tmp_path / "b.jpg").getexif().get_ifd(PIL.ExifTags.IFD.IFD1)
    assert small.getvalue() not in (tmp_path / "b.jpg").read_bytes()


def test_tiff_layout_tags_do_not_reach_the_exif_of_another_format(tmp_path):
    PIL.Image.fromarray(make_pixels()).save(tmp_path / "a.tif", exif=make_exif())
    load_image(tmp_path / "a.tif").save(tmp_path / "b.jpg")
    assert set(PIL.Image.open(tmp_path / "b.jpg").getexif()) == {MAKE, ORIENTATION, EXIF_IFD, GPS_IFD}


@pytest.mark.parametrize("suffix", WITH_ALPHA)
def test_alpha_is_kept(tmp_path, suffix):
    alpha = make_pixels()[..., 0]
    image = Image(pixels=make_pixels(), alpha=alpha)
    assert image.see_through
    image.save(tmp_path / f"a{suffix}")
    back = load_image(tmp_path / f"a{suffix}")
    assert_close(back.alpha, alpha, 0 if suffix in (*LOSSLESS, ".webp") else 4)
    assert_close(back.pixels, image.pixels, 0 if suffix in LOSSLESS else 16)


@pytest.mark.parametrize("suffix", [".jpg", ".bmp"])
def test_alpha_is_refused_where_it_would_be_lost_and_dropped_where_it_says_nothing(tmp_path, suffix):
    alpha = np.full((24, 32), 255, np.uint8)
    Image(pixels=make_pixels(), alpha=alpha).save(tmp_path / f"a{suffix}")
    alpha = alpha.copy()
    alpha[0, 0] = 0
    with pytest.raises(ImageError) as refusal:
        Image(pixels=make_pixels(), alpha=alpha).save(tmp_path / f"b{suffix}")
    assert_one_sentence(refusal, suffix, ".png")
    assert os.listdir(tmp_path) == [f"a{suffix}"]


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".heic", ".avif"])
def test_grey_stays_grey(tmp_path, suffix):
    PIL.Image.fromarray(make_pixels()[..., 0]).save(tmp_path / "a.png")
    image = load_image(tmp_path / "a.png")
    assert image.grey
    assert np.array_equal(image.pixels, make_pixels()[..., :1].repeat(3, axis=2))
    image.save(tmp_path / f"b{suffix}")
    assert PIL.Image.open(tmp_path / f"b{suffix}").mode == "L"
    assert_close(load_image(tmp_path / f"b{suffix}").pixels, image.pixels, 0 if suffix in LOSSLESS else 6)


def test_a_grey_profile_is_written_only_with_grey_pixels(tmp_path):
    icc = make_profile("GRAY", [0, 128, 128, 255, 128, 128])
    PIL.Image.fromarray(make_pixels()[..., 0]).save(tmp_path / "a.png", icc_profile=icc)
    image = load_image(tmp_path / "a.png")
    image.save(tmp_path / "b.png")
    image.save(tmp_path / "b.webp")
    Image(pixels=image.pixels, icc=image.icc).save(tmp_path / "c.png")
    assert load_image(tmp_path / "b.png").icc == icc
    assert load_image(tmp_path / "b.webp").icc is None
    assert load_image(tmp_path / "c.png").icc is None


@pytest.mark.parametrize("suffix", [".tif", ".webp", ".png"])
def test_the_first_picture_of_several_is_read(tmp_path, suffix):
    pages = [PIL.Image.fromarray(make_pixels()), PIL.Image.new("RGB", (32, 24))]
    pages[0].save(
        tmp_path / f"a{suffix}",
        save_all=True,
        append_images=pages[1:],
        **{"lossless": True} if suffix == ".webp" else {},
    )
    assert np.array_equal(load_image(tmp_path / f"a{suffix}").pixels, make_pixels())


# Refusals when reading


def make_bomb():
    header = struct.pack(">IIBBBBB", 20_000, int(MAX_MEGAPIXELS * 1e6) // 20_000 + 1, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    return (
        b"\x89PNG\r\n\x1a\n"
        + struct.pack(">I", 13)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + b"\0\0\0\0IDAT5\xaf\x06\x1e"
    )


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", ["empty"]),
        (b"Dear diary, today I am a picture.", ["not a picture", "JPEG"]),
        (b"GIF89a" + bytes(40), ["not a picture"]),
        (make_bomb(), ["20000 x 10001", "200 megapixels", "3.8 GB", "--max-megapixels"]),
    ],
)
def test_what_is_no_picture_is_refused(tmp_path, content, words):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(ImageError) as refusal:
        load_image(str(tmp_path / "a.png"))
    assert_one_sentence(refusal, "a.png", *words)


def test_only_our_limit_counts_and_that_of_pillow_stays_set(tmp_path, monkeypatch, recwarn):
    Image(pixels=make_pixels()).save(tmp_path / "a.png")
    monkeypatch.setattr(PIL.Image, "MAX_IMAGE_PIXELS", 500)
    assert load_image(tmp_path / "a.png").pixels.shape == (24, 32, 3)
    assert PIL.Image.MAX_IMAGE_PIXELS == 500
    assert not recwarn.list


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_file_cut_short_is_refused(tmp_path, suffix):
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    Image(pixels=noise).save(tmp_path / f"a{suffix}")
    whole = (tmp_path / f"a{suffix}").read_bytes()
    for share in (0.01, 0.3, 0.9):
        (tmp_path / f"b{suffix}").write_bytes(whole[: int(len(whole) * share) + 8])
        with pytest.raises(ImageError) as refusal:
            load_image(tmp_path / f"b{suffix}")
        assert_one_sentence(refusal, f"b{suffix}")


def test_missing_files_folders_and_impossible_names_are_refused(tmp_path):
    for path, word in [
        (tmp_path / "a.png", "not there"),
        (tmp_path, "folder"),
        ("a\0b.png", "null"),
        ("a" * 999, "opened"),
    ]:
        with pytest.raises(ImageError) as refusal:
            load_image(path)
        assert_one_sentence(refusal, word)


def test_a_picture_without_permission_is_refused(tmp_path):
    Image(pixels=make_pixels()).save(tmp_path / "a.png")
    (tmp_path / "a.png").chmod(0)
    user = os.geteuid()
    try:
        if user == 0:
            os.seteuid(65534)
        with pytest.raises(ImageError) as refusal:
            load_image(tmp_path / "a.png")
    finally:
        os.seteuid(user)
    assert_one_sentence(refusal, "a.png", "permissions")


def test_a_picture_under_sixteen_px_is_refused(tmp_path):
    PIL.Image.new("RGB", (400, 15)).save(tmp_path / "a.png")
    with pytest.raises(ImageError) as refusal:
        load_image(tmp_path / "a.png")
    assert_one_sentence(refusal, "400 x 15", "16 px")
    PIL.Image.new("RGB", (16, 16)).save(tmp_path / "b.png")
    assert load_image(tmp_path / "b.png").pixels.shape == (16, 16, 3)


def test_heic_without_pillow_heif_says_what_to_install(tmp_path):
    Image(pixels=make_pixels()).save(tmp_path / "a.heic")
    script = """
import sys
sys.modules["pillow_heif"] = None
from reage.errors import ImageError
from reage.images import check_output, load_image
for step in (load_image, check_output):
    try:
        step(sys.argv[1])
    except ImageError as error:
        print(error)
"""
    done = subprocess.run(
        [sys.executable, "-c", script, tmp_path / "a.heic"], capture_output=True, text=True, check=True
    )
    lines = done.stdout.splitlines()
    assert len(lines) == 2
    assert all("pip install 'reage[heif]'" in line for line in lines)


# Writing


def test_the_source_is_never_written_over(tmp_path):
    Image(pixels=make_pixels()).save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    image = load_image(tmp_path / "a.png")
    (tmp_path / "link.png").symlink_to(tmp_path / "a.png")
    for path in (tmp_path / "a.png", tmp_path / "link.png", tmp_path / ".." / tmp_path.name / "a.png"):
        with pytest.raises(ImageError) as refusal:
            image.save(path)
        assert_one_sentence(refusal, "never written over")
    assert (tmp_path / "a.png").read_bytes() == before


def test_another_file_is_replaced(tmp_path):
    (tmp_path / "b.png").write_text("old")
    Image(pixels=make_pixels()).save(tmp_path / "b.png")
    assert np.array_equal(load_image(tmp_path / "b.png").pixels, make_pixels())


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("a.svg", [".png", ".avif"]),
        ("a", [".jpg"]),
        ("gone/a.png", ["gone", "not there"]),
        ("sub.png", ["folder"]),
    ],
)
def test_places_that_cannot_be_written_are_refused_at_the_door(tmp_path, name, words):
    (tmp_path / "sub.png").mkdir()
    for attempt in (check_output, Image(pixels=make_pixels()).save):
        with pytest.raises(ImageError) as refusal:
            attempt(tmp_path / name)
        assert_one_sentence(refusal, *words)
    assert os.listdir(tmp_path) == ["sub.png"]


def test_check_output_knows_the_source_and_its_alpha(tmp_path):
    with pytest.raises(ImageError):
        check_output(tmp_path / "a.png", source=str(tmp_path / "a.png"))
    clear = Image(pixels=make_pixels(), alpha=np.zeros((24, 32), np.uint8))
    with pytest.raises(ImageError):
        check_output(tmp_path / "a.jpg", source=clear)
    check_output(tmp_path / "a.webp", source=clear)
    check_output(tmp_path / "A.JPG", source=tmp_path / "b.jpg")
    assert not os.listdir(tmp_path)


def test_a_picture_that_the_format_cannot_hold_leaves_nothing_behind(tmp_path):
    with pytest.raises(ImageError) as refusal:
        Image(pixels=np.zeros((16, 20_000, 3), np.uint8)).save(tmp_path / "a.webp")
    assert_one_sentence(refusal, "a.webp")
    assert not os.listdir(tmp_path)


def test_pictures_of_a_folder_are_listed_by_name(tmp_path):
    for name in ("b.JPG", "a.png", "notes.txt", ".hidden.png", "c.heic"):
        (tmp_path / name).touch()
    (tmp_path / "folder.png").mkdir()
    assert [path.name for path in list_images(tmp_path)] == ["a.png", "b.JPG", "c.heic"]
    for folder in (tmp_path / "gone", tmp_path / "a.png"):
        with pytest.raises(ImageError) as refusal:
            list_images(folder)
        assert_one_sentence(refusal, folder.name)


def test_an_unaltered_png_is_saved_bit_for_bit(tmp_path):
    noise = np.random.default_rng(0).integers(0, 256, (24, 32, 4), np.uint8)
    first = Image(pixels=noise[..., :3], alpha=noise[..., 3], exif=make_exif(), icc=make_srgb(), xmp=OLD_PACKET)
    first.save(tmp_path / "a.png", altered=False)
    again = load_image(tmp_path / "a.png")
    again.save(tmp_path / "b.png", altered=False)
    assert np.array_equal(again.pixels, first.pixels)
    assert np.array_equal(again.alpha, first.alpha)
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_with_pixels_keeps_everything_else():
    image = Image(pixels=make_pixels(), icc=b"icc", grey=True, source=Path("a.png"))
    other = image.with_pixels(255 - image.pixels)
    assert (other.icc, other.grey, other.source) == (b"icc", True, Path("a.png"))
    assert np.array_equal(other.pixels, 255 - make_pixels())
    with pytest.raises(AssertionError):
        image.with_pixels(make_pixels(8, 8))


# Masks


def test_a_mask_is_read_from_black_0_to_white_1(tmp_path):
    photo = Image(pixels=make_pixels(24, 32))
    grey = np.arange(24 * 32, dtype=np.uint16).reshape(24, 32) % 256
    pictures = {
        "grey.png": PIL.Image.fromarray(grey.astype(np.uint8)),
        "rgb.tif": PIL.Image.fromarray(grey.astype(np.uint8)).convert("RGB"),
        "deep.png": PIL.Image.fromarray(grey * np.uint16(257)),
    }
    for name, picture in pictures.items():
        picture.save(tmp_path / name)
        mask = load_mask(tmp_path / name, photo)
        assert mask.dtype == np.float32
        np.testing.assert_array_equal(mask, grey.astype(np.float32) / np.float32(255))
        assert (mask.min(), mask.max()) == (0, 1)


def test_a_mask_is_rotated_by_its_exif(tmp_path):
    grey = make_pixels(32, 24)[..., 0]
    PIL.Image.fromarray(grey).save(tmp_path / "mask.png", exif=make_exif(orientation=6))
    mask = load_mask(tmp_path / "mask.png", Image(pixels=make_pixels(24, 32)))
    np.testing.assert_array_equal(mask, np.rot90(grey, -1).astype(np.float32) / np.float32(255))


@pytest.mark.parametrize(
    ("mode", "size", "kind"),
    [
        ("L", (24, 32), "picture of 24 x 32 px"),
        ("RGB", (32, 24), "colour picture of 32 x 24 px"),
        ("LA", (32, 24), "picture with transparent parts of 32 x 24 px"),
    ],
)
def test_another_mask_is_refused_with_both_sizes(tmp_path, mode, size, kind):
    colour = {"L": 128, "RGB": (255, 0, 0), "LA": (128, 9)}[mode]
    PIL.Image.new(mode, size, colour).save(tmp_path / "mask.png")
    with pytest.raises(
        ImageError, match=f"{kind}; give an opaque grey picture of the photo's size, 32 x 24 px"
    ) as error:
        load_mask(tmp_path / "mask.png", Image(pixels=make_pixels(24, 32)))
    assert_one_sentence(error)
