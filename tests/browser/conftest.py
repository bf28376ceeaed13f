"""A running server, Debian's chromium, and the page at two sizes; screenshots go to build/browser/."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skimage.data

from reage.images import Image, encode_image

CHROMIUM = shutil.which("chromium")
ROOT = Path(__file__).parent.parent.parent
WAIT_MS = 90_000
"""For the work of the server, on a busy computer."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leaves the tests of this folder out where no browser is asked for."""
    if CHROMIUM is None or "REAGE_BROWSER" not in os.environ:
        for item in items:
            if Path(__file__).parent in item.path.parents:
                item.add_marker(pytest.mark.skip(reason="run by make test-browser, with chromium"))


@pytest.fixture(scope="session")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reage", "serve", "--port", str(port), "--workers", "1"]
    log = tmp_path_factory.mktemp("log") / "serve.log"
    with log.open("w") as written, subprocess.Popen(command, stderr=written) as server:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                time.sleep(0.25)
        yield f"http://127.0.0.1:{port}/"
        server.terminate()
        assert server.wait(30) in (0, -15)
    assert "Traceback" not in log.read_text()


@pytest.fixture(scope="session")
def browser(me: bytes, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Chromium with a camera that always sees the same face."""
    from playwright.sync_api import sync_playwright

    seen = tmp_path_factory.mktemp("camera") / "me.mjpeg"
    seen.write_bytes(me)
    camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
    camera.append(f"--use-file-for-fake-video-capture={seen}")
    with sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        yield opened
        opened.close()


@pytest.fixture
def asked() -> set[str]:
    """Hosts that a page has asked."""
    return set()


@pytest.fixture
def open_page(request: pytest.FixtureRequest, browser: Any, address: str, asked: set[str]) -> Iterator[Callable]:
    """Opens the page in a window of a width, a height and a colour scheme; takes a screenshot at the end."""
    pages = []

    def open_in(width: int, height: int, scheme: str) -> Any:
        context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
        context.grant_permissions(["camera", "clipboard-read", "clipboard-write"], origin=address.rstrip("/"))
        page = context.new_page()
        page.set_default_timeout(WAIT_MS)
        page.on("request", lambda one: asked.add(one.url.split("/")[2]) if "://" in one.url else None)
        page.goto(address)
        page.get_by_role("button", name="Age the photo").wait_for()
        pages.append(page)
        return page

    yield open_in
    folder = ROOT / "build" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    name = request.node.name.removeprefix("test_").replace("[", "-").rstrip("]")
    for page in pages:
        page.screenshot(path=folder / f"{name}.png", full_page=True)
        page.context.close()


@pytest.fixture
def desk(open_page: Callable) -> Any:
    """The page in a window."""
    return open_page(1280, 1000, "light")


@pytest.fixture
def phone(open_page: Callable) -> Any:
    """The page on a phone."""
    return open_page(390, 844, "dark")


@pytest.fixture(params=["desk", "phone"])
def page(request: pytest.FixtureRequest) -> Any:
    """The page at both sizes."""
    return request.getfixturevalue(request.param)


@pytest.fixture(scope="session")
def me() -> bytes:
    """A JPEG with one face."""
    return encode_image(Image(pixels=skimage.data.astronaut()), ".jpg", altered=False)


@pytest.fixture(scope="session")
def nobody() -> bytes:
    """A JPEG without a face."""
    return encode_image(Image(pixels=np.full((64, 64, 3), 90, np.uint8)), ".jpg", altered=False)
