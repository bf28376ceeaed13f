import numpy as np
import pytest

from reage.images import Image
from tests.images.pictures import make_pixels


def test_samples_are_those_of_the_file():
    deep = make_pixels() * np.uint16(257)
    assert Image(pixels=make_pixels()).samples.dtype == np.uint8
    assert Image(pixels=make_pixels(), deep=deep).samples is deep


def test_new_pixels_are_8_bits_or_as_deep_as_before():
    image = Image(pixels=make_pixels(), deep=make_pixels() * np.uint16(257), dpi=(300, 300))
    changed = image.with_pixels(image.deep[::-1].copy())
    np.testing.assert_array_equal(changed.pixels, make_pixels()[::-1])
    assert changed.dpi == (300, 300)
    assert image.with_pixels(255 - make_pixels()).deep is None
    with pytest.raises(AssertionError):
        Image(pixels=make_pixels()).with_pixels(image.deep)


def test_frames_stand_alone_and_can_be_see_through():
    clear = Image(pixels=make_pixels(), alpha=np.zeros((24, 32), np.uint16))
    image = Image(pixels=make_pixels(), more=(clear,))
    assert [len(frame.more) for frame in image.frames] == [0, 0]
    assert image.see_through
    assert not Image(pixels=make_pixels(), alpha=np.full((24, 32), 65535, np.uint16)).see_through
