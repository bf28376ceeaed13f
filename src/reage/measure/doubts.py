"""Why the age that was read on a face may be wrong."""

from __future__ import annotations

from reage.faces.quality import measure_quality
from reage.types import Face, Reading

MAX_STD_YEARS = 10.0
CHILD_YEARS = 16.0
"""Below this age a face is a child's; the engines were taught on adults."""


def find_doubts(face: Face, reading: Reading) -> tuple[str, ...]:
    """Reasons in words, such as "blurred"; empty for a reading that can be relied on.

    Example:
        >>> find_doubts(face, reading)  # doctest: +SKIP
        ('too small', 'read within 12 years only')
    """
    reasons = list(measure_quality(face).flags)
    if reading.age_years < CHILD_YEARS:
        reasons.append("a child's")
    if reading.age_std_years > MAX_STD_YEARS:
        reasons.append(f"read within {reading.age_std_years:.0f} years only")
    return tuple(reasons)
