"""Photo and sketch pairs by artists, in the layouts of the published sets: CUFS (CUHK, AR, XM2VTS), CUFSF and FS2K.

None of them comes with reage; each has its own terms, most of them research only.

    set      photos                          sketches                       usual split: training / test
    cuhk     photos/f-005-01.jpg             sketches/F2-005-01-sz1.jpg     88 / 100
    ar       photos/m-001-01.jpg             sketches/M-001-01-sz1.jpg      80 / 43
    xm2vts   photos/000_1_1.jpg              sketches/000_1_1-sz1.jpg       100 / 195
    cufsf    photos/00001fa010_930831.jpg    sketches/00001.jpg             500 / 694
    fs2k     photo/photo1/image0110.jpg      sketch/sketch1/sketch0110.jpg  anno_train.json / anno_test.json

Folders of the first four may also be called photo and sketch, and may lie deeper, as in CUHK_training_photo/photo; a
folder whose path says training or testing decides the split, and otherwise the first pairs by name are for training.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

from reage.errors import ImageError
from reage.images import is_picture

NUM_TRAINING: Mapping[str, int] = MappingProxyType({"cuhk": 88, "ar": 80, "xm2vts": 100, "cufsf": 500})
"""Set -> pairs of its usual training part."""
SKETCH_SETS = (*NUM_TRAINING, "fs2k")


@dataclass(frozen=True)
class SketchPair:
    """A photo and an artist's sketch of it.

    Args:
        photo: its file.
        sketch: its file.
        name: of the pair in its set.
        split: "train" or "test".
        style: of the sketch, from 1; 1 where a set has one style.
    """

    photo: Path
    sketch: Path
    name: str
    split: str
    style: int = 1


def read_sketch_set(folder: str | Path, name: str) -> list[SketchPair]:
    """The pairs of a published set, sorted by name.

    Args:
        folder: of the set, as it was unpacked.
        name: one of `SKETCH_SETS`.

    Raises:
        ImageError: when there is no such set, or the folder holds no pairs in its layout.
    """
    if name not in SKETCH_SETS:
        raise ImageError(f"There is no sketch set '{name}'; use one of {', '.join(SKETCH_SETS)}.")
    pairs = _read_fs2k(Path(folder)) if name == "fs2k" else _read_named(Path(folder), name)
    if not pairs:
        raise ImageError(
            f"The folder '{folder}' holds no pairs in the layout of {name}; unpack the set there as it is."
        )
    return pairs


def read_pairs(photos: str | Path, sketches: str | Path) -> list[SketchPair]:
    """Pairs of files of one name in two folders, all of them for testing.

    Raises:
        ImageError: when there are none.
    """
    found = {file.stem: file for file in _list(Path(sketches))}
    pairs = [
        SketchPair(photo, found[photo.stem], photo.stem, "test") for photo in _list(Path(photos)) if photo.stem in found
    ]
    if not pairs:
        raise ImageError(
            f"No photo of '{photos}' has a sketch of its name in '{sketches}'; call both alike, as in 1.jpg and 1.png."
        )
    return pairs


def _read_named(folder: Path, name: str) -> list[SketchPair]:
    files = _list(folder)
    photos = {_key(file, name): file for file in files if _lies_in(file, folder, "photo")}
    pairs = []
    for sketch in (file for file in files if _lies_in(file, folder, "sketch")):
        key = _key(sketch, name)
        match = next((one for one in (key, re.sub(r"^([fm])\d", r"\1", key)) if one in photos), None)
        if match is not None:
            pairs.append((match, photos[match], sketch))
    pairs.sort(key=lambda pair: pair[0])
    splits = [
        _split_of(sketch.relative_to(folder), number < NUM_TRAINING[name])
        for number, (_, _, sketch) in enumerate(pairs)
    ]
    return [SketchPair(photo, sketch, key, split) for (key, photo, sketch), split in zip(pairs, splits, strict=True)]


def _read_fs2k(folder: Path) -> list[SketchPair]:
    pairs = []
    for split in ("train", "test"):
        path = folder / f"anno_{split}.json"
        if not path.is_file():
            continue
        try:
            names = [entry["image_name"] for entry in json.loads(path.read_text(encoding="utf-8"))]
        except (ValueError, KeyError, TypeError) as error:
            raise ImageError(f"'{path}' is damaged or of another layout; fetch FS2K again.") from error
        for name in names:
            photo, sketch = (_find(folder / kind, one) for kind, one in (("photo", name), ("sketch", _to_sketch(name))))
            if photo and sketch:
                pairs.append(SketchPair(photo, sketch, name, split, int(name[len("photo")])))
    return pairs


def _to_sketch(name: str) -> str:
    """The name of a photo, photo1/image0110, as that of its sketch, sketch1/sketch0110."""
    return name.replace("photo", "sketch").replace("image", "sketch")


def _find(folder: Path, name: str) -> Path | None:
    path = folder / name
    return next((file for file in sorted(path.parent.glob(f"{path.name}.*")) if is_picture(file)), None)


def _list(folder: Path) -> list[Path]:
    return sorted(file for file in folder.rglob("*") if file.is_file() and is_picture(file)) if folder.is_dir() else []


def _lies_in(file: Path, folder: Path, kind: str) -> bool:
    return kind in file.relative_to(folder).parent.as_posix().lower()


def _key(file: Path, name: str) -> str:
    """What a photo and its sketch have in common in their names."""
    stem = re.sub(r"[-_]sz\d*$", "", file.stem.lower())
    return stem[:5] if name == "cufsf" else stem


def _split_of(sketch: Path, is_early: bool) -> str:
    where = sketch.parent.as_posix().lower()
    if "train" in where or "test" in where:
        return "train" if "train" in where else "test"
    return "train" if is_early else "test"
