"""Reenactment of the demo photo."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import reage
from reage.errors import FaceNotFound, ImageError, PlanError
from reage.faces.head_pose import fit_pose
from reage.images import Image, load_image, save_image
from reage.mesh_points import measure_mouth_openness
from reage.pipeline import Result
from reage.reenactment import MAX_WARP_PX, Reenactor, Target, _warp_part
from reage.types import Face, Pixels

NOTE = b"compositeWithTrainedAlgorithmicMedia"


@pytest.fixture(scope="module")
def reenactor() -> Reenactor:
    return Reenactor.load()


@pytest.fixture(scope="module")
def found(reenactor: Reenactor, photo: Pixels) -> Face:
    return reenactor.finder.find(photo)[0]


@pytest.fixture(scope="module")
def turned(reenactor: Reenactor, photo: Pixels) -> Pixels:
    """The demo photo with an open mouth, turned."""
    return reenactor.reenact(photo, Target(expression={"jaw_open": 0.6}, yaw=15)).image.pixels


def test_a_face_takes_an_expression_and_an_angle_and_the_rest_keeps_every_bit(
    reenactor: Reenactor, photo: Pixels, turned: Pixels
) -> None:
    before, after = (reenactor.finder.find(pixels)[0] for pixels in (photo, turned))
    assert fit_pose(after.mesh).angles[0] == pytest.approx(15, abs=6)
    assert after.expression["jawOpen"] > 0.3 > before.expression["jawOpen"]
    changed = (turned != photo).any(-1)
    rows, columns = np.flatnonzero(changed.any(1)), np.flatnonzero(changed.any(0))
    assert rows[-1] < 300
    assert 60 < columns[0] < columns[-1] < 400
    assert 0.05 < changed.mean() < 0.2


def test_a_face_takes_the_expression_and_pose_of_another(
    reenactor: Reenactor, photo: Pixels, turned: Pixels, found: Face
) -> None:
    done = reenactor.reenact(photo, like=turned, face=found)
    other = reenactor.finder.find(turned)[0]
    made = reenactor.finder.find(done.image.pixels)[0]
    assert fit_pose(made.mesh).angles == pytest.approx(fit_pose(other.mesh).angles, abs=4)
    assert made.expression["jawOpen"] == pytest.approx(other.expression["jawOpen"], abs=0.3)
    assert 0 < done.hidden_share < 0.2


def test_one_of_both_can_be_taken_and_numbers_take_their_place(
    reenactor: Reenactor, photo: Pixels, turned: Pixels, found: Face
) -> None:
    yaw = fit_pose(found.mesh).angles[0]
    pose = reenactor.reenact(photo, Target(take="pose"), like=turned, face=found)
    assert fit_pose(pose.mesh).angles[0] > yaw + 10
    assert measure_mouth_openness(pose.mesh) == pytest.approx(measure_mouth_openness(found.mesh), abs=0.05)
    expression = reenactor.reenact(photo, Target(take="expression", pitch=10), like=turned, face=found)
    assert fit_pose(expression.mesh).angles[0] == pytest.approx(yaw, abs=0.5)
    assert fit_pose(expression.mesh).angles[1] == pytest.approx(10, abs=0.5)
    assert measure_mouth_openness(expression.mesh) > measure_mouth_openness(found.mesh) + 0.2


def test_an_untouched_target_changes_nothing(reenactor: Reenactor, photo: Pixels, found: Face) -> None:
    yaw = fit_pose(found.mesh).angles[0]
    done = reenactor.reenact(photo, Target(yaw=yaw), face=found)
    assert np.abs(done.image.pixels.astype(int) - photo).max() <= 3


def test_deep_pictures_stay_deep(reenactor: Reenactor, photo: Pixels, found: Face) -> None:
    deep = Image(pixels=photo, deep=photo.astype(np.uint16) * 257)
    done = reenactor.reenact(deep, Target(yaw=15), face=found)
    assert done.image.deep is not None
    assert done.image.deep.dtype == np.uint16
    shallow = reenactor.reenact(photo, Target(yaw=15), face=found).image.pixels
    assert np.abs(done.image.pixels.astype(int) - shallow).max() <= 2


def test_metadata_is_kept_and_the_file_is_marked(reenactor: Reenactor, photo: Pixels, tmp_path: Path) -> None:
    source = Image(pixels=photo, texts={"Title": "me"}, dpi=(300, 300))
    save_image(source, tmp_path / "me.png", altered=False)
    done = reenactor.reenact(tmp_path / "me.png", Target(yaw=10))
    assert done.save(tmp_path / "out.png") == tmp_path / "out.png"
    assert NOTE in (tmp_path / "out.png").read_bytes()
    assert load_image(tmp_path / "out.png").texts["Title"] == "me"
    with pytest.raises(ImageError, match="never written over"):
        done.save(tmp_path / "me.png")


def test_a_result_is_plain_values(reenactor: Reenactor, photo: Pixels, found: Face) -> None:
    values = reenactor.reenact(photo, Target(yaw=60), face=found).to_json()
    json.dumps(values)
    assert values["after"]["pose_degrees"]["yaw"] == pytest.approx(values["before"]["pose_degrees"]["yaw"] + 30, abs=1)
    assert len(values["notes"]) == 1
    assert "30 degrees at most" in values["notes"][0]


def test_several_faces_are_noted(reenactor: Reenactor, photo: Pixels) -> None:
    two = np.hstack([photo[:256, 96:352], photo[:256, 96:352]])
    done = reenactor.reenact(two, Target(yaw=10), like=two)
    assert [note.split(";")[0] for note in done.notes] == [
        "The picture shows 2 faces",
        "The picture to be like shows 2 faces",
    ]
    second = reenactor.reenact(two, Target(yaw=10), face=2)
    assert second.notes == ()
    assert second.face.box != done.face.box


def test_what_cannot_be_done_is_refused(reenactor: Reenactor, photo: Pixels) -> None:
    wall = np.full((128, 128, 3), 120, np.uint8)
    with pytest.raises(PlanError, match=r"^Nothing is asked for.*\.$"):
        reenactor.reenact(photo)
    with pytest.raises(FaceNotFound, match=r"^No face was found in the picture to be like.*\.$"):
        reenactor.reenact(photo, like=wall)
    with pytest.raises(FaceNotFound, match="There is no face 3"):
        reenactor.reenact(photo, Target(yaw=10), face=3)
    with pytest.raises(PlanError, match=r"^There is no expression 'grin'.*\.$"):
        reenactor.reenact(photo, Target(expression={"grin": 1}))
    with pytest.raises(ImageError, match=r"2 pages or frames.*--frame\.$"):
        reenactor.reenact(Image(pixels=photo, more=(Image(pixels=photo),)), Target(yaw=10))


@pytest.mark.parametrize(("name", "value"), [("yaw", 91.0), ("pitch", float("nan")), ("roll", -120.0)])
def test_angles_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(PlanError, match=rf"^The {name} is .* from -90 to 90 degrees\.$"):
        Target(**{name: value})


def test_other_parts_are_refused() -> None:
    with pytest.raises(PlanError, match=r"'nose'; use one of both, expression, pose\.$"):
        Target(take="nose")


def test_a_large_part_is_warped_as_a_small_one(reenactor: Reenactor, found: Face) -> None:
    mesh = reenactor.transfer.move(found.mesh, angles=(15.0, 0.0, 0.0))
    small, small_hidden = _warp_part(found.mesh, mesh, 300, 400)
    factor = 1.25 * MAX_WARP_PX / 400
    large, hidden = _warp_part(found.mesh * factor, mesh * factor, round(300 * factor), round(400 * factor))
    assert large.places.shape == (*hidden.shape, 2)
    step = round(factor)
    moved = small.moved[20:280, 20:380] & (small_hidden[20:280, 20:380] == 0)
    rows, columns = (np.arange(20, stop) for stop in (280, 380))
    at = large.places[np.ix_((rows * factor).astype(int), (columns * factor).astype(int))] / factor
    away = np.abs(at - small.places[20:280, 20:380]).max(-1)[moved]
    assert np.median(away) < 0.5
    assert step > 1


def test_an_aged_result_is_finished(reenactor: Reenactor, photo: Pixels, turned: Pixels) -> None:
    aged = Result(image=Image(pixels=photo // 2), faces=(), engine="exemplar", weights_hash="", notes=("A note.",))
    done = reenactor.finish(aged, Image(pixels=turned), "all")
    assert done.notes[0] == "A note."
    assert done.seconds["reenact"] > 0
    assert replace(done, image=aged.image, seconds={}, notes=aged.notes) == aged
    assert reenactor.finder.find(done.image.pixels)[0].expression["jawOpen"] > 0.12


def test_one_call_does_it_all(photo: Pixels) -> None:
    done = reage.reenact(photo, expression={"blink": 1}, face=1)
    assert isinstance(done, reage.Reenacted)
    assert (done.image.pixels != photo).any()
