"""`reage find`: what it draws and lists."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from reage.cli import app
from reage.images import load_image


def call(*arguments: object):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def test_find_draws_and_lists(pair: Path) -> None:
    done = call("find", pair)
    assert done.exit_code == 0, done.output
    assert "score" in done.stdout
    assert "pair-faces.png" in done.stdout
    assert load_image("pair-faces.png").pixels.shape == load_image(pair).pixels.shape


def test_find_json_has_the_68_landmarks_on_request(desk: Path) -> None:
    done = call("find", "photos/me.png", "--dense", "--json", "-o", "boxes.png")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    (face,) = values["faces"]
    assert values["output"] == "boxes.png"
    assert face["number"] == 1
    assert np.shape(face["landmarks"]) == (5, 2)
    assert np.shape(face["dense_landmarks"]) == (68, 2)
