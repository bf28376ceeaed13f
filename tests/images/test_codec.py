import io

import cv2
import numpy as np
import PIL.Image
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reage.images.codec import decode, encode_float_tiff, encode_png, encode_png_of_sixteen_bit, to_sixteen_bit


@given(arrays.arrays(np.uint8, st.tuples(st.integers(1, 12), st.integers(1, 12), st.just(3))))
def test_pixels_come_back_bit_for_bit(pixels):
    back = decode(encode_png(pixels))
    assert back.dtype == np.uint8
    assert back.flags.c_contiguous
    np.testing.assert_array_equal(back, pixels)


def test_bytes_are_a_png_that_others_read_in_the_same_colours(photo):
    png = encode_png(photo[::4, ::4])
    assert png.startswith(b"\x89PNG\r\n\x1a\n")
    np.testing.assert_array_equal(np.asarray(PIL.Image.open(io.BytesIO(png)).convert("RGB")), photo[::4, ::4])


def test_grey_png_is_read_in_colour():
    grey = np.arange(48, dtype=np.uint8).reshape(6, 8)
    content = io.BytesIO()
    PIL.Image.fromarray(grey).save(content, "PNG")
    np.testing.assert_array_equal(decode(content.getvalue()), np.repeat(grey[..., None], 3, -1))


def read(content):
    """Values of a file as OpenCV reads it, in the order RGB."""
    values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    return values if values.ndim == 2 else values[..., ::-1]


def test_sixteen_bit_and_float_files_keep_every_bit():
    random = np.random.default_rng(0)
    for shape in ((9, 13), (9, 13, 3)):
        values = random.integers(0, 2**16, shape, dtype=np.uint16)
        back = read(encode_png_of_sixteen_bit(values))
        assert back.dtype == np.uint16
        np.testing.assert_array_equal(back, values)
    values = random.normal(0, 1e-3, (9, 13, 3)).astype(np.float32)
    back = read(encode_float_tiff(values))
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, values)


def test_a_matte_of_sixteen_bit_is_rounded_and_clipped():
    matte = np.array([[-0.1, 0, 0.5, 1, 1.2]], np.float32)
    np.testing.assert_array_equal(to_sixteen_bit(matte), [[0, 0, 32768, 65535, 65535]])
