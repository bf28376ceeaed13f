"""The page in a real browser: `make test-browser`, with Debian's chromium; screenshots go to build/browser/."""

from __future__ import annotations

import io
import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import skimage.data

from reage.images import Image, decode_image, encode_image
from reage.provenance import read_provenance

playwright = pytest.importorskip("playwright.sync_api")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    CHROMIUM is None or "REAGE_BROWSER" not in os.environ, reason="run by make test-browser, with chromium"
)
ROOT = Path(__file__).parent.parent.parent
PHOTO = {"name": "me.jpg", "mimeType": "image/jpeg"}


@pytest.fixture(scope="module")
def address(tmp_path_factory) -> Iterator[str]:
    """The address of a running server."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "reage", "serve", "--port", str(port), "--workers", "1"]
    log = (tmp_path_factory.mktemp("log") / "serve.log").open("w")
    with subprocess.Popen(command, stderr=log) as server:
        for _ in range(120):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/health").close()
                break
            except OSError:
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/"
        server.terminate()
        assert server.wait(30) in (0, -15)


@pytest.fixture(scope="module")
def browser() -> Iterator:
    with playwright.sync_playwright() as started:
        opened = started.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture
def asked() -> set[str]:
    """Hosts that a page has asked."""
    return set()


@pytest.fixture(params=[(1280, 1000, "light"), (390, 844, "dark")], ids=["desk", "phone"])
def page(request, browser, address, asked) -> Iterator:
    """The opened page, at two sizes."""
    width, height, scheme = request.param
    context = browser.new_context(viewport={"width": width, "height": height}, color_scheme=scheme)
    opened = context.new_page()
    opened.on("request", lambda one: asked.add(one.url.split("/")[2]) if "://" in one.url else None)
    opened.goto(address)
    opened.get_by_role("button", name="Age the photo").wait_for()
    yield opened
    folder = ROOT / "build" / "browser"
    folder.mkdir(parents=True, exist_ok=True)
    name = request.node.name.removeprefix("test_").replace("[", "-").rstrip("]")
    opened.screenshot(path=folder / f"{name}.png", full_page=True)
    context.close()


def give(page, content: bytes) -> None:
    page.locator("input[type=file]").first.set_input_files({**PHOTO, "buffer": content})


def photo() -> bytes:
    return encode_image(Image(pixels=skimage.data.astronaut()), ".jpg", altered=False)


def test_a_photo_is_aged_and_saved_with_its_mark(page, asked) -> None:
    give(page, photo())
    page.get_by_text("1 face, looking").wait_for(timeout=60_000)
    page.locator("#preview img").wait_for(timeout=60_000)
    before = page.locator("#preview img").get_attribute("src")
    slider = page.get_by_label("range slider for Target age, years").first
    slider.focus()
    started = time.monotonic()
    page.keyboard.press("ArrowRight")  # by keyboard alone
    page.wait_for_function("before => document.querySelector('#preview img').src !== before", arg=before)
    print(f"preview after {1000 * (time.monotonic() - started):.0f} ms")
    page.get_by_role("button", name="Age the photo").focus()
    page.keyboard.press("Enter")
    page.get_by_text("aged from").wait_for(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the picture").click()
    saved = download.value.path().read_bytes()
    assert read_provenance(saved).is_marked
    changed = np.abs(decode_image(saved).pixels.astype(int) - decode_image(photo()).pixels)
    assert changed[:200].max() > 30
    assert changed[400:, 400:].mean() < 2
    assert asked == {page.url.split("/")[2]}


def test_what_is_no_picture_is_refused_in_a_sentence(page) -> None:
    give(page, b"nothing that could be a picture")
    page.get_by_text("is not a picture that reage can read").wait_for(timeout=60_000)


def test_nothing_is_wider_than_the_window(page) -> None:
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def test_every_control_has_a_name(page) -> None:
    nameless = """[...document.querySelectorAll('input, button, textarea, select, [role=slider]')].filter(one =>
        one.offsetParent && !(one.labels && one.labels.length) && !one.getAttribute('aria-label')
        && !one.getAttribute('aria-labelledby') && !one.textContent.trim() && !one.title).map(one => one.outerHTML)"""
    for name in ("Zones", "More", "Several ages"):
        page.locator("button.label-wrap", has_text=name).last.click()
    assert page.evaluate(nameless) == []


def test_a_picture_of_another_size_than_the_screen_is_kept_whole(page) -> None:
    pixels = np.ascontiguousarray(skimage.data.astronaut()[:300, 60:360])
    give(page, encode_image(Image(pixels=pixels), ".png", altered=False))
    page.get_by_text("1 face, looking").wait_for(timeout=60_000)
    page.get_by_role("button", name="Age the photo").click()
    page.get_by_text("aged from").wait_for(timeout=60_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save the picture").click()
    assert decode_image(download.value.path().read_bytes()).pixels.shape == pixels.shape
    assert io.BytesIO(download.value.path().read_bytes()).read(4) == b"\x89PNG"
