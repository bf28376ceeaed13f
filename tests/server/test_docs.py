"""The clients in docs/serving.md, against a server that listens on a port."""

from __future__ import annotations

import re
import threading
import time
from pathlib import Path

import httpx
import pytest
import uvicorn

from reage.provenance import read_provenance
from reage.server.app import build_app, make_server
from reage.server.config import ServerConfig
from reage.video.signing import read_video_provenance
from tests.server.conftest import LIMITS
from tests.video.clips import moving_face, write_clip

DOCS = Path(__file__).parent.parent.parent / "docs" / "serving.md"
CLIENTS = re.findall(r"```python\n(.*?)```", DOCS.read_text("utf-8"), re.DOTALL)


def start(config: ServerConfig) -> tuple[uvicorn.Server, threading.Thread, int]:
    """A server that listens, its thread and its port."""
    server = make_server(config, build_app(config))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    return server, thread, server.servers[0].sockets[0].getsockname()[1]


@pytest.fixture(scope="module")
def port():
    server, thread, number = start(ServerConfig(port=0, with_page=False, limits=LIMITS))
    yield number
    server.should_exit = True
    thread.join(30)


def run(code: str, port: int) -> None:
    exec(compile(code.replace(":7860", f":{port}"), str(DOCS), "exec"), {})


def test_the_client_ages_a_photo(port, encode, portrait, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    Path("me.jpg").write_bytes(encode(portrait, ".jpg"))
    assert len(CLIENTS[0].strip().splitlines()) <= 15
    run(CLIENTS[0], port)
    assert 20 < float(capsys.readouterr().out) < 70
    assert read_provenance("me-70.jpg").is_marked


def test_the_client_follows_a_job(port, tmp_path, monkeypatch, capsys) -> None:
    monkeypatch.chdir(tmp_path)
    write_clip(Path("me.mp4"), moving_face(2))
    run(CLIENTS[1], port)
    assert capsys.readouterr().out.splitlines()[-1] == "done aging 2 of 2"
    assert read_video_provenance(Path("me-70.mp4")).is_marked


def test_the_client_says_why_it_is_refused(port, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("me.jpg").write_bytes(b"nothing")
    with pytest.raises(SystemExit, match="not a picture that reage can read"):
        run(CLIENTS[0], port)


def test_a_server_does_not_wait_for_who_follows_a_job(tmp_path) -> None:
    server, thread, port = start(ServerConfig(port=0, with_page=False, limits=LIMITS))
    clip = write_clip(tmp_path / "me.mp4", moving_face(8)).read_bytes()
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        job = client.post("/v1/jobs", files={"file": ("me.mp4", clip)}, data={"age": 70}).json()
        with client.stream("GET", f"/v1/jobs/{job['id']}/events") as events:
            lines = events.iter_lines()
            next(lines)
            server.should_exit = True
            assert "event: cancelled" in list(lines)
    started = time.monotonic()
    thread.join(30)
    assert time.monotonic() - started < 15
    assert not thread.is_alive()
