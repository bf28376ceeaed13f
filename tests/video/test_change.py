"""The change of a face, learned once and warped."""

from __future__ import annotations

import numpy as np
import pytest

from reage.composite import composite
from reage.engines import load_engine
from reage.engines.base import SteadyEngine
from reage.engines.exemplar.hair_mask import hat_is_hair
from reage.engines.none import NoOpEngine
from reage.faces.segmentation import FaceParser
from reage.images import geometry
from reage.images.regions import to_pixels
from reage.pipeline import render
from reage.plan import complete
from reage.types import Aged, CompletePlan, Face, Pixels, Plan, Plane, Reading
from reage.video.change import WarpedChange, learn_change, scaled
from reage.video.looking import join_hat, look_at, make_face, steady_shares


@pytest.fixture(scope="module")
def parser() -> FaceParser:
    return FaceParser.load()


def shares_of(photo: Pixels, face: Face, parser: FaceParser) -> Plane:
    return look_at(photo, face.mesh, parser).shares


class _Adder(NoOpEngine):
    """Moves the shape a little, and adds to skin and hair."""

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        shift = np.repeat(face.matte[..., None] * np.float32(4), 2, -1)
        added = (face.skin + face.hair)[..., None] * np.array([-20, 10, 5], np.float32)
        return Aged(crop=to_pixels(geometry.shift_pixels(face.crop, shift) + added), shift=shift)


@pytest.mark.parametrize("name", ["exemplar", "agetransgan", "adds"])
def test_a_change_on_its_own_picture_is_what_the_engine_renders(
    name: str, photo: Pixels, face: Face, reading: Reading, parser: FaceParser
) -> None:
    engine = _Adder() if name == "adds" else load_engine(name)
    plan = complete(Plan(age=75), reading)
    change = learn_change(engine, face, reading, plan)
    assert isinstance(change, WarpedChange) != isinstance(engine, SteadyEngine)
    expected = composite(photo, face, render(engine, face, reading, plan)).astype(int)
    again = composite(photo, face, change.on(face, shares_of(photo, face, parser))).astype(int)
    box = np.s_[60:200, 170:280]
    moved = np.abs(expected - photo.astype(int))[box].mean()
    assert moved > 3
    assert np.abs(expected - again)[box].mean() < 0.35 * moved


def test_a_change_moves_with_the_face(photo: Pixels, face: Face, reading: Reading, parser: FaceParser) -> None:
    engine = load_engine("exemplar")
    change = learn_change(engine, face, reading, complete(Plan(age=75), reading))
    shifted = np.ascontiguousarray(np.roll(photo, (7, 12), (0, 1)))
    mesh = face.mesh + np.array([12, 7, 0], np.float32)
    results = []
    for pixels, own in ((photo, face.mesh), (shifted, mesh)):
        look = look_at(pixels, own, parser)
        found = make_face(pixels, look, look.shares)
        results.append(composite(pixels, found, change.on(found, look.shares)).astype(int) - pixels)
    a, b = results[0][40:220, 150:300], results[1][47:227, 162:312]
    assert np.abs(a).mean() > 2
    assert np.abs(a - b).mean() < 0.12 * np.abs(a).mean()


def test_changes_are_mixed_in_between(photo: Pixels, face: Face, reading: Reading, parser: FaceParser) -> None:
    engine = load_engine("exemplar")
    young, old = (learn_change(engine, face, reading, complete(Plan(age=age), reading)) for age in (50, 80))
    shares = shares_of(photo, face, parser)

    def size(change: object) -> float:
        aged = change.on(face, shares)  # type: ignore[attr-defined]
        return float(np.abs(aged.gains[0].log_ratio).mean())

    assert size(young) < size(young.mixed(old, 0.5)) < size(old)
    assert young.mixed(old, 0) is young


def test_a_share_of_a_change_is_smaller(face: Face, reading: Reading) -> None:
    aged = load_engine("exemplar").render(face, reading, complete(Plan(age=75), reading))
    half = scaled(aged, 0.5)
    np.testing.assert_allclose(half.gains[0].log_ratio, aged.gains[0].log_ratio / 2)
    assert scaled(aged, 1.0) is aged


def test_masks_of_one_frame_alone_do_not_count() -> None:
    one, other = np.zeros((10, 4, 4), np.float32), np.ones((10, 4, 4), np.float32)
    steady = steady_shares(other, [one, one], [one, one])
    assert steady[0].max() == 0
    assert 0 < steady[1].max() < 1 or 0 < steady.max() < 1
    np.testing.assert_array_equal(steady_shares(other, [], [one]), other)


def test_a_face_of_a_frame_is_like_one_that_is_found(photo: Pixels, face: Face, parser: FaceParser) -> None:
    look = look_at(photo, face.mesh, parser)
    found = make_face(photo, look, look.shares)
    np.testing.assert_allclose(found.box, face.box, atol=1e-3)
    assert np.abs(found.skin - face.skin[::2, ::2]).mean() < 0.05
    assert hat_is_hair(face, look.shares)
    whole = make_face(photo, look, join_hat(look.shares))
    assert np.abs(whole.hair - face.hair[::2, ::2]).mean() < 0.05
    assert np.abs(whole.matte - face.matte[::2, ::2]).mean() < 0.06
