"""The manifest: parts joined into one file, the newest row of each photo, and refusals of what is none."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from reage.cluster import Manifest, Place
from reage.cluster.manifest import MANIFEST_NAME, PARTS_FOLDER, make_row
from reage.cluster.pictures import Picture
from reage.cluster.places import StoredFile
from reage.errors import ImageError


def row(name: str, status: str = "aged", **changes: Any) -> dict[str, Any]:
    picture = Picture(file=StoredFile(name=name, num_bytes=3, stamp="3-1"), output=name)
    faces = [
        {"box": [1, 2, 3, 4], "age_years": 40.5, "age_std_years": 6, "identity_distance": distance, "doubts": ["dark"]}
        for distance in (0.25, 0.5)
    ]
    values = {"faces": [{**face, "plan": {"age": 70.0}} for face in faces], "notes": ["n"], "weights_hash": "abc"}
    outcome = {"status": status, "reason": "" if status == "aged" else "No.", "values": values}
    record = {"outcome": outcome, "source_hash": "ff", "seconds": 0.5, "worker": "here:1", "finished": 1.8e9}
    return make_row(picture, {**record, **changes})


def make(place: Place, settings: str = "at 70") -> Manifest:
    return Manifest(place, settings, {"engine": "none"})


def test_parts_become_one_file_in_which_the_newest_row_stays(places: tuple[Place, Place]) -> None:
    place = places[1]
    manifest = make(place)
    manifest.compact()
    assert place.list_files() == []
    manifest.write_part("1-00", [row("a.png", "failed"), row("b.png")])
    manifest.compact()
    make(place).write_part("2-01", [row("c.png")])
    make(place).write_part("2-00", [row("a.png", seconds=2.0)])
    manifest = make(place)
    manifest.compact()
    assert [file.name for file in place.list_files()] == [MANIFEST_NAME]
    rows = manifest.read().to_pylist()
    assert [(one["source"], one["status"], one["seconds"]) for one in rows] == [
        ("a.png", "aged", 2.0),
        ("b.png", "aged", 0.5),
        ("c.png", "aged", 0.5),
    ]
    assert rows[0]["faces"] == 2
    assert rows[0]["identity_distance"] == 0.5
    assert rows[0]["readings"][0]["target_years"] == 70
    assert rows[0]["error"] is None
    assert b'"engine": "none"' in pq.read_schema(pa.BufferReader(place.read(MANIFEST_NAME))).metadata[b"reage_manifest"]


def test_a_photo_is_finished_when_it_is_aged_and_its_result_is_there(places: tuple[Place, Place]) -> None:
    place = places[1]
    manifest = make(place)
    manifest.write_part("1-00", [row("a.png"), row("b.png", "failed"), row("c.png")])
    manifest.compact()
    for name in ("a.png", "b.png"):
        place.write(name, b"x")
    assert manifest.find_finished() == {"a.png": "3-1"}


@pytest.mark.parametrize("is_part", [True, False])
def test_a_manifest_of_other_settings_or_none_at_all_is_refused(places: tuple[Place, Place], is_part: bool) -> None:
    place = places[1]
    manifest = make(place)
    manifest.write_part("1-00", [row("a.png")])
    if not is_part:
        manifest.compact()
    with pytest.raises(ImageError, match="holds the manifest of a run with other options"):
        make(place, "at 30")
    place.write(f"{PARTS_FOLDER}/1-00.parquet" if is_part else MANIFEST_NAME, b"no parquet")
    with pytest.raises(ImageError, match="is no manifest of reage, or damaged; move it away"):
        make(place)
