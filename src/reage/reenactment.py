"""Reenactment: the face of a photo takes the expression and the pose of another, or those that numbers name.

The mesh of the face is moved (`reage.faces.expression_transfer`), the photo is warped along it at its own resolution
(`reage.faces.mesh_warp`), and what the photo does not show is drawn in a small window (`reage.faces.head_window`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from reage.errors import FaceNotFound, ImageError, PlanError
from reage.faces.expression import measure_expression
from reage.faces.expression_transfer import Angles, ExpressionTransfer, limit_turn, snake_case
from reage.faces.finder import FaceFinder, FaceFinderConfig, choose_faces
from reage.faces.geometry import smoothstep
from reage.faces.head_pose import fit_pose
from reage.faces.head_window import fill_hidden, make_planes, move_mesh, to_planes, warp_head, window_from_crop
from reage.faces.line_map import draw_line_map
from reage.faces.mesh_warp import MeshWarp, extend_meshes, make_warp
from reage.faces.mouth import borrow_mouth, is_reshaped, light_gain, mouth_box
from reage.images import Image, geometry, regions
from reage.images.samples import from_levels, to_levels
from reage.nets.reenactment_config import REENACTMENT_PX
from reage.nets.runtime import load_trained
from reage.pipeline import Result, as_image, timed
from reage.types import Face, Matrix, Pixels, Plane, Samples
from reage.weights import weights_hash

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

TAKES = ("both", "expression", "pose")
"""What can be taken from another face."""
AnySamples = TypeVar("AnySamples", bound=NDArray[Any])

GENERATOR = "reenactment"
"""Weights of the face generator."""
MAX_WARP_PX = 1024
"""Side up to which a warp is computed for each pixel; a larger one is interpolated."""
_STILL_PX = 0.01
"""Pixels that move less are copied, not resampled."""
_FEATHER = 0.05
"""Width of the border of what is drawn, face units."""
_MAX_ANGLE = 90.0


@dataclass(frozen=True, kw_only=True)
class Target:
    """How a face is to look; what is not given stays.

    Args:
        take: one of `TAKES`, from the other face, if there is one.
        expression: name of an expression or a blend shape -> score in [0, 1], see
            `reage.faces.expression_transfer.ExpressionTransfer.check_scores`; in place of the other face's.
        yaw: degrees, positive to the right of the picture; in place of the other face's.
        pitch: degrees, positive upwards.
        roll: degrees, positive clockwise.

    Raises:
        PlanError: when a value is out of range.
    """

    take: str = "both"
    expression: Mapping[str, float] = field(default_factory=dict)
    yaw: float | None = None
    pitch: float | None = None
    roll: float | None = None

    def __post_init__(self) -> None:
        if self.take not in TAKES:
            raise PlanError(f"What to take is '{self.take}'; use one of {', '.join(TAKES)}.")
        for name in ("yaw", "pitch", "roll"):
            angle = getattr(self, name)
            if angle is not None and not (math.isfinite(angle) and abs(angle) <= _MAX_ANGLE):
                raise PlanError(f"The {name} is {angle:g}; it must be from -{_MAX_ANGLE:g} to {_MAX_ANGLE:g} degrees.")
        object.__setattr__(self, "expression", MappingProxyType(dict(self.expression)))

    @property
    def is_empty(self) -> bool:
        """Whether it names neither an expression nor an angle."""
        return not self.expression and (self.yaw, self.pitch, self.roll) == (None, None, None)

    def angles(self, own: Angles, others: Angles | None) -> Angles | None:
        """Yaw, pitch and roll to turn to, of a face with its own and another with others; None to stay."""
        named = (self.yaw, self.pitch, self.roll)
        base = others if others is not None and self.take != "expression" else None
        if base is None and named == (None, None, None):
            return None
        yaw, pitch, roll = (
            one if given is None else float(given) for given, one in zip(named, base or own, strict=True)
        )
        return yaw, pitch, roll


@dataclass(frozen=True, kw_only=True)
class Reenacted:
    """A picture in which a face has another expression or pose, and how it was made.

    Args:
        image: the whole picture, with the metadata of the source.
        face: as it was found.
        mesh: (478, 3) px, the mesh that it was moved to.
        hidden_share: share of the face that the photo does not show, and that was drawn.
        weights_hash: 12 hex digits of the weights that drew it; "" where it was filled from its surroundings.
        seconds: time spent in each step: load, find, move, warp, draw.
        notes: what the user should know, a sentence each.
    """

    image: Image
    face: Face
    mesh: Plane
    hidden_share: float
    weights_hash: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    @property
    def altered(self) -> bool:
        """Whether the picture is to be marked as altered by AI: always."""
        return True

    def save(self, path: str | Path) -> Path:
        """Writes the picture in the format of the suffix, marked as altered by AI, and returns the path.

        Raises:
            ImageError: when it cannot be written there, or would overwrite the source.
        """
        self.image.save(path, altered=self.altered)
        return Path(path)

    def to_json(self) -> dict[str, Any]:
        """Box and score of the face, its pose and expression before and after, seconds and notes, as plain values."""
        before, after = (
            {
                "pose_degrees": dict(zip(("yaw", "pitch", "roll"), np.round(fit_pose(mesh).angles, 1), strict=True)),
                "expression": {snake_case(k): round(v, 3) for k, v in measure_expression(mesh).items()},
            }
            for mesh in (self.face.mesh, self.mesh)
        )
        return {
            "weights_hash": self.weights_hash,
            "seconds": {step: round(seconds, 4) for step, seconds in self.seconds.items()},
            "notes": list(self.notes),
            "face": self.face.to_json(),
            "hidden_share": round(self.hidden_share, 4),
            "before": before,
            "after": after,
        }


def check_request(target: Target, like: object | None) -> None:
    """Checks that a target, and another face or None, ask for anything.

    Raises:
        PlanError: when they do not.
    """
    if like is None and target.is_empty:
        raise PlanError("Nothing is asked for; give a photo of a face to be like, an expression, or an angle.")


class Reenactor:
    """Gives faces other expressions and poses; its nets are loaded once.

    Args:
        finder: finds faces.
        transfer: makes the target mesh.
        generator: session of the face generator; None fills what is hidden from the mirror image and its surroundings.
        weights_hash: of the generator.

    Example:
        >>> reenactor = Reenactor.load()  # doctest: +SKIP
        >>> reenactor.reenact("me.jpg", like="laughing.jpg").save("me-laughing.jpg")  # doctest: +SKIP
    """

    def __init__(
        self,
        finder: FaceFinder,
        transfer: ExpressionTransfer,
        generator: InferenceSession | None = None,
        weights_hash: str = "",
    ) -> None:
        self.finder, self.transfer = finder, transfer
        self._generator, self.weights_hash = generator, weights_hash

    @classmethod
    def load(cls, device: str = "cpu") -> Self:
        """With the shipped nets.

        Raises:
            WeightsError: when one is missing.
            EngineError: when there is no such device.
        """
        finder, transfer = FaceFinder(FaceFinderConfig(crop_px=REENACTMENT_PX)), ExpressionTransfer.load()
        path, session, _ = load_trained(GENERATOR, device)
        return cls(finder, transfer, session, weights_hash(path))

    def reenact(
        self,
        image: str | Path | Pixels | Image,
        target: Target = Target(),
        *,
        like: str | Path | Pixels | Image | None = None,
        face: str | int | tuple[int, ...] | Face = "largest",
    ) -> Reenacted:
        """The picture with one face changed.

        Args:
            image: a file, (H, W, 3) RGB uint8 pixels, or an `Image` of one frame.
            target: how the face is to look.
            like: a picture of the face whose expression and pose it takes; with several faces, the largest is taken.
            face: "largest", a number from 1 (the largest), or a face that was found in this picture.

        Raises:
            ImageError: when a picture cannot be read, or has several pages or frames.
            FaceNotFound: when there is no such face, or no face in `like`.
            PlanError: when nothing is asked for, or there is no such expression.
        """
        check_request(target, like)
        scores = self.transfer.check_scores(target.expression)
        seconds: dict[str, float] = {}
        with timed(seconds, "load"):
            picture = as_image(image)
            if picture.more:
                raise ImageError(
                    f"Reenactment is for one picture, and this one has {len(picture.frames)} pages or frames; choose "
                    "one of them with --frame."
                )
        with timed(seconds, "find"):
            found, notes = (face, ()) if isinstance(face, Face) else self.find(picture, face)
            driver, more_notes = (None, ()) if like is None else self._find_driver(like)
        model = None if target.take == "pose" else driver
        with timed(seconds, "move"):
            pose = fit_pose(found.mesh)
            angles = target.angles(pose.angles, None if driver is None else fit_pose(driver.mesh).angles)
            turn_note = ""
            if angles is not None:
                angles, turn_note = limit_turn(pose, angles)
            mesh = self.transfer.move(
                found.mesh, driver=None if model is None else model.mesh, scores=scores, angles=angles
            )
        samples, hidden_share = self.move(picture, found, mesh, model, seconds)
        return Reenacted(
            image=picture.with_pixels(samples),
            face=found,
            mesh=mesh,
            hidden_share=hidden_share,
            weights_hash=self.weights_hash,
            seconds=seconds,
            notes=(*picture.notes, *notes, *more_notes, *([turn_note] if turn_note else [])),
        )

    def finish(
        self, result: Result, like: str | Path | Image, face: str | int | tuple[int, ...] | Face = "largest"
    ) -> Result:
        """An aged picture, with one of its faces reenacted: age first, because engines know the photo's own expression.

        Args:
            result: the aged picture.
            like: as in `reenact`.
            face: as in `reenact`; "all" is the largest.
        """
        done = self.reenact(replace(result.image, notes=()), like=like, face="largest" if face == "all" else face)
        seconds = {**result.seconds, "reenact": sum(done.seconds.values())}
        return replace(result, image=done.image, seconds=seconds, notes=(*result.notes, *done.notes))

    def move(
        self, picture: Image, face: Face, mesh: Plane, driver: Face | None, seconds: dict[str, float]
    ) -> tuple[Samples, float]:
        """The samples (H, W, 3) of a picture in which a face has moved, and the share of it that was hidden.

        Args:
            picture: of one frame.
            face: as it was found there.
            mesh: (478, 3) px that it moves to.
            driver: the face whose expression it takes, see `move_face`.
            seconds: time spent on "draw" and "warp" is added to it.
        """
        with timed(seconds, "draw"):
            drawn = self._draw(picture.pixels, face, mesh)
        with timed(seconds, "warp"):
            return move_face(picture.samples, face, mesh, drawn, driver)

    def find(self, picture: Image, which: str | int | tuple[int, ...]) -> tuple[Face, tuple[str, ...]]:
        """One face of a picture, and what the user should know.

        Raises:
            FaceNotFound: when there is no such face.
            PlanError: when several are asked for.
        """
        faces = self.finder.find(picture.pixels)
        chosen = choose_faces(faces, which)
        if len(chosen) > 1:
            raise PlanError(
                "One face is changed at a time; give largest, or the number of one that `reage find` shows."
            )
        several = which == "largest" and len(faces) > 1
        note = f"The picture shows {len(faces)} faces; the largest is changed, choose another with --face."
        return chosen[0], (note,) if several else ()

    def _find_driver(self, like: str | Path | Pixels | Image) -> tuple[Face, tuple[str, ...]]:
        picture = as_image(like)
        faces = self.finder.find(picture.pixels)
        if not faces:
            name = f"'{picture.source}'" if picture.source else "the picture to be like"
            raise FaceNotFound(f"No face was found in {name}; give one in which a face looks towards the camera.")
        note = f"The picture to be like shows {len(faces)} faces; the largest is taken."
        return faces[0], (note,) if len(faces) > 1 else ()

    def _draw(self, pixels: Pixels, face: Face, mesh: Plane) -> DrawnHead:
        """The head in its window, with what the photo does not show."""
        side = REENACTMENT_PX
        window_from_image = _join(window_from_crop(len(face.crop), side), face.crop_from_image)
        window = geometry.warp(pixels, window_from_image, side, side)
        beyond = geometry.warp(np.ones(pixels.shape[:2], np.float32), window_from_image, side, side, edge="zero") < 0.5
        source, target = (move_mesh(one, window_from_image) for one in (face.mesh, mesh))
        head = warp_head(window, source, target, beyond if beyond.any() else None)
        if self._generator is None:
            return DrawnHead(fill_hidden(head), window_from_image)
        planes = make_planes(head, draw_line_map(target, side))
        style = to_planes(geometry.resize(window, side // 2, side // 2))
        (made,) = self._generator.run(None, {"planes": planes[None], "source": style[None]})
        levels = np.clip((made[0].transpose(1, 2, 0) + 1) * 127.5, 0, 255)
        return DrawnHead(levels.round().astype(np.uint8), window_from_image)


@dataclass(frozen=True)
class DrawnHead:
    """A head drawn in its window.

    Args:
        picture: (S, S, 3).
        window_from_image: (2, 3).
    """

    picture: Pixels
    window_from_image: Matrix


def move_face(
    samples: AnySamples, face: Face, mesh: Plane, drawn: DrawnHead, driver: Face | None = None
) -> tuple[AnySamples, float]:
    """A picture in which a face has moved, and the share of the moved face that was hidden.

    Args:
        samples: (H, W, 3) of any bit depth.
        face: as it was found there.
        mesh: (478, 3) px that it moves to.
        drawn: shows what is hidden.
        driver: the face whose expression it takes; the hidden inside of the mouth is taken from it.

    Returns:
        (H, W, 3) of the same bit depth, bit for bit the same where nothing moves; and the share, 0 to 1.
    """
    height, width = samples.shape[:2]
    points = np.vstack(extend_meshes(face.mesh, mesh))[:, :2]
    left, top = np.clip(np.floor(points.min(0)).astype(int) - 2, 0, [width - 1, height - 1]).tolist()
    right, bottom = np.minimum(np.ceil(points.max(0)).astype(int) + 3, [width, height]).tolist()
    part = np.ascontiguousarray(samples[top:bottom, left:right])
    corner = np.array([left, top, 0], np.float32)
    warp, hidden = _warp_part(face.mesh - corner, mesh - corner, *part.shape[:2])
    still = np.abs(warp.places - geometry.pixel_grid(*part.shape[:2])).max(-1) < _STILL_PX
    moved = np.where((still & (hidden == 0))[..., None], part, geometry.sample(part, warp.places, cubic=True))
    rows, columns = (np.flatnonzero((hidden > 0).any(axis)) for axis in (1, 0))
    if len(rows):
        place = (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1))
        image_from_window = geometry.invert(drawn.window_from_image)
        image_from_window[:, 2] -= (left + columns[0], top + rows[0])
        share = hidden[place]
        shown = geometry.warp(drawn.picture, image_from_window, *share.shape).astype(np.float32)
        levels = to_levels(moved[place]) * (1 - share[..., None]) + shown * share[..., None]
        moved[place] = np.where(share[..., None] > 0, from_levels(levels, part.dtype), moved[place])
    if driver is not None:
        _show_mouth(moved, hidden, face, mesh - corner, driver)
    result = samples.copy()
    result[top:bottom, left:right] = moved
    return result, float((hidden * warp.moved).sum() / max(1, warp.moved.sum()))


def _show_mouth(part: NDArray[Any], hidden: Plane, face: Face, mesh: Plane, driver: Face) -> None:
    """Puts the inside of the driver's mouth, where that of the face is hidden or too different, into a part."""
    box = mouth_box(mesh, *part.shape[:2])
    wanted = np.ones_like(hidden[box]) if is_reshaped(face.mesh, mesh) else hidden[box]
    height, width = wanted.shape
    if not height or not width or not (wanted > 0).any():
        return
    corner = np.array([box[1].start, box[0].start, 0], np.float32)
    inside, share = borrow_mouth(driver, mesh - corner, height, width)
    share = (share * wanted)[..., None]
    levels = to_levels(part[box]) * (1 - share) + np.clip(inside * light_gain(face, driver), 0, 255) * share
    part[box] = np.where(share > 0, from_levels(levels, part.dtype), part[box])


def _warp_part(source: Plane, target: Plane, height_px: int, width_px: int) -> tuple[MeshWarp, Plane]:
    """The warp of a part of a picture, and how far each pixel (H, W) is hidden, 0 to 1, with a soft border."""
    shrink = min(1.0, MAX_WARP_PX / max(height_px, width_px))
    height, width = round(height_px * shrink), round(width_px * shrink)
    to_small = np.array([[shrink, 0, (shrink - 1) / 2], [0, shrink, (shrink - 1) / 2]])
    warp = make_warp(move_mesh(source, to_small), move_mesh(target, to_small), height, width)
    beyond = (warp.places < -0.5).any(-1) | (warp.places > np.array([width, height]) - 0.5).any(-1)
    distance = regions.distance_px(~(warp.hidden | (beyond & warp.moved)))
    hidden = smoothstep(distance, max(1.5, _FEATHER * fit_pose(source).scale * shrink), 0.0)
    if shrink < 1:
        from_small = geometry.invert(to_small)
        places = geometry.warp((warp.places + 0.5) / np.float32(shrink) - 0.5, from_small, height_px, width_px)
        hidden = geometry.warp(hidden, from_small, height_px, width_px)
        moved = geometry.warp(warp.moved.astype(np.float32), from_small, height_px, width_px) > 0.5
        grid = geometry.pixel_grid(height_px, width_px)
        warp = MeshWarp(np.where(moved[..., None], places, grid), hidden > 0.5, moved)
    return warp, hidden.astype(np.float32)


def _join(target_from_middle: Matrix, middle_from_source: Matrix) -> Matrix:
    return target_from_middle @ np.vstack([middle_from_source, [0, 0, 1]])


def reenact(
    image: str | Path | Pixels | Image,
    *,
    like: str | Path | Pixels | Image | None = None,
    take: str = "both",
    expression: Mapping[str, float] = MappingProxyType({}),
    yaw: float | None = None,
    pitch: float | None = None,
    roll: float | None = None,
    face: str | int = "largest",
    device: str = "cpu",
) -> Reenacted:
    """One picture in which a face takes another expression or pose; `Reenactor` keeps its nets for several.

    Args:
        image: a file, (H, W, 3) RGB uint8 pixels, or an `Image`.
        like: a picture of the face to be like.
        take: see `Target`, also for the following.
        expression: name -> score.
        yaw: degrees.
        pitch: degrees.
        roll: degrees.
        face: see `Reenactor.reenact`, also for errors.
        device: see `reage.nets.runtime`.

    Example:
        >>> reage.reenact("me.jpg", expression={"smile": 0.8}, yaw=15).save("me-smiling.jpg")  # doctest: +SKIP
    """
    target = Target(take=take, expression=expression, yaw=yaw, pitch=pitch, roll=roll)
    return Reenactor.load(device).reenact(image, target, like=like, face=face)
