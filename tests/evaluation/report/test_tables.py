"""Figures and tables never print a number that is not known."""

from __future__ import annotations

import json
import math

from reage.evaluation.report.tables import UNKNOWN, Figure, Table


def test_figures_as_text() -> None:
    assert str(Figure(value=0.123, low=0.1, high=0.2, style=".1%")) == "12.3% [10.0%, 20.0%]"
    assert str(Figure(value=1.0)) == "1.00"
    assert str(Figure(value=math.nan, low=0.1, high=0.2)) == UNKNOWN
    assert str(Figure(value=math.inf)) == "no change"


def test_tables_as_text_and_plain_values() -> None:
    table = Table(
        name="ages",
        title="Ages",
        corner="asked",
        headers=("30", "70"),
        rows={"read": [Figure(value=31.0, low=30.0, high=32.0, num=9), Figure(value=math.nan)], "who": ["a", "b"]},
        note="In years.",
    )
    assert table.to_markdown().splitlines() == [
        "## Ages",
        "",
        "| asked | 30 | 70 |",
        "| --- | --- | --- |",
        f"| read | 31.00 [30.00, 32.00] | {UNKNOWN} |",
        "| who | a | b |",
        "",
        "In years.",
    ]
    values = json.loads(json.dumps(table.to_json(), allow_nan=False))
    assert values["rows"]["read"]["30"] == {"value": 31.0, "low": 30.0, "high": 32.0, "num": 9}
    assert values["rows"]["read"]["70"] == {"value": None, "low": None, "high": None, "num": 0}
    assert values["rows"]["who"]["70"] == "b"
