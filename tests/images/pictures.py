"""Small pictures and checks that the tests of this room share."""

import struct
from functools import cache

import numpy as np
import PIL.Image
import PIL.ImageCms

from reage.errors import ImageError
from reage.images import SUFFIXES

LOSSLESS = (".png", ".apng", ".tif", ".tiff", ".bmp", ".jp2", ".j2k")
WITH_ALPHA = (".png", ".webp", ".tif", ".heic", ".avif")
WITHOUT_METADATA = (".bmp", ".gif", ".jp2", ".j2k")
WITH_METADATA = tuple(suffix for suffix in SUFFIXES if suffix not in WITHOUT_METADATA)
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


@cache
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


def write_tiff(path, samples, *, order="<", big=False, tags=None):
    """A TIFF of one strip with samples (H, W, C) of any type, and other tags: number -> number, text or bytes."""
    height, width, channels = samples.shape
    stored = samples.astype(samples.dtype.newbyteorder(order))
    entries = {
        256: width, 257: height, 258: (8 * samples.itemsize,) * channels, 259: 1, 262: 2 if channels > 2 else 1,
        273: 0, 277: channels, 278: height, 279: samples.nbytes,
        339: ({"u": 1, "i": 2, "f": 3}[samples.dtype.kind],) * channels,
        **({338: 2} if channels == 4 else {}), **(tags or {}),
    }  # fmt: skip
    count_form, entry_form, size, start = ("Q", "HHQ", 8, 16) if big else ("H", "HHI", 4, 8)
    place = start + struct.calcsize(order + count_form) + len(entries) * (4 + 2 * size) + size
    directory, beyond = struct.pack(order + count_form, len(entries)), b""
    blocks = {}
    for tag, value in sorted(entries.items()):
        if isinstance(value, str):
            kind, number, block = 2, len(value) + 1, value.encode() + b"\0"
        elif isinstance(value, bytes):
            kind, number, block = 1, len(value), value
        else:
            values = value if isinstance(value, tuple) else (value,)
            kind, form = (4, "I") if tag in (256, 257, 273, 278, 279, 33723) else (3, "H")
            number, block = len(values), struct.pack(f"{order}{len(values)}{form}", *values)
        blocks[tag] = (kind, number, block)
    data_place = place + sum(len(block) + len(block) % 2 for _, _, block in blocks.values() if len(block) > size)
    for tag, (kind, number, block) in blocks.items():
        if tag == 273:
            block = struct.pack(order + "I", data_place)
        if len(block) > size:
            directory += struct.pack(order + entry_form, tag, kind, number)
            directory += struct.pack(order + ("Q" if big else "I"), place + len(beyond))
            beyond += block + b"\0" * (len(block) % 2)
        else:
            directory += struct.pack(order + entry_form, tag, kind, number) + block.ljust(size, b"\0")
    mark = b"II" if order == "<" else b"MM"
    head = struct.pack(order + "HHHQ", 43, 8, 0, 16) if big else struct.pack(order + "HI", 42, 8)
    path.write_bytes(mark + head + directory + bytes(size) + beyond + stored.tobytes())
