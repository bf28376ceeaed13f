"""Parses the texts by which faces, zones and ages are given: by the options of commands and the fields of forms.

Each function takes the name of the option or field, by which its errors call it.
"""

from __future__ import annotations

import math

from reage.errors import PlanError
from reage.zones import ZONE_PRESETS

_MAX_DIGITS = 9

MAX_SWEEP_PICTURES = 100
"""Most pictures that one sweep makes."""


def parse_faces(text: str, option: str = "--face") -> str | int | tuple[int, ...]:
    """The choice of faces: "all", "largest", a number from 1, or several in rising order, as in '1,3'.

    Raises:
        PlanError: on anything else.
    """
    if text in ("all", "largest"):
        return text
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isdecimal() and len(part) <= _MAX_DIGITS and int(part) >= 1 for part in parts):
        raise PlanError(
            f"{option} is '{text}'; give all, largest, or numbers, from 1, that `reage find` shows, as in 2 or 1,3."
        )
    numbers = tuple(sorted({int(part) for part in parts}))
    return numbers if len(numbers) > 1 else numbers[0]


def parse_box(text: str | None, option: str = "--box") -> tuple[float, float, float, float] | None:
    """The box of a face in px, as in '120,80,260,240': left, top, right, bottom; None for None.

    Raises:
        PlanError: when it is not four numbers.
    """
    if text is None:
        return None
    allowed = "the left, top, right and bottom of the face in px, as in 120,80,260,240"
    parts = text.split(",")
    if len(parts) != 4:
        raise PlanError(f"{option} is '{text}'; give {allowed}.")
    x0, y0, x1, y1 = (to_number(part, f"{option} is '{text}'", allowed) for part in parts)
    return x0, y0, x1, y1


def parse_zones(text: str | None, option: str = "--zones") -> dict[str, float]:
    """The zone scores of 'crows_feet=0.9,forehead=0.2' or of a preset; `Plan` checks them.

    Raises:
        PlanError: when a part is not NAME=SCORE.
    """
    if text is not None and text in ZONE_PRESETS:
        return dict(ZONE_PRESETS[text])
    allowed = f"NAME=SCORE, as in crows_feet=0.9,forehead=0.2, or one of {', '.join(ZONE_PRESETS)}"
    return _parse_scores(text, option, allowed)


def parse_skin(text: str | None, option: str = "--skin") -> dict[str, float]:
    """The skin scores of 'dark_spots=0.1,redness=0.2'; `Plan` checks them.

    Raises:
        PlanError: when a part is not NAME=SCORE.
    """
    return _parse_scores(text, option, "NAME=SCORE, as in dark_spots=0.1,redness=0.2")


def parse_expression(text: str | None) -> dict[str, float]:
    """The scores of 'smile=0.8,jaw_open=0.3'; `reage.reenactment` checks them.

    Raises:
        PlanError: when a part is not NAME=SCORE.
    """
    return _parse_scores(text, "--expression", "NAME=SCORE, as in smile=0.8,jaw_open=0.3")


def _parse_scores(text: str | None, option: str, allowed: str) -> dict[str, float]:
    scores: dict[str, float] = {}
    for part in text.split(",") if text is not None else ():
        name, _, score = part.partition("=")
        scores[name.strip()] = to_number(score, f"{option} has '{part}'", allowed)
    return scores


def parse_sweep(text: str, option: str = "--sweep") -> tuple[float, ...]:
    """The ages of '20:80:10': 20, 30 ... 80, with the last one when the steps meet it.

    Args:
        text: START:STOP:STEP in years.
        option: named in errors.

    Raises:
        PlanError: when it is not START:STOP:STEP, runs backwards or makes more than `MAX_SWEEP_PICTURES` pictures.
    """
    parts = text.split(":")
    allowed = "START:STOP:STEP in years, as in 20:80:10"
    if len(parts) != 3:
        raise PlanError(f"{option} is '{text}'; give {allowed}.")
    start, stop, step = (to_number(part, f"{option} is '{text}'", allowed) for part in parts)
    if step <= 0 or stop < start:
        raise PlanError(f"{option} is '{text}'; START may not be above STOP, and STEP must be above 0.")
    count = math.floor((stop - start) / step + 1e-9) + 1
    if count > MAX_SWEEP_PICTURES:
        raise PlanError(
            f"{option} is '{text}', {count} pictures; a sweep makes {MAX_SWEEP_PICTURES} at most, take larger steps."
        )
    return tuple(round(start + index * step, 6) for index in range(count))


def to_number(text: str, found: str, allowed: str) -> float:
    """The number of a text.

    Args:
        text: of the number.
        found: what was given, as errors say it.
        allowed: what could be given.

    Raises:
        PlanError: when it is no finite number.
    """
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise PlanError(f"{found}; give {allowed}.")
    return number
