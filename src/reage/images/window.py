"""A window on the screen with one slider, by OpenCV where it was built with windows."""

from __future__ import annotations

from types import TracebackType
from typing import Self

import cv2

from reage.errors import ImageError
from reage.types import Pixels

_KEYS = (ord("q"), 27)
"""q and Escape close a window."""


def check_windows() -> None:
    """Checks that windows can be opened.

    Raises:
        ImageError: when this build of OpenCV has none.
    """
    if any(line.split() == ["GUI:", "NONE"] for line in cv2.getBuildInformation().splitlines()):
        raise ImageError(
            "The installed OpenCV has no windows (it is the headless build); leave --window out and open the page, or "
            "install opencv-python in place of opencv-python-headless."
        )


class Window:
    """A window, closed at the end of its block.

    Args:
        title: of the window.
        slider: name of its slider.
        position: of the slider at first.
        most: largest position.
    """

    def __init__(self, title: str, slider: str, position: int, most: int) -> None:
        self._title, self._slider, self._first, self._most = title, slider, position, most

    def __enter__(self) -> Self:
        cv2.namedWindow(self._title, cv2.WINDOW_NORMAL)
        cv2.createTrackbar(self._slider, self._title, self._first, self._most, lambda _: None)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        cv2.destroyWindow(self._title)

    @property
    def position(self) -> int:
        """Position of the slider."""
        return int(cv2.getTrackbarPos(self._slider, self._title))

    def show(self, pixels: Pixels) -> bool:
        """Shows a picture (H, W, 3); returns whether the window is still wanted."""
        cv2.imshow(self._title, pixels[..., ::-1])
        return cv2.waitKey(1) & 0xFF not in _KEYS
