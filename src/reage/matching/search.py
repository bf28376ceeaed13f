"""Searches a gallery for the person of a photo or a sketch.

Three ways to compare a sketch with photos: directly; synthesis, where every photo of the gallery is drawn first and
sketches are compared; reverse, where a photo is made of the sketch first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from reage.errors import FaceNotFound, ImageError, ReageError
from reage.faces.drawn_sketch import STYLES, check_style
from reage.faces.finder import choose_faces
from reage.faces.sketch_detection import is_sketch
from reage.images import Image, geometry, list_images, load_image
from reage.matching.calibration import Calibration, find_calibration
from reage.matching.index import FaceIndex, Row
from reage.measure.recognizers import (
    SAME_PERSON_DISTANCE,
    AifdRecognizer,
    DlibRecognizer,
    FaceRecognizer,
    load_recognizer,
)
from reage.sketch import KINDS, SCALE, Sketcher
from reage.types import Face, Pixels, Plane

MODES = ("direct", "synthesis", "reverse")
"""Ways to compare a probe with a gallery."""
MATCHERS = ("aifd", "dlib")
"""Shipped recognizers; a third kind is an ONNX file."""
DEFAULT_MATCHER, DEFAULT_SKETCH_MODE = "aifd", "direct"

Track = Callable[[Sequence[Path]], Iterable[Path]]


@dataclass(frozen=True)
class Match:
    """A face of the gallery.

    Args:
        file: of the picture.
        face: its number in the picture.
        score: similarity to the probe, higher for more similar faces; the scale depends on the recognizer.
        same: whether it counts as the same person; None where the recognizer has no threshold.
        false_match_rate: how often two different people are as similar, within what was measured; None without that.
    """

    file: Path
    face: int
    score: float
    same: bool | None
    false_match_rate: float | None = None

    def to_json(self) -> dict[str, Any]:
        """The match as plain values."""
        rate = None if self.false_match_rate is None else float(f"{self.false_match_rate:.2g}")
        return {
            "file": str(self.file),
            "score": round(self.score, 4),
            "same": self.same,
            "face": self.face,
            "false_match_rate": rate,
        }


@dataclass(frozen=True, kw_only=True)
class Matches:
    """What was found for a probe.

    Args:
        matches: the best first.
        probe: the face.
        kind: "photo" or "sketch", what the probe was taken for.
        recognizer: its name.
        mode: one of `MODES`.
        threshold: similarity from which two faces count as one person; None where it is not known.
        num_faces: in the gallery.
        missed: pictures of the gallery without a face, or unreadable.
    """

    matches: tuple[Match, ...]
    probe: Face = field(repr=False)
    kind: str
    recognizer: str
    mode: str
    threshold: float | None
    num_faces: int
    missed: tuple[str, ...] = ()

    @property
    def found(self) -> bool | None:
        """Whether any match counts as the same person; None where no threshold is known."""
        return None if self.threshold is None else any(match.same for match in self.matches)

    def to_json(self) -> dict[str, Any]:
        """All of it as plain values."""
        return {
            "matches": [match.to_json() for match in self.matches],
            "found": self.found,
            "probe_is": self.kind,
            "matcher": self.recognizer,
            "mode": self.mode,
            "threshold": None if self.threshold is None else round(self.threshold, 4),
            "faces": self.num_faces,
            "missed": list(self.missed),
        }


class Matcher:
    """Searches galleries with one recognizer.

    Args:
        recognizer: "aifd", "dlib", or the path of an ONNX file.
        kind: of the net in an ONNX file, see `reage.measure.recognizers.KINDS`.
        sketcher: finds faces, draws sketches and makes photos; a new one by default.

    Example:
        >>> matches = Matcher().match("sketch.png", "mugshots/")  # doctest: +SKIP
        >>> matches.matches[0].file, matches.matches[0].same  # doctest: +SKIP
        (PosixPath('mugshots/0412.jpg'), True)
    """

    def __init__(
        self, recognizer: str | Path = DEFAULT_MATCHER, kind: str = "arcface", sketcher: Sketcher | None = None
    ) -> None:
        self.recognizer: FaceRecognizer = (
            DlibRecognizer.load() if str(recognizer) == "dlib" else load_recognizer(recognizer, kind)
        )
        self.sketcher = sketcher or Sketcher()

    def match(
        self,
        probe: str | Path | Image,
        gallery: str | Path | FaceIndex,
        *,
        top: int = 10,
        mode: str | None = None,
        style: str = STYLES[0],
        given_as: str | None = None,
        index: str | Path | None = None,
        track: Track = iter,
    ) -> Matches:
        """The faces of a gallery that are most similar to the largest face of a probe.

        Args:
            probe: a photo or a sketch.
            gallery: a folder of photos, the file of an index (.parquet), or an index.
            top: how many matches at most.
            mode: one of `MODES`; the best that was measured for its kind by default.
            style: of the sketches that `synthesis` draws.
            given_as: one of `reage.sketch.KINDS`, what the probe is; found out by default.
            index: file in which the faces of a folder are kept; only new and changed pictures are read again.
            track: passes the pictures of a folder on, and may show progress.

        Raises:
            ImageError: when a picture or the index cannot be read, or the index was made in another way.
            FaceNotFound: when the probe or the whole gallery shows no face.
            ReageError: when there is no such mode, style or kind, or the mode does not suit the kind.
        """
        check_style(style)
        picture = probe if isinstance(probe, Image) else load_image(probe)
        face = choose_faces(self.sketcher.finder.find(picture.pixels), "largest")[0]
        kind = find_kind(face, given_as)
        mode = choose_mode(mode, kind)
        faces, missed = self._open(gallery, mode, style, index, track)
        own = self.embed_probe(face, mode)
        rows = faces.nearest(own, top)
        calibration = self._calibration(kind, mode)
        folder = Path(gallery) if isinstance(gallery, str | Path) and Path(gallery).is_dir() else Path()
        threshold = self._threshold(kind, calibration)
        matches = [self._judge(folder, faces, row, own, threshold, calibration) for row in rows]
        matches.sort(key=lambda match: -match.score)
        return Matches(
            matches=tuple(matches),
            probe=face,
            kind=kind,
            recognizer=self.recognizer.name,
            mode=mode,
            threshold=threshold,
            num_faces=len(faces),
            missed=tuple(missed),
        )

    def embed_probe(self, face: Face, mode: str) -> Plane:
        """The embedding (D,) of the face of a probe; `reverse` makes a photo of it first."""
        crop = self.sketcher.restore(face.crop, mesh=face.to_crop(face.mesh)) if mode == "reverse" else face.crop
        return self._embed(crop, face)

    def embed_gallery(self, face: Face, mode: str, style: str = STYLES[0]) -> Plane:
        """The embedding (D,) of a face of a gallery; `synthesis` draws it first."""
        if mode != "synthesis" or is_sketch(face):
            return self._embed(face.crop, face)
        return self._embed(self.sketcher.draw(face.crop, style, mesh=face.to_crop(face.mesh)), face)

    def make_index(
        self,
        folder: str | Path,
        mode: str = "direct",
        style: str = STYLES[0],
        *,
        old: FaceIndex | None = None,
        track: Track = iter,
    ) -> tuple[FaceIndex, list[str]]:
        """All faces of the photos of a folder, and the names of pictures without one.

        Args:
            folder: of the gallery.
            mode: one of `MODES`.
            style: of the sketches that `synthesis` draws.
            old: an index of the same folder; pictures that are the same since are not read again.
            track: passes the pictures on.

        Raises:
            ImageError: when the folder holds no pictures.
            FaceNotFound: when no picture shows a face.
        """
        folder = Path(folder)
        files = list_images(folder)
        if not files:
            raise ImageError(f"The folder '{folder}' holds no pictures; give a folder of photos.")
        known = _known(old)
        rows: list[Row] = []
        embeddings: list[Plane] = []
        missed: list[str] = []
        for file in track(files):
            stamp = (file.stat().st_size, file.stat().st_mtime_ns)
            found = known.get((file.name, *stamp)) or self._read(file, stamp, mode, style)
            rows += [row for row, _ in found]
            embeddings += [embedding for _, embedding in found]
            missed += [] if found else [file.name]
        if not rows:
            raise FaceNotFound(f"No face was found in the {len(files)} pictures of '{folder}'; give photos of faces.")
        return FaceIndex(rows, np.stack(embeddings), self._made_by(mode, style)), missed

    def _open(
        self, gallery: str | Path | FaceIndex, mode: str, style: str, index: str | Path | None, track: Track
    ) -> tuple[FaceIndex, list[str]]:
        wanted = self._made_by(mode, style)
        if isinstance(gallery, FaceIndex):
            gallery.check_made_by(wanted, "given")
            return gallery, []
        gallery = Path(gallery)
        if gallery.suffix == ".parquet" and not gallery.is_dir():
            found = FaceIndex.load(gallery)
            found.check_made_by(wanted, gallery)
            return found, []
        if not gallery.is_dir():
            raise ImageError(f"There is no folder '{gallery}'; give a folder of photos, or an index (.parquet).")
        old = FaceIndex.load(index) if index is not None and Path(index).exists() else None
        if old is not None:
            old.check_made_by(wanted, Path(str(index)))
        made, missed = self.make_index(gallery, mode, style, old=old, track=track)
        if index is not None and (old is None or old.rows != made.rows):
            made.save(index)
        return made, missed

    def _read(self, file: Path, stamp: tuple[int, int], mode: str, style: str) -> list[tuple[Row, Plane]]:
        try:
            faces = self.sketcher.finder.find(load_image(file).pixels)
        except ImageError:
            return []
        return [
            (Row(file.name, number, *stamp), self.embed_gallery(face, mode, style))
            for number, face in enumerate(faces, 1)
        ]

    def _embed(self, crop: Pixels, face: Face) -> Plane:
        scale = len(crop) / len(face.crop)
        points = geometry.move_points(
            face.to_crop(face.landmarks), geometry.resize_matrix(len(face.crop), scale * len(face.crop))
        )
        return self.recognizer.embed(crop, points)

    def _made_by(self, mode: str, style: str) -> dict[str, str]:
        """What an index must have been made with; galleries for `direct` and `reverse` are the same."""
        drawn = mode == "synthesis"
        return {"matcher": self.recognizer.name, "sketches": f"{style}-{SCALE}" if drawn else "none"}

    def _calibration(self, kind: str, mode: str) -> Calibration | None:
        return find_calibration(self.recognizer.name, "photo" if kind == "photo" else mode)

    def _threshold(self, kind: str, calibration: Calibration | None) -> float | None:
        if kind == "photo" and isinstance(self.recognizer, AifdRecognizer):
            return self.recognizer.threshold
        if kind == "photo" and isinstance(self.recognizer, DlibRecognizer):
            return -SAME_PERSON_DISTANCE
        return None if calibration is None else calibration.threshold

    def _judge(
        self,
        folder: Path,
        faces: FaceIndex,
        row: int,
        probe: Plane,
        threshold: float | None,
        calibration: Calibration | None,
    ) -> Match:
        score = float(self.recognizer.similarity(probe, faces.embeddings[row]))
        entry = faces.rows[row]
        return Match(
            file=folder / entry.file,
            face=entry.face,
            score=score,
            same=None if threshold is None else score >= threshold,
            false_match_rate=None if calibration is None else calibration.false_match_rate(score),
        )


def find_kind(face: Face, given_as: str | None) -> str:
    """Whether a face is of a photo or of a sketch; what the user says counts.

    Raises:
        ReageError: when there is no such kind.
    """
    if given_as is not None and given_as not in KINDS:
        raise ReageError(f"There is no kind of picture '{given_as}'; use {' or '.join(KINDS)}.")
    return given_as or ("sketch" if is_sketch(face) else "photo")


def choose_mode(mode: str | None, kind: str) -> str:
    """The way to match a probe of a kind.

    Raises:
        ReageError: when there is no such way, or it is for sketches and the probe is a photo.
    """
    if mode is not None and mode not in MODES:
        raise ReageError(f"There is no way to match '{mode}'; use one of {', '.join(MODES)}.")
    if kind == "photo" and mode not in (None, "direct"):
        raise ReageError(
            f"The probe looks like a photo, and '{mode}' is for sketches; leave out --mode, or use --as sketch if "
            "it is one."
        )
    return mode or ("direct" if kind == "photo" else DEFAULT_SKETCH_MODE)


def _known(index: FaceIndex | None) -> dict[tuple[str, int, int], list[tuple[Row, Plane]]]:
    known: dict[tuple[str, int, int], list[tuple[Row, Plane]]] = {}
    for row, embedding in zip(index.rows, index.embeddings, strict=True) if index else ():
        known.setdefault((row.file, row.size, row.changed_ns), []).append((row, embedding))
    return known
