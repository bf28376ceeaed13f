"""Judges: an engine that changes nothing differs by exactly nothing, and one that ages is measured as older."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from reage.data.split import split_of
from reage.engines import load_engine
from reage.evaluation.generators import EngineGenerator, Picture
from reage.evaluation.judges import FINE_CROP_PX, Judges, age_features
from reage.evaluation.rows import Rows, to_table
from reage.evaluation.subjects import PortraitSubjects, Subject
from reage.faces.geometry import FACE_PER_CROP
from reage.faces.segmentation import FaceParser
from reage.faces.skin_detail import NUM_BANDS, PATCHES
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.types import Face, Pixels, Plane
from reage.zones import ZONES

HELD_OUT = [name for name in (f"P{i}" for i in range(80)) if split_of(name) == "val"]


@pytest.fixture(scope="module")
def judges() -> Judges:
    return Judges.load()


@pytest.fixture(scope="module")
def before_backdrop(make_portrait: Callable, to_columns: Callable, before_blue: tuple[Pixels, Plane]) -> Subject:
    portraits = to_columns([make_portrait(before_blue[0], person=HELD_OUT[0])])
    return PortraitSubjects(portraits, FaceParser.load())[0]


def judged(engine: str, subject: Subject, judges: Judges, **options: object) -> Rows:
    generator = EngineGenerator(
        engine=load_engine(engine),
        age_estimator=judges.second_age_estimator,
        zone_scorer=judges.second_zone_scorer,
        targets=(30.0, 75.0),
        **options,  # type: ignore[arg-type]
    )
    return Rows(to_table(judges.judge(subject, generator.generate(subject, 0))))


def test_an_engine_that_changes_nothing_differs_by_exactly_nothing(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("none", before_backdrop, judges, zone_scores=(0.0, 1.0), zone_every=1)
    assert len(rows) == 1 + 2 + 2 * len(ZONES)
    source, aged = rows.of_kind("source"), rows.of_kind("aged")
    for name in ("years", "second_years", "identity", "features", "fine_features", "band_energy"):
        np.testing.assert_array_equal(aged[name], np.repeat(source[name], 2, 0))
    for name in ("zones", "second_zones"):
        np.testing.assert_array_equal(aged[name], np.repeat(source[name], 2, 0))
    for name in (
        "background_l1",
        "background_share_of_change",
        "l1",
        "backdrop_changed",
        "outside_changed",
        "hue_shift_degrees",
    ):
        np.testing.assert_array_equal(aged[name], [0, 0])
    np.testing.assert_array_equal(aged["psnr"], [np.inf, np.inf])
    np.testing.assert_array_equal(aged["ssim"], [1, 1])
    zoned = rows.of_kind("zone")
    np.testing.assert_array_equal(zoned["zones"], np.repeat(source["zones"], len(zoned), 0))
    assert zoned["background_share_of_change"].tolist() == [0] * len(zoned)


def test_ageing_is_measured_by_the_judges(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("agetransgan", before_backdrop, judges)
    source, (younger, older) = rows.of_kind("source"), (rows.at(30), rows.at(75))
    assert older["years"][0] > source["years"][0] + 5
    assert older["second_years"][0] > younger["second_years"][0] + 8
    assert 0.02 < np.linalg.norm(older["identity"] - source["identity"]) < 0.6
    assert 0 < older["backdrop_changed"][0] < 0.03
    assert older["l1"][0] > 0.01
    assert older["seconds"][0] > 0
    assert np.nanmean(older["zones"]) > np.nanmean(younger["zones"])


def test_a_zone_is_moved_inside_itself(before_backdrop: Subject, judges: Judges) -> None:
    rows = judged("agetransgan", before_backdrop, judges, zone_scores=(0.0, 1.0), zone_every=1)
    moved = rows.pick(rows["zone"] == "nasolabial.left")
    assert moved["zones"][1, ZONES.index("nasolabial.left")] > moved["zones"][0, ZONES.index("nasolabial.left")]
    assert moved["background_share_of_change"].max() < 0.02
    assert np.isnan(moved["years"]).all()


def repainted(repaint: Callable[[Face], np.ndarray], subject: Subject, judges: Judges) -> Rows:
    crop = to_pixels(repaint(subject.face))
    picture = Picture(kind="aged", crop=crop, points=subject.points, in_source_frame=crop, target=75.0)
    return Rows(to_table(judges.judge(subject, [picture])))


def test_smoothed_and_added_detail_change_the_energy_of_skin(before_backdrop: Subject, judges: Judges) -> None:
    noise = np.random.default_rng(0).normal(0, 6, before_backdrop.face.crop.shape[:2])[..., None]
    smooth = repainted(lambda face: geometry.blur(face.crop.astype(np.float32), 2.0), before_backdrop, judges)
    strong = repainted(lambda face: face.crop + noise, before_backdrop, judges)
    energies = [
        rows["band_energy"].reshape(2, len(PATCHES), NUM_BANDS)[:, PATCHES.index("cheek.left")]
        for rows in (smooth, strong)
    ]
    assert (energies[0][1] < 0.7 * energies[0][0])[:2].all()
    assert (energies[1][1] > 1.3 * energies[1][0])[:2].all()
    assert energies[0][1, -1] == pytest.approx(energies[0][0, -1], rel=0.1)
    unit_px = smooth["px_per_face_unit"]
    np.testing.assert_allclose(unit_px, len(before_backdrop.face.crop) / FACE_PER_CROP, rtol=1e-6)


def test_another_hue_and_another_backdrop_are_measured(before_backdrop: Subject, judges: Judges) -> None:
    hue = repainted(lambda face: face.crop * np.array([1.0, 0.97, 1.0]), before_backdrop, judges)
    assert 2 < hue.at(75)["hue_shift_degrees"][0] < 15

    def brighter_backdrop(face: Face) -> np.ndarray:
        outside = np.maximum(face.skin, face.hair) < 0.02
        return face.crop + 3.0 * outside[..., None]

    backdrop = repainted(brighter_backdrop, before_backdrop, judges).at(75)
    assert 0.5 < backdrop["outside_changed"][0] < 1
    assert backdrop["hue_shift_degrees"][0] == pytest.approx(0, abs=0.01)


def test_fine_features_see_what_coarse_ones_do_not(before_backdrop: Subject, judges: Judges) -> None:
    crop = geometry.resize(before_backdrop.face.crop, 512, 512)
    blurred = to_pixels(geometry.blur(crop.astype(np.float32), 1.5))
    coarse, fine = (
        np.linalg.norm(np.subtract(*age_features(judges.age_net, np.stack([crop, blurred]), px)))
        for px in (None, FINE_CROP_PX)
    )
    assert fine > 2 * coarse
