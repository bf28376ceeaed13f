"""Small pictures and checks that the tests of this room share."""

import struct

import numpy as np
import PIL.Image
import PIL.ImageCms

from reage.errors import ImageError
from reage.images import SUFFIXES

LOSSLESS = (".png", ".tif", ".tiff", ".bmp")
WITH_ALPHA = (".png", ".webp", ".tif", ".heic", ".avif")
WITH_METADATA = tuple(suffix for suffix in SUFFIXES if suffix != ".bmp")
ORIENTATION, MAKE, EXIF_IFD, GPS_IFD, DATE_TAKEN = 274, 271, 34665, 34853, 36867

OLD_PACKET = b"""<?xpacket begin="\xef\xbb\xbf" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="uuid:1" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4">
<xmp:CreatorTool>Darkroom 5</xmp:CreatorTool></rdf:Description>
<rdf:Description rdf:about="uuid:1" xmlns:dc="http://purl.org/dc/elements/1.1/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">Grandm\xc3\xa8re</rdf:li></rdf:Alt></dc:title></rdf:Description>
</rdf:RDF></x:xmpmeta><?xpacket end="w"?>"""


def make_pixels(height=24, width=32):
    """A smooth picture that no flip or turn maps to itself."""
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([x * 255 // width, y * 255 // height, (x + y) * 2], axis=-1).astype(np.uint8)


def make_exif(orientation=1):
    exif = PIL.Image.Exif()
    exif[MAKE], exif[ORIENTATION] = "Leica", orientation
    exif.get_ifd(EXIF_IFD)[DATE_TAKEN] = "1999:12:31 23:59:59"
    exif.get_ifd(GPS_IFD)[1] = "N"
    return exif.tobytes()


def make_srgb():
    return PIL.ImageCms.ImageCmsProfile(PIL.ImageCms.createProfile("sRGB")).tobytes()


def make_profile(space, colours):
    """The smallest ICC profile that lcms reads: a table from `len(colours)` corners of the space to Lab bytes."""
    channels = {"CMYK": 4, "GRAY": 1}[space]
    ramp = bytes(range(256))
    matrix = struct.pack(">9i", 65536, 0, 0, 0, 65536, 0, 0, 0, 65536)
    table = b"mft1" + bytes([0, 0, 0, 0, channels, 3, 2, 0]) + matrix + ramp * channels + bytes(colours) + ramp * 3
    head = struct.pack(">I4sI4s4s4s", 132 + 12 + len(table), b"lcms", 0x02400000, b"prtr", space.encode(), b"Lab ")
    head += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061) + bytes(48)
    return head + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


def assert_close(first, second, limit):
    assert first.shape == second.shape
    assert np.abs(first.astype(int) - second).max() <= limit


def assert_one_sentence(refusal, *words):
    text = str(refusal.value)
    assert type(refusal.value) is ImageError
    assert "\n" not in text
    assert text.endswith(".")
    assert all(word in text for word in words), text
