import io

import numpy as np
import PIL.Image
import PIL.PngImagePlugin
import pytest

from reage.images import Image, describe_losses, load_image, save_image, tiff
from tests.images.pictures import MAKE, OLD_PACKET, make_exif, make_pixels, make_srgb, write_tiff

IPTC = b"\x1c\x02\x00\x00\x02\x00\x04\x1c\x02x\x00\x07Grandma\x1c\x02\x19\x00\x06Easter"
PHOTO = PIL.Image.fromarray(make_pixels())


def photoshop(*resources):
    blocks = b"".join(
        b"8BIM" + number.to_bytes(2, "big") + b"\0\0" + len(block).to_bytes(4, "big") + block + b"\0" * (len(block) % 2)
        for number, block in resources
    )
    segment = b"Photoshop 3.0\0" + blocks
    return b"\xff\xed" + (len(segment) + 2).to_bytes(2, "big") + segment


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
def test_iptc_records_are_kept(tmp_path, suffix):
    PHOTO.save(
        tmp_path / "a.jpg", extra=photoshop((1005, bytes(16)), (1028, IPTC), (1036, b"thumbnail of the old face"))
    )
    image = load_image(tmp_path / "a.jpg")
    assert image.iptc == IPTC
    assert save_image(image, tmp_path / f"b{suffix}") == ()
    again = load_image(tmp_path / f"b{suffix}")
    assert again.iptc == IPTC
    save_image(again, tmp_path / "c.jpg")
    assert PIL.Image.open(tmp_path / "c.jpg").info["photoshop"][1028] == IPTC
    assert b"old face" not in (tmp_path / "c.jpg").read_bytes()


def test_iptc_records_that_a_tiff_stores_as_numbers_are_read(tmp_path):
    padded = IPTC + bytes(-len(IPTC) % 4)
    write_tiff(tmp_path / "a.tif", make_pixels(), tags={33723: tuple(np.frombuffer(padded, "<u4").tolist())})
    assert load_image(tmp_path / "a.tif").iptc == IPTC


@pytest.mark.parametrize("comment", ["Grandma 1944", "Großmutter", b"caf\xe9 in Latin-1"])
@pytest.mark.parametrize("suffix", [".jpg", ".gif", ".png"])
def test_comments_are_kept(tmp_path, comment, suffix):
    PHOTO.save(tmp_path / "a.jpg", comment=comment)
    image = load_image(tmp_path / "a.jpg")
    save_image(image, tmp_path / f"b{suffix}")
    if suffix != ".png" or isinstance(comment, str):
        assert load_image(tmp_path / f"b{suffix}").texts == image.texts
    if suffix == ".jpg":
        expected = comment.encode() if isinstance(comment, str) else comment
        assert PIL.Image.open(tmp_path / "b.jpg").info["comment"] == expected


def test_texts_of_a_png_are_kept_with_their_language(tmp_path):
    texts = PIL.PngImagePlugin.PngInfo()
    texts.add_text("Title", "Grandma")
    texts.add_text("Author", "Bob", zip=True)
    texts.add_itxt("Description", "Ömä", "de", "Beschreibung")
    PHOTO.save(tmp_path / "a.png", pnginfo=texts)
    image = load_image(tmp_path / "a.png")
    assert image.texts == {"Title": "Grandma", "Author": "Bob", "Description": "Ömä"}
    save_image(image, tmp_path / "b.png")
    again = load_image(tmp_path / "b.png").texts
    assert again == image.texts
    assert (again["Description"].lang, again["Description"].tkey) == ("de", "Beschreibung")
    assert describe_losses(image, ".jpg") == (".jpg cannot keep the texts (Title, Author, Description); .png can.",)


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".bmp", ".webp", ".heic", ".avif"])
@pytest.mark.parametrize("exif", [None, make_exif()], ids=["plain", "exif"])
def test_the_resolution_is_kept(tmp_path, suffix, exif):
    save_image(Image(pixels=make_pixels(), dpi=(300, 200), exif=exif), tmp_path / f"a{suffix}")
    assert load_image(tmp_path / f"a{suffix}").dpi == pytest.approx((300, 200), abs=0.1)


def test_the_resolution_of_a_tiff_in_px_a_cm_is_read_in_inches(tmp_path):
    PHOTO.save(tmp_path / "a.tif", resolution=100, resolution_unit=3)
    save_image(load_image(tmp_path / "a.tif"), tmp_path / "b.jpg")
    assert PIL.Image.open(tmp_path / "b.jpg").info["dpi"] == (254, 254)


def test_a_jpeg_without_resolution_gets_none(tmp_path):
    PHOTO.save(tmp_path / "a.jpg", exif=make_exif())
    assert load_image(tmp_path / "a.jpg").dpi is None
    save_image(load_image(tmp_path / "a.jpg"), tmp_path / "b.jpg")
    assert PIL.Image.open(tmp_path / "b.jpg").info["jfif_unit"] == 0


def test_exif_that_cannot_be_stored_is_left_out_with_a_note(tmp_path, monkeypatch):
    PHOTO.save(tmp_path / "a.jpg", exif=make_exif())
    original = PIL.Image.Exif.tobytes

    def refuse(self, offset=8):
        if MAKE in self:
            raise ValueError
        return original(self, offset)

    monkeypatch.setattr(PIL.Image.Exif, "tobytes", refuse)
    image = load_image(tmp_path / "a.jpg")
    assert image.notes == (f"EXIF that cannot be stored was left out (tag {MAKE}).",)
    assert b"1999:12:31" in image.exif
    assert b"Leica" not in image.exif


def test_a_damaged_exif_block_is_noted(tmp_path):
    PHOTO.save(tmp_path / "a.jpg", exif=b"Exif\0\0XX*\0\x08\0\0\0" + bytes(50))
    image = load_image(tmp_path / "a.jpg")
    assert image.exif is None
    assert "EXIF is damaged" in image.notes[0]


def test_exif_that_a_writer_refuses_is_left_out_with_a_note(tmp_path, monkeypatch):
    write = tiff.write_pages

    def refuse(path, pages):
        if MAKE in pages[0][1]["exif"]:
            raise ValueError("unpack requires a buffer of 8 bytes")
        write(path, pages)

    monkeypatch.setattr(tiff, "write_pages", refuse)
    (note,) = save_image(Image(pixels=make_pixels(), exif=make_exif()), tmp_path / "a.tif")
    assert note == "The EXIF cannot be stored in .tif and is left out."
    np.testing.assert_array_equal(load_image(tmp_path / "a.tif").pixels, make_pixels())


FULL = Image(
    pixels=make_pixels(), exif=make_exif(), icc=make_srgb(), xmp=OLD_PACKET, iptc=IPTC,
    texts={"Title": "A", "Comment": "B"}, dpi=(300, 300), deep=make_pixels().astype(np.float32) / 255,
)  # fmt: skip


@pytest.mark.parametrize(
    ("suffix", "words"),
    [
        (
            ".bmp",
            ["EXIF", "colour profile", "XMP", "IPTC caption and keywords", "texts (Title)", "comment", "float samples"],
        ),
        (".jpg", ["texts (Title)", "float samples"]),
        (".png", ["IPTC caption and keywords", "float samples"]),
        (".tif", ["texts (Title)", "comment"]),
        (".gif", ["EXIF", "resolution in dpi", "256 colours"]),
    ],
)
def test_what_a_format_cannot_keep_is_named(suffix, words):
    text = " ".join(describe_losses(FULL, suffix))
    assert all(word in text for word in words), text
    assert (" EXIF" in text) == ("EXIF" in words)


def test_a_plain_picture_loses_nothing():
    assert describe_losses(Image(pixels=make_pixels()), ".jpg") == ()
    assert describe_losses(Image(pixels=make_pixels()), ".bmp", altered=False) == ()
    assert "mark" in describe_losses(Image(pixels=make_pixels()), ".bmp")[0]


def test_blocks_too_large_for_jpeg_are_named(tmp_path):
    image = Image(pixels=make_pixels(), iptc=bytes(70_000), xmp=OLD_PACKET.replace(b"Grandm", b"G" * 70_000))
    (note,) = save_image(image, tmp_path / "a.jpg")
    assert note == "The XMP and IPTC records of more than 64 kB cannot be kept in .jpg; .png or .tif can."


def test_xmp_that_cannot_be_read_is_named(tmp_path):
    assert save_image(Image(pixels=make_pixels(), xmp=b"<broken"), tmp_path / "a.jpg") == (
        "The XMP is damaged and is replaced.",
    )


def test_a_profile_of_other_pixels_is_named(tmp_path):
    assert "profile does not fit" in save_image(Image(pixels=make_pixels(), icc=b"no profile"), tmp_path / "a.jpg")[0]


def test_the_xmp_of_a_turned_tiff_page_is_turned_too(tmp_path):
    packet = OLD_PACKET.replace(
        b"xmp:Rating", b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="6" xmp:Rating'
    )
    write_tiff(tmp_path / "a.tif", make_pixels(), tags={274: 6, 700: packet})
    assert b'tiff:Orientation="6"' not in load_image(tmp_path / "a.tif").xmp


def test_metadata_survive_a_journey_through_the_formats(tmp_path):
    first = io.BytesIO()
    PHOTO.save(first, "JPEG", exif=make_exif(), icc_profile=make_srgb(), dpi=(300, 300))
    (tmp_path / "0.jpg").write_bytes(first.getvalue())
    for number, suffix in enumerate([".tif", ".png", ".webp", ".avif", ".heic", ".jpg"]):
        before = f"{number}{['.jpg', '.tif', '.png', '.webp', '.avif', '.heic'][number]}"
        assert save_image(load_image(tmp_path / before), tmp_path / f"{number + 1}{suffix}") == ()
    last = load_image(tmp_path / "6.jpg")
    assert b"Leica" in last.exif
    assert (last.icc, last.dpi) == (make_srgb(), (300, 300))
