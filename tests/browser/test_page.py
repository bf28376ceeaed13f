"""The page in a real browser: `make test-browser`."""

from __future__ import annotations

import base64
import time

import numpy as np
import skimage.data

from reage.images import Image, decode_image, encode_image
from reage.provenance import read_provenance
from tests.browser.actions import FOUND, give, give_me, open_tab, unfold

SLIDER = "range slider for Target age, years"
TIME_PREVIEW = """age => new Promise(done => {
    const slider = document.querySelector('input[type=range][aria-label*="Target age, years"]');
    const canvas = document.querySelector('#preview canvas');
    const started = performance.now(), before = canvas.dataset.shown;
    const look = () => canvas.dataset.shown === before
        ? requestAnimationFrame(look) : done(performance.now() - started);
    slider.value = age;
    slider.dispatchEvent(new Event('input', {bubbles: true}));
    requestAnimationFrame(look);
})"""
READ_PREVIEW = "[...document.querySelector('#preview canvas').getContext('2d').getImageData(0, 0, 256, 256).data]"


def save(page, name: str = "Save the picture") -> bytes:
    with page.expect_download() as download:
        page.get_by_role("button", name=name).click()
    return download.value.path().read_bytes()


def test_a_photo_is_aged_and_saved_with_its_mark(page, me, asked) -> None:
    give_me(page, me)
    page.get_by_role("button", name="Age the photo").click()
    page.get_by_text("aged from").wait_for()
    saved = save(page)
    assert read_provenance(saved).is_marked
    changed = np.abs(decode_image(saved).pixels.astype(int) - decode_image(me).pixels)
    assert changed[:200].max() > 30
    assert changed[400:, 400:].mean() < 2
    assert asked == {page.url.split("/")[2]}


def test_the_preview_follows_the_slider(page, me) -> None:
    give_me(page, me)
    took = [page.evaluate(TIME_PREVIEW, age) for age in (25, 35, 45, 55, 65, 75, 85, 30)]
    print(f"preview after {np.median(took):.0f} ms, at most {max(took):.0f} ms, from the slider's event to the picture")
    young, old = [], []
    for age, kept in ((20, young), (80, old)):
        page.evaluate(TIME_PREVIEW, age)
        kept += page.evaluate(READ_PREVIEW)
    assert np.abs(np.subtract(young, old)).max() > 40
    assert np.median(took) < 150


def test_previews_lie_between_the_pictures_around_them(desk) -> None:
    faces = [[20, [100]], [40, [120]], [80, [200]]]
    for age, strength, level in [
        (20, 1, 100),
        (30, 1, 110),
        (60, 1, 160),
        (60, 0.5, 130),
        (99, 1, 200),
        (5, 1, 100),
        (80, 1.5, 250),
    ]:
        given = [[100], faces, age, strength]
        assert desk.evaluate("given => [...window.reagePreview.blend(...given)]", given) == [level], age


def test_what_is_no_picture_is_refused_in_a_sentence(desk, nobody) -> None:
    give(desk, "me.jpg", b"nothing that could be a picture")
    desk.get_by_text("is not a picture that reage can read").wait_for()
    desk.get_by_role("button", name="Remove Image").first.click()
    give(desk, "me.jpg", nobody)
    desk.get_by_text("No face was found").wait_for()


def test_a_picture_of_another_size_than_the_screen_is_kept_whole(desk) -> None:
    pixels = np.ascontiguousarray(skimage.data.astronaut()[:300, 60:360])
    give(desk, "me.png", encode_image(Image(pixels=pixels), ".png", altered=False))
    desk.get_by_text(FOUND).wait_for()
    desk.get_by_role("button", name="Age the photo").click()
    desk.get_by_text("aged from").wait_for()
    saved = save(desk)
    assert decode_image(saved).pixels.shape == pixels.shape
    assert saved.startswith(b"\x89PNG")


def test_zones_engine_and_references_are_obeyed(desk, me) -> None:
    give_me(desk, me)
    unfold(desk, "Zones", "More")
    desk.get_by_label("upper", exact=True).check()
    desk.get_by_role("spinbutton", name="number input for crows feet, left").wait_for()
    desk.get_by_label("Engine").first.click()
    desk.get_by_role("option", name="agetransgan").click()
    desk.get_by_role("button", name="Age the photo").click()
    desk.get_by_text("aged from").wait_for()
    desk.get_by_label("Engine").first.click()
    desk.get_by_role("option", name="exemplar").click()
    with desk.expect_file_chooser() as chooser:
        desk.get_by_role("button", name="Click to upload or drop files").click()
    chooser.value.set_files({"name": "other.jpg", "mimeType": "image/jpeg", "buffer": b"no photo"})
    desk.get_by_role("row", name="other").wait_for()
    desk.get_by_role("button", name="Age the photo").click()
    desk.get_by_text("No face was found in the references").wait_for()


def test_a_strip_of_several_ages(desk, me) -> None:
    give_me(desk, me)
    unfold(desk, "Several ages")
    desk.get_by_role("button", name="Show the faces at these ages").click()
    desk.get_by_text("The faces at several ages are below.").wait_for()
    desk.get_by_label("START:STOP:STEP").fill("1:100:1")
    desk.get_by_role("button", name="Show the faces at these ages").click()
    desk.get_by_text("8 are allowed").wait_for()


def test_two_photos_are_compared(desk, me) -> None:
    panel = open_tab(desk, "Compare")
    for number in range(2):
        give(panel, "me.jpg", me, 0 if number == 0 else -1)
        panel.locator("img").nth(number).wait_for()
    panel.get_by_role("button", name="One person?").click()
    panel.get_by_text("The same person").wait_for()


def test_a_photo_is_pasted(desk, me) -> None:
    png = base64.b64encode(encode_image(decode_image(me), ".png", altered=False)).decode()
    desk.evaluate(
        """async png => navigator.clipboard.write([new ClipboardItem({'image/png': (await fetch(
            'data:image/png;base64,' + png)).blob()})])""",
        png,
    )
    desk.get_by_role("button", name="Paste from clipboard").first.click()
    desk.get_by_text(FOUND).wait_for()


def test_a_photo_is_taken_by_the_camera(desk) -> None:
    desk.get_by_role("button", name="Capture from camera").first.click()
    desk.get_by_text("Click to Access Webcam").click()
    desk.wait_for_function("document.querySelector('video')?.videoWidth > 0")
    desk.get_by_role("button", name="capture photo").click()
    desk.get_by_text(FOUND).wait_for()


def test_the_page_is_there_soon(open_page) -> None:
    started = time.monotonic()
    open_page(1280, 1000, "light")
    print(f"page after {time.monotonic() - started:.1f} s")
