from xml.etree import ElementTree

import PIL.ExifTags
import PIL.Image
import PIL.ImageCms
import pytest

from reage.images import Image, load_image, save_image
from reage.images.xmp import DIGITAL_SOURCE_TYPE, mark_altered
from tests.images.pictures import OLD_PACKET, WITH_METADATA, make_exif, make_pixels


def read_properties(path):
    """XMP of a file: property name in Clark notation -> text."""
    packet = PIL.Image.open(path).info["xmp"]
    found = {}
    for element in ElementTree.fromstring(packet).iter():
        found.update({element.tag: (element.text or "").strip(), **element.attrib})
    return found


@pytest.mark.parametrize("suffix", WITH_METADATA)
@pytest.mark.parametrize("packet", [None, OLD_PACKET, b"<broken", b'<!DOCTYPE x [<!ENTITY a "a">]><x>&a;</x>'])
def test_an_altered_picture_says_so_and_keeps_its_other_properties(tmp_path, suffix, packet):
    Image(pixels=make_pixels(), xmp=packet, exif=make_exif()).save(tmp_path / f"a{suffix}")
    found = read_properties(tmp_path / f"a{suffix}")
    assert found["{http://iptc.org/std/Iptc4xmpExt/2008-02-29/}DigitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert found["{http://ns.adobe.com/xap/1.0/}CreatorTool"].startswith("reage ")
    if packet == OLD_PACKET:
        assert found["{http://ns.adobe.com/xap/1.0/}Rating"] == "4"
        assert found["{http://www.w3.org/1999/02/22-rdf-syntax-ns#}li"] == "Grandmère"
    assert load_image(tmp_path / f"a{suffix}").exif is not None


def test_marking_replaces_old_values_and_keeps_prefixes():
    once = mark_altered(OLD_PACKET)
    assert b"Darkroom" not in once
    assert once.count(b'rdf:about="uuid:1"') == once.count(b"rdf:about=")
    assert b"Iptc4xmpExt:DigitalSourceType" in once
    assert b"dc:title" in once
    twice = mark_altered(once)
    assert twice.count(b"DigitalSourceType=") == once.count(b"DigitalSourceType=") == 1
    assert twice.count(b"CreatorTool") == 1


def test_a_packet_too_long_for_jpeg_is_left_out_and_the_note_kept(tmp_path):
    long = OLD_PACKET.replace(b"Darkroom 5", b"D" * 10).replace(b"Grandm", b"G" * 70_000)
    Image(pixels=make_pixels(), xmp=long, exif=make_exif() + bytes(70_000)).save(tmp_path / "a.jpg")
    assert len(read_properties(tmp_path / "a.jpg")) < 12
    assert load_image(tmp_path / "a.jpg").exif is None


@pytest.mark.parametrize("suffix", WITH_METADATA)
def test_an_unaltered_picture_keeps_its_xmp_as_it_was(tmp_path, suffix):
    save_image(Image(pixels=make_pixels(), xmp=OLD_PACKET), tmp_path / f"a{suffix}", altered=False)
    save_image(Image(pixels=make_pixels()), tmp_path / f"b{suffix}", altered=False)
    assert load_image(tmp_path / f"a{suffix}").xmp == OLD_PACKET
    assert load_image(tmp_path / f"b{suffix}").xmp is None
