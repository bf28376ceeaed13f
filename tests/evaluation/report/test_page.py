"""The page: everything is on it, nothing is loaded from elsewhere, and names of files are only text."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import numpy as np
import pytest

from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.page import every_face_table, make_page, parts_of, some_faces, worst_faces, worst_of
from reage.evaluation.report.tables import Figure, Table
from reage.evaluation.report.write import make_tables
from reage.evaluation.rows import Rows
from reage.evaluation.run import EvaluationRun
from reage.images.codec import encode_jpeg

TARGETS = (30.0, 50.0, 75.0)
HOSTILE = "<b>&\"'.jpg"
MakeRows = Callable[..., Rows]


def picture(level: int) -> bytes:
    return encode_jpeg(np.full((24, 24, 3), level, np.uint8))


@pytest.fixture(scope="module")
def make_run(make_rows: MakeRows) -> Callable[..., EvaluationRun]:
    def make(
        num: int = 6, targets: Sequence[float] = TARGETS, missed: Sequence[str] = (), **known: Any
    ) -> EvaluationRun:
        return EvaluationRun(
            rows=make_rows(
                [{target: (target - 42) * 0.9 + index for target in targets} for index in range(num)],
                [dict.fromkeys(targets, 0.1 + 0.01 * index) for index in range(num)],
                known=[{"thumbnail": picture(40 * index % 255), **known} for index in range(num)],
            ),
            engine="exemplar",
            weights_hash="0123456789ab",
            judges={"age": "age-b 1", "identity": "dlib"},
            missed=list(missed),
        )

    return make


def page_of(run: EvaluationRun, reference: Reference, command: str = "") -> str:
    """With one short table: the intervals of the others take a while."""
    tables = [Table(name="one", title="One", headers=["a"], rows={"b": [Figure(value=math.nan)]})]
    return make_page(run, tables, reference, command=command)


def words_of(page: str) -> str:
    """Without pictures, whose bytes spell anything."""
    return re.sub(r"data:image/jpeg;base64,[\w+/=]+", "", page)


def test_everything_is_on_it(make_run: Callable[..., EvaluationRun], reference: Reference) -> None:
    run = make_run(missed=["hat.jpg"])
    tables = make_tables(run.rows, reference)
    page = make_page(run, tables, reference)
    assert not re.search(r"\bnan\b", words_of(page), re.IGNORECASE)
    for table in tables:
        assert f"<h2>{escape(table.title)}</h2>" in page
        assert escape(table.note, quote=False).split("'")[0] in page
    assert page.count("<svg") >= 3
    assert page.count("data:image/jpeg") == 2
    for words in ("0123456789ab", "age-b 1", "6 of 6 people", "3 women, 3 men", "30, 50, 75", "hat.jpg", "5.jpg"):
        assert words in page, words
    assert "reage evaluate --engine exemplar --faces FOLDER --targets 30,50,75" in page


def test_nothing_is_loaded_or_run(make_run: Callable[..., EvaluationRun], reference: Reference) -> None:
    words = words_of(page_of(make_run(), reference))
    assert "<script" not in words
    assert not re.search(r"""(src|href)=["']?(?!#|")""", words)
    assert not re.search(r"""url\((?!#)|@import|<link|<iframe| on\w+=""", words)
    assert not re.search(r"\bnan\b", words, re.IGNORECASE)


def test_names_of_files_are_only_text(make_run: Callable[..., EvaluationRun], reference: Reference) -> None:
    run = make_run(num=1, missed=[HOSTILE], file=HOSTILE)
    page = page_of(run, reference)
    assert HOSTILE not in page
    assert page.count("&lt;b&gt;&amp;") == 3


def test_same_rows_same_bytes(make_run: Callable[..., EvaluationRun], reference: Reference) -> None:
    assert page_of(make_run(), reference) == page_of(make_run(), reference)


def test_a_command_is_quoted(make_run: Callable[..., EvaluationRun], reference: Reference) -> None:
    page = page_of(make_run(), reference, "reage evaluate --faces '<my photos>'")
    assert "reage evaluate --faces &#39;&lt;my photos&gt;&#39;" in page


def test_pairs_have_one_target_and_no_weights(make_run: Callable[..., EvaluationRun], reference: Reference) -> None:
    run = make_run(targets=(75.0,), true_years=math.nan, sex="")
    pairs = EvaluationRun(rows=run.rows, engine="other", weights_hash="", judges=run.judges)
    page = page_of(pairs, reference)
    assert "sex unknown; true ages unknown" in page
    assert "reage evaluate --engine other --pairs BEFORE AFTER --target 75" in page
    assert not re.search(r"\bnan\b", words_of(page), re.IGNORECASE)


def test_pictures_without_faces_do_not_stop_it(make_rows: MakeRows, reference: Reference) -> None:
    """Neither in one picture nor in any."""
    for known in ({75.0: 30.0, 30.0: math.nan}, {75.0: math.nan, 30.0: math.nan}):
        rows = make_rows([known] * 3, [{target: gain / 100 for target, gain in known.items()}] * 3)
        page = page_of(EvaluationRun(rows=rows, engine="e", weights_hash="", judges={}), reference)
        assert "no face" in page
        assert not re.search(r"\bnan\b", words_of(page), re.IGNORECASE)


# Worst faces


def worst(make_rows: MakeRows, gains: Sequence[float], distances: Sequence[float], target: float = 75.0) -> list[int]:
    def at(values: Sequence[float]) -> list[Mapping[float, float]]:
        return [{target: value} for value in values]

    return worst_of(MeasuredFaces(make_rows(at(gains), at(distances))), target)


def test_most_identity_for_the_age_comes_first(make_rows: MakeRows) -> None:
    # 0.3 / 30, 0.4 / 20, 0.2 / 10
    assert worst(make_rows, [30, 20, 10], [0.30, 0.42, 0.20]) == [1, 2, 0]


def test_little_gain_counts_as_ten_years(make_rows: MakeRows) -> None:
    # 0.1 / 10 and not 0.1 / 1; the wrong direction is no gain; 0.5 / 20
    assert worst(make_rows, [1, 20, -30], [0.1, 0.5, 0.2]) == [1, 2, 0]


def test_younger_is_a_gain_when_younger_was_asked_for(make_rows: MakeRows) -> None:
    assert worst(make_rows, [-20, 20], [0.3, 0.3], target=30.0) == [1, 0]


def test_no_face_is_the_worst(make_rows: MakeRows) -> None:
    assert worst(make_rows, [30, math.nan], [0.6, math.nan]) == [1, 0]


# Tables and cells


def test_every_face_has_a_row(make_run: Callable[..., EvaluationRun]) -> None:
    table = every_face_table(MeasuredFaces(make_run(num=4).rows))
    assert list(table.rows) == ["0.jpg", "1.jpg", "2.jpg", "3.jpg"]
    assert table.headers == [
        "no.",
        "true age",
        "read in the photo",
        "read at 30",
        "distance at 30",
        "read at 75",
        "distance at 75",
    ]
    assert [str(cell) for cell in table.rows["1.jpg"]] == ["2", "40", "42.0", "32.2", "0.110", "72.7", "0.110"]


def test_sheets_hold_few_faces(make_run: Callable[..., EvaluationRun]) -> None:
    faces = MeasuredFaces(make_run(num=40).rows)
    assert some_faces(faces).note.startswith("12 of 40")
    table = worst_faces(faces).table
    assert table is not None
    assert len(table.rows) == 6


def test_parts_of_cells() -> None:
    assert parts_of(Figure(value=1, low=0.5, high=2)) == ("1.00", "[0.50, 2.00]", "number")
    assert parts_of(Figure(value=1)) == ("1.00", "", "number")
    assert parts_of(Figure(value=math.nan)) == ("not resolvable", "", "unknown")
    assert parts_of("misses 5 % [1 %, 9 %]") == ("misses 5 % [1 %, 9 %]", "", "text")
