"""The folder beside a video that is being written: what a stopped run leaves, so that the same command goes on."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from reage.errors import VideoError
from reage.files import replace_file
from reage.video.source import Damage
from reage.video.tracking import Track

_ORDER, _SURVEY = "run.json", "tracks.npz"
_TRACK_ARRAYS = ("seconds", "meshes", "qualities", "lights", "steps", "looks")


@dataclass(frozen=True, kw_only=True, eq=False)
class Survey:
    """What the first reading of a video found.

    Args:
        pts: (T,) time stamp of each frame, in the time base of the source.
        seconds: (T,) time of each.
        tracks: the faces.
        cuts: numbers of the frames with which a shot starts, without the first.
        damage: what could not be read.
    """

    pts: NDArray[np.int64]
    seconds: NDArray[np.float64]
    tracks: Sequence[Track]
    cuts: Sequence[int]
    damage: Damage


@dataclass(frozen=True)
class Workspace:
    """The folder of one run.

    Args:
        path: of the folder.
    """

    path: Path

    @classmethod
    def open(cls, output: Path, order: Mapping[str, Any]) -> Workspace:
        """The folder for a result; what another order left in it is deleted.

        Args:
            output: file of the result.
            order: everything that the result depends on, as plain values.

        Raises:
            VideoError: when the folder cannot be made.
        """
        path = output.with_name(f"{output.name}.unfinished")
        text = json.dumps(order, sort_keys=True)
        key = hashlib.sha256(text.encode()).hexdigest()
        try:
            if path.exists() and _key_of(path) != key:
                shutil.rmtree(path)
            path.mkdir(exist_ok=True)
            with replace_file(path / _ORDER, VideoError) as unfinished:
                unfinished.write_text(json.dumps({"key": key, "order": order}, indent=1), encoding="utf-8")
        except OSError as refusal:
            raise VideoError(
                f"'{path}' could not be written ({refusal.strerror}); choose another place for the video."
            ) from refusal
        return cls(path)

    def segment(self, index: int) -> Path:
        """File of a segment, which is there once it is complete."""
        return self.path / f"segment-{index:05}.packets"

    def save_survey(self, survey: Survey) -> None:
        """Keeps what was found."""
        values: dict[str, Any] = {"pts": survey.pts, "seconds": survey.seconds, "cuts": np.array(survey.cuts, int)}
        damage = survey.damage
        ended = np.nan if damage.ended_seconds is None else damage.ended_seconds
        values["damage"] = np.array([damage.packets, damage.first_seconds, ended])
        for index, track in enumerate(survey.tracks):
            for name in _TRACK_ARRAYS:
                values[f"{index}.{name}"] = getattr(track, name)
            values[f"{index}.ends"] = np.array([track.first, track.enters, track.leaves], int)
        with replace_file(self.path / _SURVEY, VideoError) as unfinished, unfinished.open("wb") as file:
            np.savez(file, **values)

    def load_survey(self) -> Survey | None:
        """What an earlier run found; None where it was stopped before."""
        if not (self.path / _SURVEY).is_file():
            return None
        with np.load(self.path / _SURVEY) as values:
            count = sum(name.endswith(".ends") for name in values)
            packets, first, ended = values["damage"].tolist()
            return Survey(
                pts=values["pts"],
                seconds=values["seconds"],
                cuts=values["cuts"].tolist(),
                damage=Damage(int(packets), first, None if np.isnan(ended) else ended),
                tracks=[_load_track(values, index) for index in range(count)],
            )

    def remove(self) -> None:
        """Deletes the folder."""
        shutil.rmtree(self.path, ignore_errors=True)


def _load_track(values: Mapping[str, NDArray[Any]], index: int) -> Track:
    first, enters, leaves = values[f"{index}.ends"].tolist()
    arrays = {name: values[f"{index}.{name}"] for name in _TRACK_ARRAYS}
    return Track(first=first, enters=bool(enters), leaves=bool(leaves), **arrays)


def _key_of(path: Path) -> str:
    with suppress(OSError, ValueError):
        return str(json.loads((path / _ORDER).read_text(encoding="utf-8")).get("key"))
    return ""
