import io

import numpy as np
import PIL.Image
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from reage.images.codec import decode, encode_png


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
