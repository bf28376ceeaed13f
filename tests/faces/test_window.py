"""Windows around a face, and what small nets see of a crop."""

from __future__ import annotations

import numpy as np
import pytest

from reage.faces.window import centre_gain, cut_centre, cut_window
from reage.types import Face


def test_a_window_of_one_crop_is_the_crop(face: Face) -> None:
    window = cut_window(face, len(face.crop)).astype(int)
    assert np.abs(window - face.crop).mean() < 1


def test_the_centre_is_cut_out_of_a_crop() -> None:
    crop = np.zeros((100, 100, 3), np.uint8)
    crop[10:90, 10:90] = 200
    assert (cut_centre(crop, 0.8, 40) == 200).all()
    assert cut_centre(crop, 1.0, 40)[0, 0, 0] == 0


def test_a_gain_ends_before_the_border_and_outside_the_matte() -> None:
    matte = np.ones((100, 100), np.float32)
    matte[:50] = 0
    gain = centre_gain(np.ones((40, 40, 3), np.float32), matte, 0.8)
    assert gain.crops == pytest.approx(0.8)
    assert gain.log_ratio.shape == (80, 80, 3)
    assert gain.log_ratio[50, 40, 0] == pytest.approx(1, abs=1e-3)
    assert (gain.log_ratio[:40] == 0).all()
    assert (gain.log_ratio[-1] == 0).all()
