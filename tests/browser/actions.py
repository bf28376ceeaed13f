"""What a person does on the page."""

from __future__ import annotations

from typing import Any

FOUND = "1 face, looking"


def open_tab(page: Any, name: str) -> Any:
    """Shows a tab, and gives what is in it."""
    page.get_by_role("tab", name=name, exact=True).click()
    return page.get_by_role("tabpanel", name=name, exact=True)


def give(place: Any, name: str, content: bytes, number: int = 0, kind: str = "image/jpeg") -> None:
    """Gives a file to a place for files."""
    file = {"name": name, "mimeType": kind, "buffer": content}
    place.locator("input[type=file]").nth(number).set_input_files(file)


def give_me(page: Any, me: bytes) -> None:
    """Gives the photo, and waits until the face is found and the preview is ready."""
    give(page, "me.jpg", me)
    page.get_by_text(FOUND).wait_for()
    page.locator("#preview canvas[data-shown]").wait_for()


def unfold(page: Any, *names: str) -> None:
    """Opens accordions."""
    for name in names:
        page.locator("button.label-wrap:visible", has_text=name).last.click()
