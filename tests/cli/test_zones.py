"""`reage zones`: the list, the zones, maps and sheets it draws, what it prints with them, what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from reage.faces.geometry import FACE_SHAPE, template_points
from reage.images import Image, geometry, load_image, save_image
from reage.types import Pixels
from reage.zones import ZONE_PRESETS, ZONE_SHAPES, ZONES
from tests.cli.commands import call

SIDE = 512
"""Of the maps in the strip."""


def draw(*arguments: object) -> tuple[list[dict[str, Any]], list[Pixels]]:
    """What is printed of the faces, and the pictures of the strip, each (512, 512, 3)."""
    done = call("zones", *arguments, "--map", "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    strip = load_image(values["output"]).pixels[-SIDE:]
    pitch = SIDE + SIDE // 64
    assert (strip.shape[1] + SIDE // 64) % pitch == 0
    return values["faces"], [strip[:, left : left + SIDE] for left in range(0, strip.shape[1], pitch)]


def level_at(picture: Pixels, x: float, y: float) -> float:
    """The level of a map at a place in face units."""
    column, row = np.rint(template_points(np.array([[x, y]]), SIDE)[0]).astype(int)
    return float(picture[row, column, 0]) / 255


def test_the_map_shows_what_is_measured(me: Path) -> None:
    (face,), (now, x, y) = draw(me)
    (read,) = json.loads(call("measure", me, "--json").stdout)["faces"]
    assert face["box"] == read["box"]
    assert face["now"] == {"age_years": read["age_years"], "zones": read["zones"]}
    assert set(face) == {"box", "now"}
    fill = 0.1 + 0.9 * (read["age_years"] - 18) / (90 - 18)
    assert level_at(now, 0, FACE_SHAPE.y + 1.2) == pytest.approx(fill, abs=0.02)
    assert now[-1, [0, -1]].max() == 0
    bag = ZONE_SHAPES["under_eye.left"]
    score = 0.1 + 0.9 * read["zones"]["under_eye.left"]
    assert level_at(now, bag.x, bag.y) == pytest.approx(score, abs=0.03)
    assert level_at(x, -0.6, 0.3) < level_at(x, 0.6, 0.3) - 0.2
    assert level_at(y, 0, -0.4) < level_at(y, 0, 0.5) - 0.15
    assert level_at(x, 0, -0.4) == pytest.approx(0.5, abs=0.05)


def test_a_target_age_gets_its_map_beside(me: Path) -> None:
    (face,), pictures = draw(me, "--to", 75, "-o", "maps.png")
    (read,) = json.loads(call("measure", me, "--to", 75, "--json").stdout)["faces"]
    assert face["target"] == {"age_years": 75, "zones": read["zones_at"]}
    now, target, *_ = pictures
    assert len(pictures) == 4
    assert target.mean() > now.mean() + 10
    assert level_at(target, 0, FACE_SHAPE.y + 1.2) == pytest.approx(0.1 + 0.9 * 57 / 72, abs=0.02)


def test_zone_scores_change_the_map_there_and_nowhere_else(me: Path) -> None:
    (face,), (now, target, *_) = draw(me, "--zones", "forehead=0,crows_feet=1")
    assert face["target"]["age_years"] == face["now"]["age_years"]
    given = {"forehead": 0.0, "crows_feet.left": 1.0, "crows_feet.right": 1.0}
    assert face["target"]["zones"] == face["now"]["zones"] | given
    change = {zone: level_at(target, s.x, s.y) - level_at(now, s.x, s.y) for zone, s in ZONE_SHAPES.items()}
    assert change["forehead"] < -0.1
    assert min(change["crows_feet.left"], change["crows_feet.right"]) > 0.1
    assert change["upper_lip"] == change["nasolabial.left"] == 0


def test_every_face_has_its_own_maps(me: Path) -> None:
    person = load_image(me).pixels
    smaller = np.full_like(person, person[0, 0])
    smaller[20:220, 20:220] = geometry.resize(person, 200, 200)
    save_image(Image(pixels=np.hstack([person, smaller])), Path("pair.png"), altered=False)
    faces, pictures = draw("pair.png", "--to", 30)
    assert [set(face) for face in faces] == [{"box", "now", "target"}] * 2
    assert len(pictures) == 2 * 2 + 2


def test_a_face_by_hand_is_drawn_alone(pair: Path) -> None:
    faces, pictures = draw(pair, "--box", "320,60,430,170")
    assert len(faces) == 1
    assert faces[0]["box"][0] > 256
    assert len(pictures) == 1 + 2
    assert call("zones", pair, "--box", "320,60,430,170", "-o", "one.png").exit_code == 0
    drawing = load_image("one.png").pixels
    assert drawing.shape[1] < 1.2 * drawing.shape[0]
    assert call("zones", pair, "--by", "amgan", "--presets", "--box", "320,60,430,170").exit_code == 0


def test_the_name_of_the_map_is_printed(me: Path) -> None:
    done = call("zones", me, "--map")
    assert (done.exit_code, done.stdout.strip(), done.stderr) == (0, "me-map.png", "")
    assert {path.name for path in me.absolute().parent.iterdir()} == {"me.png", "me-map.png"}


def test_without_map_the_zones_are_drawn_as_ever(me: Path) -> None:
    done = call("zones", me, "--json")
    assert done.exit_code == 0, done.output
    values = json.loads(done.stdout)
    assert set(values) == {"zones", "groups", "input", "output"}
    assert values["zones"] == list(ZONES)
    assert values["output"] == "me-zones.png"


def test_a_sheet_shows_what_an_engine_makes_of_each_zone(me: Path) -> None:
    done = call("zones", me, "--by", "amgan")
    assert (done.exit_code, done.stdout.strip()) == (0, "me-amgan.png"), done.output
    sheet = load_image("me-amgan.png").pixels.astype(int)
    height, width, _ = sheet.shape
    assert height > width > 5 * 256
    rows = np.array_split(sheet[36:, -5 * 261 :], len(ZONES))
    youngest, oldest = (slice(0, 256), slice(4 * 261, 4 * 261 + 256))
    assert sum(np.abs(row[:250, youngest] - row[:250, oldest]).max() > 10 for row in rows) >= 10  # hair hides a zone


def test_a_strip_shows_what_an_engine_makes_of_each_preset(me: Path) -> None:
    done = call("zones", me, "--by", "amgan", "--presets")
    assert (done.exit_code, done.stdout.strip()) == (0, "me-amgan-presets.png"), done.output
    strip = load_image("me-amgan-presets.png").pixels.astype(int)
    step = (strip.shape[1] + 4) // (1 + len(ZONE_PRESETS))
    original, *made = (strip[-256:, start : start + step - 4] for start in range(0, strip.shape[1], step))
    changed = [np.abs(one - original).max(-1) > 10 for one in made]
    assert all(one.any() for one in changed)
    places = dict(zip(ZONE_PRESETS, (np.argwhere(one)[:, 0].mean() for one in changed), strict=True))
    assert places["upper"] < places["lower"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("--by", "exemplar"),
        ("me.png", "--presets"),
        ("me.png", "--by", "nobody"),
        ("me.png", "--by", "exemplar", "--map"),
        ("--map",),
        ("--map", "--to", 70),
        ("--map", "-o", "map.png"),
        ("--box", "70,60,180,180"),
        ("me.png", "--box", "70,60"),
        ("me.png", "--box", "180,60,70,180"),
        ("me.png", "--box", "300,60,400,180"),
        ("me.png", "--map", "--box", "0,180,70,250"),
        ("me.png", "--by", "amgan", "--box", "0,180,70,250"),
        ("me.png", "--to", 70),
        ("me.png", "--zones", "forehead=0.5"),
        ("--to", 70),
        ("me.png", "--map", "--to", 101),
        ("me.png", "--map", "--zones", "nose=0.5"),
        ("me.png", "--map", "--zones", "forehead=2"),
        ("me.png", "--map", "--zones", ""),
        ("me.png", "--map", "-o", "me.png"),
        ("me.png", "--map", "-o", "missing/map.png"),
        ("missing.png", "--map"),
    ],
)
def test_unusable_options_are_refused(me: Path, arguments: tuple[object, ...]) -> None:
    done = call("zones", *arguments)
    assert done.exit_code == 2, done.output
    assert done.stdout == ""
    assert done.stderr.startswith("Error: "), done.stderr
    assert done.stderr.endswith(".\n"), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert [path.name for path in me.absolute().parent.iterdir()] == ["me.png"]


def test_zones_are_listed_and_drawn(pair: Path) -> None:
    assert all(zone in call("zones").stdout for zone in ZONES)
    values = json.loads(call("zones", "--json").stdout)
    assert values["zones"] == list(ZONES)
    assert values["groups"]["crows_feet"] == ["crows_feet.left", "crows_feet.right"]
    done = call("zones", pair)
    assert done.exit_code == 0, done.output
    drawing = load_image("pair-zones.png").pixels
    assert drawing.shape[1] > 1.7 * drawing.shape[0]
