"""Dark spots and redness as the `exemplar` engine changes them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from reage.composite import apply_gains
from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.skin_colour import find_spots, redness_change, skin_colour_change, spot_change
from reage.errors import PlanError
from reage.faces.common_view import CommonView
from reage.faces.skin_colour import measure_dark_spots, measure_redness, view_skin
from reage.faces.skin_scorer import SkinScorer
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.pipeline import render
from reage.plan import complete
from reage.types import Face, Pixels, Plan, Plane, Reading

_SPOTS = ((0.40, 0.53), (0.43, 0.55), (0.37, 0.55), (0.62, 0.54), (0.60, 0.57), (0.64, 0.57))
"""Places of spots on the cheeks, crop sides."""


@pytest.fixture(scope="module")
def spotted(face: Face) -> Face:
    """The demo face, as if its crop were a photo as large, with spots on the cheeks."""
    side = len(face.crop)
    grid = geometry.pixel_grid(side, side)
    share = np.zeros((side, side, 1), np.float32)
    for x, y in _SPOTS:
        away = np.hypot(grid[..., 0] - x * side, grid[..., 1] - y * side)
        share = np.maximum(share, np.clip(4.5 - away, 0, 1)[..., None])
    brown = np.array([0.92, 0.82, 0.7], np.float32)
    painted = to_pixels(face.crop * (1 - share * (1 - brown)))
    return replace(face.in_crop_frame(), crop=painted)


@pytest.fixture(scope="module")
def engine() -> ExemplarEngine:
    return ExemplarEngine.load()


def changed(view: CommonView, change: Plane) -> CommonView:
    return replace(view, levels=to_pixels(apply_gains(view.levels, [change])))


def test_painted_spots_go_and_come(spotted: Face) -> None:
    view = view_skin(spotted)
    spots = find_spots(view)
    values = [
        measure_dark_spots(changed(view, spot_change(spots, view.levels, share))) for share in (1.0, 0.5, 0.0, -0.5, -1)
    ]
    assert values == sorted(values)
    assert values[0] < values[2] - 0.7
    assert values[-1] > values[2] + 0.2


def test_a_mole_stays(spotted: Face) -> None:
    view = view_skin(spotted)
    spots = find_spots(view)
    places = np.argwhere(spots.share > 0.9)
    y, x = places[len(places) // 2]
    levels = view.levels.copy()
    levels[y - 3 : y + 4, x - 3 : x + 4] = (40, 25, 20)
    mole = replace(view, levels=levels)
    assert find_spots(mole).share[y, x] < 0.2


def test_redness_changes_by_what_is_wanted_until_nothing_is_red(spotted: Face) -> None:
    view = view_skin(spotted)

    def after(wanted: float) -> float:
        return measure_redness(changed(view, geometry.resize(redness_change(view, wanted), *view.levels.shape[:2])))

    before = measure_redness(view)
    assert after(0.05) - before == pytest.approx(0.05, rel=0.15)
    assert after(-0.02) < before - 0.005
    assert after(-0.3) > -0.12


def test_scores_follow_the_wishes(spotted: Face, engine: ExemplarEngine, reading: Reading) -> None:
    scorer = SkinScorer.load()
    for name in ("dark_spots", "redness"):
        read = []
        for score in (0.05, 0.5, 0.95):
            plan = complete(Plan(skin={name: score}), reading)
            aged = render(engine, spotted, reading, plan)
            read.append(scorer.measure(replace(spotted, crop=aged.crop))[name])
        assert read == sorted(read)
        assert read[2] > read[0] + 0.3


def test_nothing_but_bare_skin_changes(spotted: Face, engine: ExemplarEngine, reading: Reading) -> None:
    aged = render(engine, spotted, reading, complete(Plan(skin={"redness": 0.95, "dark_spots": 0.05}), reading))
    moved: Pixels = np.abs(aged.crop.astype(int) - spotted.crop).max(-1)
    assert moved.max() > 3
    assert moved[(spotted.bare < 0.01) | (spotted.matte < 0.01)].max() <= 1
    assert aged.shift is None


def test_what_the_photo_does_not_show_is_refused(face: Face, reading: Reading) -> None:
    plan = complete(Plan(skin={"dark_spots": 0.2}), reading)  # its eyes are 42 px apart
    with pytest.raises(PlanError, match="does not show dark_spots"):
        skin_colour_change(face, np.zeros((64, 64, 3), np.uint8), np.zeros((64, 64, 3), np.float32), plan)


def test_a_younger_face_loses_spots_and_none_turns_light(
    spotted: Face, engine: ExemplarEngine, reading: Reading
) -> None:
    aged = render(engine, spotted, reading, complete(Plan(age=20, age_from=60), reading))
    side = len(spotted.crop)
    for x, y in _SPOTS:
        near = np.s_[round(y * side) - 12 : round(y * side) + 13, round(x * side) - 12 : round(x * side) + 13]
        light = aged.crop[near].mean(-1)
        assert light[9:16, 9:16].mean() < np.median(light) + 6
