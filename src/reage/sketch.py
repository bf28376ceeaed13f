"""Sketches of photos, and photos of sketches, by the nets of pix2pix (`reage.nets.pix2pix`).

Convention:
    nets see the aligned crop of a face at `SKETCH_PX` px; what they draw is enlarged with the fine lines of the source.
    Drawings are RGB uint8 with three equal channels, so that they are handled like photos.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from reage.composite import composite
from reage.errors import ImageError, ReageError
from reage.faces.drawn_sketch import STYLES, check_style, find_person
from reage.faces.finder import FaceFinder, choose_faces
from reage.faces.geometry import smoothstep
from reage.faces.segmentation import FaceParser
from reage.faces.sketch_detection import is_sketch
from reage.images import Image, geometry, regions
from reage.nets.pix2pix_config import SKETCH_PX
from reage.nets.runtime import load_trained
from reage.pipeline import as_image, timed
from reage.types import Aged, Face, Matrix, Pixels, Plane
from reage.weights import made_for, weights_hash

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

SKETCH_WEIGHTS, PHOTO_WEIGHTS = "sketch", "sketch-to-photo"
"""Weights of the two nets."""
KINDS = ("photo", "sketch")
"""What a picture may be taken as."""
PLACES = ("card", "photo")
"""Where a drawing may be put."""
SCALE = 2
"""Sides of a card, without its margin, in those of the net's picture."""
_MARGIN = 0.06
"""Margin of a card, shares of the drawing's side."""
_PAPER = 250
_DETAIL = {"pencil": 1.0, "composite": 0.3, "photo": 0.6}
"""How much of the fine lines of the source a drawing of a style, or a photo, is given."""
_BACKDROPS = {"pencil": 0.975, "composite": 0.93, "photo": 0.88}
"""Light of what is around the person: a net draws textures and clouds there."""
_SMOOTHING_PX = {"pencil": 0.0, "composite": 0.7}
"""Blur of what the net draws, px of it: against the lattice of transposed convolutions, where nothing is hatched."""
_OUTLINE_PX, _OUTLINE_BLUR_PX = 2.0, 1.5
"""Width of the outline of the person, which is drawn outside, and blur of its border, px of the net's picture."""
_FADE = 0.08
"""Share of the side of a crop over which a drawing in the photo fades into it."""
_EMPTY = (0.03, 0.15)
"""Darkness between which a drawing passes from paper, which stays empty, to what is drawn."""
_MAX_BAND = 0.35
"""Largest logarithm by which a fine line changes the light."""


@dataclass(frozen=True, kw_only=True)
class Sketched:
    """A sketch of a photo, or a photo of a sketch, and how it was made.

    Args:
        image: the card, or the photo with the drawing in it; marked as altered by AI when it is saved.
        drawn: (S, S, 3) RGB uint8 in the frame of `Face.crop`, without the margin of the card.
        face: as it was found in the source.
        gives: "sketch" or "photo".
        style: of the sketch; "" for a photo.
        weights_hash: 12 hex digits of the weights.
        seconds: time spent in each step: load, find, draw.
        notes: what the user should know, a sentence each.
    """

    image: Image
    drawn: Pixels
    face: Face
    gives: str
    style: str = ""
    weights_hash: str = ""
    seconds: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def save(self, path: str | Path) -> Path:
        """Writes the card in the format of the suffix, marked as made by AI, and returns the path.

        Raises:
            ImageError: when it cannot be written there, or would overwrite the source.
        """
        self.image.save(path, altered=True)
        return Path(path)

    def to_json(self) -> dict[str, Any]:
        """What was made, its style, the face, weights, seconds and notes as plain values."""
        return {
            "gives": self.gives,
            **({"style": self.style} if self.style else {}),
            "face": self.face.to_json(),
            "weights_hash": self.weights_hash,
            "seconds": {step: round(value, 4) for step, value in self.seconds.items()},
            "notes": list(self.notes),
        }


class SketchNet:
    """One of the sketch nets.

    Args:
        session: of the net: a source (1, C, 256, 256) and what is drawn (1, D, 256, 256), in [-1, 1].
        weights_hash: 12 hex digits of its weights.
    """

    def __init__(self, session: InferenceSession, weights_hash: str) -> None:
        self._session, self.weights_hash = session, weights_hash

    @classmethod
    def load(cls, weights: str | Path, gives: str, device: str = "cpu") -> Self:
        """A net by the name of shipped weights or the path of an ONNX file.

        Raises:
            WeightsError: when there are no such weights, or they do not give a "sketch" or "photo" as `gives` says.
            EngineError: when there is no such device.
        """
        path, session, config = load_trained(weights, device)
        with made_for(path, f"a net that gives a {gives}"):
            if config["direction"] != gives:
                raise ValueError(path)
        return cls(session, weights_hash(path))

    def __call__(self, source: Plane) -> Plane:
        """The source (C, 256, 256) -> what is drawn (D, 256, 256)."""
        drawn: Plane = self._session.run(["drawn"], {"source": source[None]})[0][0]
        return drawn


class Sketcher:
    """Draws sketches of photos and makes photos of sketches; each net is loaded when it is first used.

    Args:
        finder: of faces; a new one by default.
        device: of the nets, see `reage.nets.runtime`.
        weights: of the net that draws sketches.
        photo_weights: of the net that makes photos.

    Example:
        >>> Sketcher().sketch("me.jpg", style="pencil").save("sketch.png")  # doctest: +SKIP
        >>> Sketcher().photo("sketch.png").save("photo.png")  # doctest: +SKIP
    """

    def __init__(
        self,
        finder: FaceFinder | None = None,
        *,
        device: str = "cpu",
        weights: str | Path = SKETCH_WEIGHTS,
        photo_weights: str | Path = PHOTO_WEIGHTS,
    ) -> None:
        self.finder = finder or FaceFinder.load(device=device)
        self._device, self._weights, self._photo_weights = device, weights, photo_weights

    @cached_property
    def _parser(self) -> FaceParser:
        return FaceParser.load(device=self._device)

    @cached_property
    def sketch_net(self) -> SketchNet:
        """The net that draws sketches."""
        return SketchNet.load(self._weights, "sketch", self._device)

    @cached_property
    def photo_net(self) -> SketchNet:
        """The net that makes photos."""
        return SketchNet.load(self._photo_weights, "photo", self._device)

    def sketch(
        self,
        image: str | Path | Pixels | Image,
        style: str = STYLES[0],
        *,
        face: int | str | tuple[int, ...] = "largest",
        given_as: str | None = None,
        scale: int = SCALE,
        place: str = PLACES[0],
    ) -> Sketched:
        """The sketch of a face of a photo, on a card.

        Args:
            image: a file, RGB uint8 pixels (H, W, 3), or an `Image`.
            style: one of `STYLES`.
            face: "largest", or its number from 1.
            given_as: one of `KINDS`, what the picture is; found out by default.
            scale: sides of the drawing in `SKETCH_PX`.
            place: one of `PLACES`: on a card, or in the photo, where the person was.

        Raises:
            ImageError: when the picture cannot be read, or is a sketch already.
            FaceNotFound: when there is no such face.
            ReageError: when there is no such style or place.
            WeightsError: when the net is missing.
        """
        return self._make(image, "sketch", check_style(style), face, given_as, scale, place)

    def photo(
        self,
        image: str | Path | Pixels | Image,
        *,
        face: int | str | tuple[int, ...] = "largest",
        given_as: str | None = None,
        scale: int = SCALE,
        place: str = PLACES[0],
    ) -> Sketched:
        """The photo that a sketch may show, on a card; see `sketch`.

        Raises:
            ImageError: when the picture cannot be read, or is a photo already.
            FaceNotFound: when there is no such face.
            WeightsError: when the net is missing.
        """
        return self._make(image, "photo", "", face, given_as, scale, place)

    def draw(self, crop: Pixels, style: str, scale: int = SCALE, *, mesh: Plane | None = None) -> Pixels:
        """The sketch (scale * 256, scale * 256, 3) of a crop aligned as `Face.crop`.

        Args:
            crop: (S, S, 3).
            style: one of `STYLES`.
            scale: sides of the drawing in `SKETCH_PX`.
            mesh: (478, 3) crop px, by which the person is found and the rest left empty; None draws it all.
        """
        plane = np.full((1, SKETCH_PX, SKETCH_PX), 2.0 * STYLES.index(style) / (len(STYLES) - 1) - 1, np.float32)
        light = self.sketch_net(np.concatenate([_to_source(crop), plane]))[0]
        drawn = np.repeat((geometry.blur(light, _SMOOTHING_PX[style]) if _SMOOTHING_PX[style] else light)[None], 3, 0)
        if mesh is not None:
            drawn = _clear(drawn, self._find_person(crop, mesh, _OUTLINE_PX), _BACKDROPS[style])
        return _enlarge(drawn, crop, scale, _DETAIL[style])

    def restore(self, crop: Pixels, scale: int = SCALE, *, mesh: Plane | None = None) -> Pixels:
        """The photo (scale * 256, scale * 256, 3) of a sketch aligned as `Face.crop`; see `draw`."""
        source = _to_source(np.repeat(regions.to_pixels(regions.to_light(crop))[..., None], 3, -1))[:1]
        made = self.photo_net(source)
        if mesh is not None:
            photo = regions.to_pixels(127.5 * (made.transpose(1, 2, 0) + 1))
            person = self._find_person(photo, geometry.move_points(mesh, _small_from(crop)))
            made = _clear(made, person, _BACKDROPS["photo"])
        return _enlarge(made, crop, scale, _DETAIL["photo"])

    def _find_person(self, crop: Pixels, mesh: Plane, outline_px: float = 0.0) -> Plane:
        """(256, 256) share of the person, with an outline of that width around it."""
        small = geometry.resize(crop, SKETCH_PX, SKETCH_PX)
        person = find_person(small, geometry.move_points(mesh, _small_from(crop)), self._parser)
        return geometry.blur(geometry.grow(person, outline_px) if outline_px else person, _OUTLINE_BLUR_PX)

    def _make(
        self,
        image: str | Path | Pixels | Image,
        gives: str,
        style: str,
        which: int | str | tuple[int, ...],
        given_as: str | None,
        scale: int,
        place: str,
    ) -> Sketched:
        if place not in PLACES:
            raise ReageError(f"There is no place '{place}' for a drawing; use {' or '.join(PLACES)}.")
        seconds: dict[str, float] = {}
        with timed(seconds, "load"):
            picture = as_image(image)
        with timed(seconds, "find"):
            face = choose_faces(self.finder.find(picture.pixels), which)[0]
        check_kind(face, "photo" if gives == "sketch" else "sketch", given_as)
        with timed(seconds, "draw"):
            mesh = face.to_crop(face.mesh)
            if gives == "sketch":
                drawn = self.draw(face.crop, style, scale, mesh=mesh)
            else:
                drawn = self.restore(face.crop, scale, mesh=mesh)
            image = self._put_back(picture, face, drawn) if place == "photo" else Image(pixels=make_card(drawn))
        net = self.sketch_net if gives == "sketch" else self.photo_net
        return Sketched(
            image=replace(image, source=picture.source),
            drawn=drawn,
            face=face,
            gives=gives,
            style=style,
            weights_hash=net.weights_hash,
            seconds=seconds,
            notes=picture.notes,
        )

    def _put_back(self, picture: Image, face: Face, drawn: Pixels) -> Image:
        """The picture with the drawing in the place of the person, as far as the crop reaches."""
        side = len(face.crop)
        person = geometry.resize(self._find_person(face.crop, face.to_crop(face.mesh)), side, side)
        whole = replace(face, matte=(person * _fade(side)).astype(np.float32))
        aged = Aged(crop=geometry.resize(drawn, side, side))
        return Image(pixels=composite(picture.pixels, whole, aged), icc=picture.icc, dpi=picture.dpi)


def check_kind(face: Face, wanted: str, given_as: str | None) -> None:
    """Checks that a picture is a photo or a sketch as it is wanted; what the user says of it counts more than its look.

    Args:
        face: found in the picture.
        wanted: one of `KINDS`.
        given_as: one of `KINDS`, what the user says; None to look.

    Raises:
        ReageError: when there is no such kind.
        ImageError: when the picture is of the other kind.
    """
    if given_as is not None and given_as not in KINDS:
        raise ReageError(f"There is no kind of picture '{given_as}'; use {' or '.join(KINDS)}.")
    found = given_as or ("sketch" if is_sketch(face) else "photo")
    if found == wanted:
        return
    if found == "sketch":
        raise ImageError(
            "The picture looks like a sketch, and a photo is wanted; use --reverse to make a photo of it, or --as "
            "photo if it is one."
        )
    raise ImageError(
        "The picture looks like a photo, and a sketch is wanted; leave out --reverse, or use --as sketch if it is one."
    )


def make_card(drawn: Pixels) -> Pixels:
    """The drawing (S, S, 3) on paper with a margin."""
    margin = round(_MARGIN * len(drawn))
    return np.pad(drawn, ((margin, margin), (margin, margin), (0, 0)), constant_values=_PAPER)


def _fade(side: int) -> Plane:
    """(S, S) 1 inside a crop, falling to 0 at its border."""
    place = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side
    near = smoothstep(np.minimum(place, 1 - place), 0.0, _FADE)
    return np.minimum(near[:, None], near[None])


def _small_from(crop: Pixels) -> Matrix:
    return geometry.resize_matrix(len(crop), SKETCH_PX)


def _clear(drawn: Plane, person: Plane, backdrop: float) -> Plane:
    """What was drawn (3, S, S) with an even backdrop, of that light, around the person (S, S)."""
    paper = np.float32(2 * backdrop - 1)
    cleared: Plane = paper + person * (drawn - paper)
    return cleared


def _to_source(crop: Pixels) -> Plane:
    small = geometry.resize(crop, SKETCH_PX, SKETCH_PX)
    return small.astype(np.float32).transpose(2, 0, 1) / np.float32(127.5) - 1


def _enlarge(drawn: Plane, crop: Pixels, scale: int, detail: float) -> Pixels:
    """What a net drew (3, 256, 256), enlarged, with the lines of the source that are too fine for the net."""
    side = scale * SKETCH_PX
    small: Plane = np.ascontiguousarray((drawn.transpose(1, 2, 0) + 1) / np.float32(2))
    light = geometry.resize(small, side, side)
    if scale > 1:
        source: Plane = np.log(regions.to_light(geometry.resize(crop, side, side)) / np.float32(255) + np.float32(0.05))
        band = (source - geometry.blur(source, 0.6 * scale)).clip(-_MAX_BAND, _MAX_BAND)
        darkness = 1 - light.mean(-1)
        is_drawn = ((darkness - _EMPTY[0]) / (_EMPTY[1] - _EMPTY[0])).clip(0, 1)
        light = light * np.exp(detail * is_drawn * band)[..., None]
    return regions.to_pixels(255 * light)
