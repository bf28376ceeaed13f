"""Jobs: videos and zips are aged as the command line does it, within limits, and nothing is left of them."""

from __future__ import annotations

import io
import json
import os
import signal
import time
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from starlette.testclient import TestClient

from reage.images import decode_image
from reage.pipeline import Reager
from reage.server.app import build_app
from reage.server.config import ServerConfig
from reage.types import Plan
from tests.server.conftest import ADDRESS, LIMITS
from tests.server.processes import find_children
from tests.video.clips import moving_face, write_clip

JOBS = "/v1/jobs"
SMALL = replace(LIMITS, job_megabytes=1, num_jobs=2, job_photos=3, job_frames=8, seconds=60)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where the server makes its folder."""
    return tmp_path_factory.mktemp("temporary")


@pytest.fixture(scope="module")
def client(folder):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        app = build_app(ServerConfig(with_page=False, limits=SMALL))
    with TestClient(app, base_url=ADDRESS) as running:
        yield running


@pytest.fixture(scope="module")
def clip(tmp_path_factory) -> bytes:
    return write_clip(tmp_path_factory.mktemp("clip") / "me.mp4", moving_face(4)).read_bytes()


def pack(files: dict[str, bytes], **settings) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", **settings) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return made.getvalue()


def give(client, content: bytes, name: str = "me.mp4", headers=None, **fields):
    return client.post(JOBS, files={"file": (name, content)}, data=fields, headers=headers)


def follow(client, job: dict) -> list[tuple[str, dict]]:
    """The events of a job until it is over."""
    events = []
    with client.stream("GET", f"{JOBS}/{job['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        for line in answer.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
            elif line.startswith("data: "):
                events.append((name, json.loads(line.removeprefix("data: "))))
    return events


def files_in(folder) -> list[str]:
    return [path.name for path in folder.rglob("*") if path.is_file()]


def test_a_video_is_aged_with_events_and_then_forgotten(client, folder, clip, tmp_path) -> None:
    from reage.video.aging import VideoReager
    from reage.video.order import VideoOrder

    given = give(client, clip, "..\\..\\secret/me.mp4", age=70)
    assert given.status_code == 202
    job = given.json()
    assert given.headers["location"] == f"{JOBS}/{job['id']}"
    assert client.get(f"{JOBS}/{job['id']}/result").status_code == 409  # not yet
    events = follow(client, job)
    assert [name for name, _ in events][-1] == "done"
    assert {"finding people", "aging"} <= {values["step"] for _, values in events}
    assert events[-1][1]["done"] == events[-1][1]["total"] == 4
    outcome = client.get(f"{JOBS}/{job['id']}").json()["outcome"]
    assert outcome["frames_aged"] == 4
    assert outcome["people"][0]["target_years"] == [70, 70]
    result = client.get(f"{JOBS}/{job['id']}/result")
    assert result.headers["content-type"] == "video/mp4"
    (tmp_path / "me.mp4").write_bytes(clip)
    VideoReager(Reager()).age(tmp_path / "me.mp4", VideoOrder(plan=Plan(age=70)), tmp_path / "aged.mp4")
    assert result.content == (tmp_path / "aged.mp4").read_bytes()
    assert client.get(f"{JOBS}/{job['id']}").status_code == 404
    assert files_in(folder) == []


def test_a_zip_is_aged_photo_by_photo_as_the_api_does(client, folder, me) -> None:
    content = pack(
        {"a/me.png": me, "b/me.png": me, "../../nothing.jpg": b"nothing", "__MACOSX/me.png": b"", "a/.hidden": b""},
        compression=zipfile.ZIP_DEFLATED,
    )
    job = give(client, content, "photos.zip", age=70).json()
    events = follow(client, job)
    assert [name for name, _ in events][-1] == "done"
    assert events[-1][1]["outcome"]["failed"] == 1
    result = zipfile.ZipFile(io.BytesIO(client.get(f"{JOBS}/{job['id']}/result").content))
    assert result.namelist() == ["me-70.png", "2-me-70.png", "report.json"]
    alone = client.post("/v1/age", files={"photo": me}, data={"age": "70"})
    np.testing.assert_array_equal(decode_image(result.read("me-70.png")).pixels, decode_image(alone.content).pixels)
    report = json.loads(result.read("report.json"))
    assert [one["photo"] for one in report] == ["me.png", "2-me.png", "nothing.jpg"]
    assert report[2]["error"] == "image"
    assert report[0]["faces"][0]["plan"]["age"] == 70
    assert files_in(folder) == []


BAD = [
    (b"", {"age": 70}, "file"),
    (b"#EXTM3U\n/etc/passwd", {"age": 70}, "file"),
    (b"ffconcat version 1.0\nfile /etc/passwd", {"age": 70}, "file"),
    (b"PK\x03\x04 and no more", {"age": 70}, "file"),
    (pack({}), {"age": 70}, "file"),
    (pack({"folder/": b""}), {"age": 70}, "photos"),
    (pack({f"{number}.jpg": b"x" for number in range(4)}), {"age": 70}, "photos"),
    (pack({"a.jpg": b"x"})[:-20], {"age": 70}, "file"),
    (pack({"a.jpg": b"x"}), {"age": 700}, "plan"),
    (pack({"a.jpg": b"x"}), {"age": 70, "seconds": 3}, "field"),
    (pack({"a.jpg": b"x"}), {"age": 70, "engine": "nothing"}, "engine"),
    (b"\0\0\0\x18ftypisom", {"age": 70, "skin": "redness=0.1"}, "field"),
    (b"\0\0\0\x18ftypisom", {"age": 70, "seconds": -1}, "field"),
    (b"\0\0\0\x18ftypisom", {}, "plan"),
]


@pytest.mark.parametrize(("content", "fields", "kind"), BAD, ids=range(len(BAD)))
def test_what_is_no_job_is_refused_at_once(client, folder, content, fields, kind) -> None:
    answer = give(client, content, **fields)
    assert (answer.status_code, answer.json()["error"]) == (422, kind), answer.text
    assert answer.json()["message"].endswith(".")
    assert files_in(folder) == []


def test_a_picture_is_no_job(client, me) -> None:
    assert "/v1/age" in give(client, me, age=70).json()["message"]


def test_a_video_that_cannot_be_read_or_is_too_long_fails_in_a_sentence(client, clip, tmp_path) -> None:
    long = write_clip(tmp_path / "long.mp4", moving_face(9)).read_bytes()
    for content, words in [(clip[:3000], "no video that can be read"), (long, "more than the 8 frames")]:
        job = give(client, content, age=70).json()
        name, values = follow(client, job)[-1]
        assert (name, values["error"]) == ("failed", "video")
        assert words in values["message"]
        assert "/" not in values["message"]
        refused = client.get(f"{JOBS}/{job['id']}/result")
        assert (refused.status_code, refused.json()["message"]) == (409, values["message"])
        assert client.delete(f"{JOBS}/{job['id']}").status_code == 204
        assert client.get(f"{JOBS}/{job['id']}").status_code == 404


def test_photos_of_a_zip_are_read_only_so_far_as_is_allowed(client, me) -> None:
    bomb = pack({"bomb.png": bytes(50_000_000), "me.png": me}, compression=zipfile.ZIP_DEFLATED)
    packed = pack({"me.png": me}, compression=zipfile.ZIP_LZMA)
    for content, kinds in [(bomb, ["bytes", None]), (packed, ["file"])]:
        values = follow(client, give(client, content, "x.zip", age=70).json())[-1][1]
        assert [one.get("error") for one in values["outcome"]["photos"]] == kinds
        client.delete(f"{JOBS}/{values['id']}")


def test_jobs_have_a_number_and_can_be_cancelled(client, folder, clip) -> None:
    jobs = [give(client, clip, age=70).json() for _ in range(2)]
    full = give(client, clip, age=70)
    assert (full.status_code, full.json()["error"]) == (503, "busy")
    while client.get(f"{JOBS}/{jobs[0]['id']}").json()["state"] == "waiting":
        time.sleep(0.01)
    before = len(find_children())
    for job in jobs:
        assert client.delete(f"{JOBS}/{job['id']}").status_code == 204
    assert len(find_children()) == before - 1
    assert files_in(folder) == []


def test_the_process_of_a_job_may_die(client, clip, me) -> None:
    others = find_children()
    job = give(client, clip, age=70).json()
    while not (own := set(find_children()) - set(others)):
        time.sleep(0.01)
    os.kill(own.pop(), signal.SIGSEGV)
    name, values = follow(client, job)[-1]
    assert (name, values["error"]) == ("failed", "crash")
    client.delete(f"{JOBS}/{job['id']}")
    assert client.post("/v1/find", files={"photo": me}).status_code == 200


def test_a_key_starts_a_job_once(client, clip) -> None:
    headers = {"idempotency-key": "job"}
    first, again = (give(client, clip, headers=headers, age=70).json() for _ in range(2))
    assert first == again
    other = give(client, clip, headers=headers, age=71)
    assert (other.status_code, other.json()["error"]) == (422, "key")
    client.delete(f"{JOBS}/{first['id']}")


def test_bytes_of_a_job_have_a_limit_of_their_own(client) -> None:
    answer = give(client, bytes(1_100_000), age=70)
    assert (answer.status_code, answer.json()["error"]) == (413, "bytes")


def test_a_job_takes_no_longer_than_it_may_and_is_forgotten(clip) -> None:
    limits = replace(SMALL, job_seconds=0.05, kept_seconds=0.2)
    with TestClient(build_app(ServerConfig(with_page=False, limits=limits)), base_url=ADDRESS) as client:
        job = give(client, clip, age=70).json()
        assert follow(client, job)[-1][1]["error"] == "time"
        time.sleep(0.3)
        assert client.get(f"{JOBS}/{job['id']}").status_code == 404


def test_a_server_that_stops_cancels_jobs_and_leaves_no_file(folder, clip, monkeypatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    others, folders = find_children(), list(folder.iterdir())
    app = build_app(ServerConfig(with_page=False, limits=SMALL))
    with TestClient(app, base_url=ADDRESS) as client:
        job = give(client, clip, age=70).json()
        app.stop()
        assert follow(client, job)[-1][0] == "cancelled"
        assert give(client, clip, age=70).json()["error"] == "stopping"
    assert list(folder.iterdir()) == folders
    assert find_children() == others
