"""The page for everybody: by keyboard alone, with a screen reader, and on a phone."""

from __future__ import annotations

from importlib import resources

import pytest

from reage.provenance import read_provenance
from tests.browser.actions import give_me, open_tab, unfold

TABS = ("Photo", "Compare", "Video", "Batch")
FOLDED = ("All readings", "Zones", "More", "Several ages")
RUN_AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations.flatMap(one =>
    one.nodes.map(node => [one.impact, one.id, node.target.join(' '), node.html.slice(0, 160)]))"""
NAMELESS = """[...document.querySelectorAll('input, button, textarea, select, [role=slider]')].filter(one =>
    one.offsetParent && !(one.labels && one.labels.length) && !one.getAttribute('aria-label')
    && !one.getAttribute('aria-labelledby') && !one.textContent.trim() && !one.title).map(one => one.outerHTML)"""


@pytest.fixture(scope="session")
def axe() -> str:
    """The script of axe-core."""
    return (resources.files("axe_playwright_python") / "axe.min.js").read_text("utf-8")


def find_violations(page, axe: str) -> list[list[str]]:
    """Impact, rule, place and HTML of each serious or critical violation of what is shown."""
    if not page.evaluate("typeof axe === 'object'"):
        page.evaluate(axe)
    page.wait_for_timeout(300)  # for colours that fade
    return [one for one in page.evaluate(RUN_AXE) if one[0] in ("serious", "critical")]


def test_axe_finds_nothing_serious_on_any_tab(page, me, axe) -> None:
    give_me(page, me)
    page.get_by_role("button", name="Age the photo").click()
    page.get_by_text("aged from").wait_for()
    unfold(page, *FOLDED)
    found = find_violations(page, axe)
    assert page.evaluate(NAMELESS) == []
    for name in TABS[1:]:
        open_tab(page, name)
        found += find_violations(page, axe)
        assert page.evaluate(NAMELESS) == []
    assert found == []


def test_nothing_is_wider_than_the_window_and_faces_come_before_readings(phone, me) -> None:
    for name in TABS:
        open_tab(phone, name)
        assert phone.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0, name
    open_tab(phone, "Photo")
    give_me(phone, me)
    unfold(phone, "All readings")
    tops = [
        phone.get_by_text(text, exact=True).first.bounding_box()["y"]
        for text in ("Faces, by their numbers", "Zones of the largest face", "looks, years")
    ]
    assert tops == sorted(tops)
    assert phone.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


def focus(page, wanted: str) -> None:
    """Presses Tab until a control has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        at = page.evaluate(
            "(one => one === document.body ? '' : one.getAttribute('aria-label') || one.textContent.trim())"
            "(document.activeElement)"
        )
        if wanted in at:
            assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none", wanted
            return
    raise AssertionError(f"the focus never comes to {wanted!r}")


def test_a_photo_is_aged_and_saved_by_keyboard_alone(desk, me, tmp_path) -> None:
    (tmp_path / "me.jpg").write_bytes(me)
    with desk.expect_file_chooser() as chooser:
        focus(desk, "Drop an image file here")
        desk.keyboard.press("Enter")
    chooser.value.set_files(tmp_path / "me.jpg")
    desk.locator("#preview canvas[data-shown]").wait_for()
    focus(desk, "range slider for Target age, years")
    before = desk.locator("#preview canvas").get_attribute("data-shown")
    desk.keyboard.press("ArrowRight")
    desk.wait_for_function("before => document.querySelector('#preview canvas').dataset.shown !== before", arg=before)
    focus(desk, "Age the photo")
    desk.keyboard.press("Enter")
    desk.get_by_text("aged from").wait_for()
    focus(desk, "Save the picture")
    with desk.expect_download() as download:
        desk.keyboard.press("Enter")
    assert read_provenance(download.value.path().read_bytes()).is_marked


def test_tabs_are_changed_by_keyboard(desk) -> None:
    for name in TABS:
        focus(desk, name)
        desk.keyboard.press("Enter")
        desk.get_by_role("tabpanel", name=name, exact=True).wait_for()
