"""The zone table: consistent rows, and everything else derived from them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import reage
from reage.errors import PlanError
from reage.evaluation.metrics.controllability import overlapping_zones
from reage.faces.geometry import FIVE_POINTS, ellipse_mask, face_grid, template_points
from reage.zones import (
    MIRRORED_ZONES,
    TYPICAL_AGES,
    ZONE_GROUPS,
    ZONE_SHAPES,
    ZONE_TABLE,
    ZONES,
    are_neighbours,
    expand_zones,
    mirrored_zone,
    zone_row,
)


def test_the_zones_are_those_of_the_paper_in_their_order() -> None:
    assert ZONES == (
        "forehead",
        "glabella",
        "interocular",
        "crows_feet.left",
        "crows_feet.right",
        "under_eye.left",
        "under_eye.right",
        "nasolabial.left",
        "nasolabial.right",
        "upper_lip",
        "lip_corners.left",
        "lip_corners.right",
    )


def test_typical_scores_rise_within_the_scale() -> None:
    for zone in ZONE_TABLE:
        assert len(zone.typical_scores) == len(TYPICAL_AGES)
        assert 0 < zone.typical_scores[0] < 0.5 < zone.typical_scores[-1] < 1
        assert min(np.diff(zone.typical_scores)) > 0


def test_groups_hold_every_zone_once() -> None:
    assert ZONE_GROUPS["all"] == ZONES
    assert sorted((*ZONE_GROUPS["upper"], *ZONE_GROUPS["lower"])) == sorted(ZONES)
    assert ZONE_GROUPS["crows_feet"] == ("crows_feet.left", "crows_feet.right")
    assert "forehead" not in ZONE_GROUPS


@pytest.mark.parametrize("name", ZONES)
def test_the_mirror_image_is_on_the_other_side(name: str) -> None:
    other = ZONES[MIRRORED_ZONES[ZONES.index(name)]]
    assert other == mirrored_zone(name)
    assert mirrored_zone(other) == name
    assert zone_row(other) is zone_row(name)
    assert ZONE_SHAPES[other] == ZONE_SHAPES[name].mirrored()
    assert (name == other) == ("." not in name)


def test_neighbours_are_the_zones_that_overlap() -> None:
    grid = face_grid(256, template_points(FIVE_POINTS, 256))
    shared = overlapping_zones(np.stack([ellipse_mask(grid, ZONE_SHAPES[zone]) for zone in ZONES]))
    listed = [[first == second or are_neighbours(first, second) for second in ZONES] for first in ZONES]
    np.testing.assert_array_equal(listed, shared)


def test_the_name_that_covers_fewer_zones_wins() -> None:
    found = expand_zones({"crows_feet.left": 0.1, "all": 0.5, "crows_feet": 0.9})
    assert (found["crows_feet.left"], found["crows_feet.right"], found["forehead"]) == (0.1, 0.9, 0.5)
    assert tuple(found) == ZONES


@pytest.mark.parametrize("scores", [{"ear": 0.5}, {"forehead": 1.1}, {"forehead": True}, {"forehead": float("nan")}])
def test_unknown_zones_and_scores_beyond_the_scale_are_refused(scores: dict[str, float]) -> None:
    with pytest.raises(PlanError):
        expand_zones(scores)


ADDED = """    Zone(
        name="temples",
        paired=True,
        part="upper",
        ellipse=Ellipse(-1.05, -0.45, 0.2, 0.25),
        typical_scores=(0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.45, 0.5, 0.55, 0.6, 0.65, 0.7, 0.75),
        phrase="{side} temple",
        patch_side=0.7,
    ),
)

ZONES: tuple[str, ...]"""

USED = """
import numpy as np
import reage
from reage.engines import load_engine
from reage.faces.aging_map import make_aging_map
from reage.faces.finder import FaceFinder
from reage.faces.geometry import FIVE_POINTS, template_points, zone_masks
from reage.faces.patches import PATCHES, ZONE_PATCHES, cut_patches
from reage.pipeline import render
from reage.plan import complete
from reage.prompts import ZONE_PHRASES, all_prompts, zone_prompt
from reage.types import Plan, Reading
from reage.zones import MIRRORED_ZONES, ZONE_GROUPS, ZONES, typical_score, zone_age

zone = "temples.left"
assert len(ZONES) == 14 and zone in ZONES
assert zone in Plan(zones={"temples": 0.8}).zones and zone in ZONE_GROUPS["upper"]
assert ZONES[MIRRORED_ZONES[ZONES.index(zone)]] == "temples.right"
assert 0.3 < typical_score(zone, 47.5) < 0.4 and 20 < zone_age(zone, 0.5) < 85
assert ZONE_PHRASES[zone] == "left temple" and zone_prompt(zone, 0.5) in all_prompts()
points = template_points(FIVE_POINTS, 256)
assert make_aging_map(256, 40, {zone: 1.0}).max() > make_aging_map(256, 40, {}).max()
assert zone in ZONE_PATCHES
assert cut_patches(np.zeros((256, 256, 3), np.uint8), points, [zone], 64).shape == (1, 64, 64, 3)
photo = np.load("photo.npy")
(face,) = FaceFinder().find(photo)
assert zone_masks(face)[zone].max() > 0.9
reading = Reading(age_years=40.0, age_std_years=5.0, masculinity=0.5)
aged = render(load_engine("none"), face, reading, complete(Plan(zones={"temples": 0.9}), reading))
assert (aged.crop == face.crop).all()
print("used")
"""


def test_adding_a_zone_is_one_row(tmp_path: Path, photo: np.ndarray) -> None:
    """A copy of the package with one more row knows the zone everywhere but in the nets, which need training."""
    package = Path(reage.__file__).parent
    shutil.copytree(package, tmp_path / "reage", ignore=shutil.ignore_patterns("weights_data", "__pycache__"))
    (tmp_path / "reage" / "weights_data").symlink_to(package / "weights_data")
    table = tmp_path / "reage" / "zones.py"
    text = table.read_text()
    assert text.count(")\n\nZONES: tuple[str, ...]") == 1
    table.write_text(text.replace(")\n\nZONES: tuple[str, ...]", ADDED))
    np.save(tmp_path / "photo.npy", photo)
    done = subprocess.run([sys.executable, "-c", USED], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.strip() == "used", done.stderr
