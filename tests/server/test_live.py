"""The page of `reage live`."""

from __future__ import annotations

import io
import json

import PIL.Image
from starlette.testclient import TestClient

from reage.pipeline import Reager
from reage.server.config import ServerConfig
from reage.server.live import build_live_app
from reage.video.live import LiveReager, LiveSession
from tests.server.conftest import ADDRESS, make_portrait


def test_the_page_shows_the_camera_and_sets_the_age() -> None:
    session = LiveSession(iter([make_portrait()]), LiveReager(Reager("none"), 70))
    session.start()
    assert session.shown.take(0, timeout_seconds=60) is not None
    session.stop()
    client = TestClient(build_live_app(session, ServerConfig(port=7861)), base_url=ADDRESS)
    page = client.get("/")
    assert 'value="70"' in page.text
    assert page.headers["x-frame-options"] == "DENY"
    stream = client.get("/stream")
    assert stream.headers["content-type"].startswith("multipart/x-mixed-replace")
    head, _, rest = stream.content.partition(b"\r\n\r\n")
    assert b"Content-Type: image/jpeg" in head
    assert PIL.Image.open(io.BytesIO(rest)).size == (256, 256)
    assert client.post("/age", content=json.dumps({"age": 33})).json()["age"] == 33
    assert session.live.age == 33
    for body in ("{}", "x", json.dumps({"age": 900})):
        assert client.post("/age", content=body).status_code == 422
    assert client.get("/", headers={"host": "evil.example"}).status_code == 421
