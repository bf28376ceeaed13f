"""`reage find`: what it draws and lists."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reage.images import Image, load_image, save_image
from tests.cli.commands import call


def test_find_draws_and_lists(pair: Path) -> None:
    done = call("find", pair)
    assert done.exit_code == 0, done.output
    assert "score" in done.stdout
    assert "pair-faces.png" in done.stdout
    assert load_image("pair-faces.png").pixels.shape == load_image(pair).pixels.shape


def test_find_json_has_the_mesh_on_request(desk: Path) -> None:
    done = call("find", "photos/me.png", "--mesh", "--json", "-o", "boxes.png")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    (face,) = values["faces"]
    assert values["output"] == "boxes.png"
    assert face["number"] == 1
    assert np.shape(face["landmarks"]) == (5, 2)
    assert np.shape(face["mesh"]) == (478, 3)
    assert set(face["pose_degrees"]) == {"yaw", "pitch", "roll"}


def test_a_face_by_hand_is_the_only_one_listed(pair: Path) -> None:
    everyone = json.loads(call("find", pair, "--json").stdout)["faces"]
    second = everyone[1]
    done = call("find", pair, "--box", ",".join(map(str, second["box"])), "--json", "-o", "boxes.png")
    assert done.exit_code == 0, done.output
    (face,) = json.loads(done.stdout)["faces"]
    assert face["number"] == 1
    np.testing.assert_allclose(face["landmarks"], second["landmarks"], atol=1)
    np.testing.assert_allclose(face["box"], second["box"], atol=1)
    assert load_image("boxes.png").pixels.shape == load_image(pair).pixels.shape


def test_a_photo_without_a_face_is_refused_with_what_was_tried(desk: Path) -> None:
    save_image(Image(pixels=np.full((90, 90, 3), 120, np.uint8)), Path("wall.png"), altered=False)
    done = call("find", "wall.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert "upright, rotated or brightened" in done.stderr
    assert "--box X0,Y0,X1,Y1" in done.stderr
    assert not Path("wall-faces.png").exists()


@pytest.mark.parametrize("command", ["find", "measure", "zones"])
@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("10,20,10,90", "has no area"),
        ("300,20,400,90", "lies outside the picture, which is 256 x 256 px"),
        ("-40,-50,60,70", "shows no face"),
        ("10,20,90", "--box is '10,20,90'"),
        ("10,20,90,nan", "--box is '10,20,90,nan'"),
    ],
)
def test_unusable_boxes_are_refused(desk: Path, command: str, box: str, words: str) -> None:
    before = set(desk.rglob("*"))
    done = call(command, "photos/me.png", "--box", box, "-o", "drawn.png")
    assert (done.exit_code, done.stdout) == (2, "")
    assert done.stderr.startswith("Error: ")
    assert words in done.stderr
    assert done.stderr.endswith(".\n")
    assert done.stderr.count("\n") == 1
    assert set(desk.rglob("*")) == before


def test_help_says_what_is_found() -> None:
    text = " ".join(call("find", "--help").stdout.replace("│", " ").split())
    assert "20 px" in text
    assert "--box" in text
    assert "60 degrees" in text
