import numpy as np
import pytest

from reage.images.samples import from_levels, to_eight_bits, to_levels, to_sixteen_bits

ALL_LEVELS = np.arange(65536, dtype=np.uint16).reshape(1, -1, 1)


def test_every_16_bit_level_comes_back():
    np.testing.assert_array_equal(from_levels(to_levels(ALL_LEVELS), np.dtype(np.uint16)), ALL_LEVELS)


def test_16_bits_become_the_nearest_8_bits():
    exact = (ALL_LEVELS.astype(np.uint64) * 255 + 65535 // 2) // 65535
    np.testing.assert_array_equal(to_eight_bits(ALL_LEVELS), exact)
    np.testing.assert_array_equal(to_eight_bits(to_sixteen_bits(np.arange(256, dtype=np.uint8)[None])), [range(256)])


@pytest.mark.parametrize(
    ("value", "eight", "sixteen"), [(-0.5, 0, 0), (0, 0, 0), (0.5, 128, 32768), (1, 255, 65535), (7, 255, 65535)]
)
def test_floats_are_black_at_0_and_white_at_1(value, eight, sixteen):
    samples = np.full((2, 2, 3), value, np.float32)
    assert to_eight_bits(samples)[0, 0, 0] == eight
    assert to_sixteen_bits(samples)[0, 0, 0] == sixteen
    assert to_levels(samples)[0, 0, 0] == pytest.approx(255 * value)
