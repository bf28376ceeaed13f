"""`reage sketch`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from reage.images import load_image
from reage.types import Pixels
from tests.cli.commands import assert_refused, call


def test_a_photo_is_drawn_and_a_sketch_made_a_photo(me: Path) -> None:
    done = call("sketch", me, "-o", "sketch.png")
    assert done.exit_code == 0, done.output
    assert done.stdout.startswith("1 face drawn as pencil in ")
    drawn = load_image("sketch.png").pixels
    assert np.ptp(drawn, axis=-1).max() == 0
    assert (drawn > 230).mean() > 0.2
    back = call("sketch", "--reverse", "sketch.png", "--json")
    assert back.exit_code == 0, back.output
    values = json.loads(back.stdout)
    assert (values["gives"], values["output"]) == ("photo", "sketch-photo.png")
    assert np.ptp(load_image("sketch-photo.png").pixels, axis=-1).max() > 20


def test_a_drawing_goes_back_into_the_photo(me: Path) -> None:
    done = call("sketch", me, "--place", "photo", "-o", "drawn.png")
    assert done.exit_code == 0, done.output
    assert load_image("drawn.png").pixels.shape == load_image(me).pixels.shape


def test_what_cannot_be_done_is_refused(desk: Path, write: Callable[[Pixels, Path], Path]) -> None:
    photo = desk / "photos" / "me.png"
    wall = write(np.full((128, 128, 3), 120, np.uint8), desk / "wall.png")
    for arguments in (
        (wall,),
        ("missing.png",),
        (photo, "--style", "oil"),
        (photo, "--place", "wall"),
        (photo, "--reverse"),
        (photo, "--as", "sketch"),
        (photo, "--as", "drawing"),
        (photo, "--face", "2"),
        (photo, "-o", photo),
        (photo, "-o", "missing/out.png"),
    ):
        assert_refused(desk, "sketch", *arguments)
