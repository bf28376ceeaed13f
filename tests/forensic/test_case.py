"""The chain from a photo to the sketch of another age, and its report."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from reage.errors import ImageError, PlanError, ReageError
from reage.faces.finder import FaceFinder
from reage.forensic import CAUTION, Case, CaseRequest, ForensicChain, write_case
from reage.forensic.report import list_facts, numbers_table, to_html, to_page
from reage.images import load_image
from reage.pipeline import Reager
from reage.sketch import Sketcher
from reage.types import Pixels


@pytest.fixture(scope="module")
def chain(finder: FaceFinder, sketcher: Sketcher) -> ForensicChain:
    return ForensicChain(Reager("amgan", finder=finder), sketcher)


@pytest.fixture(scope="module")
def case(chain: ForensicChain, photo: Pixels) -> Case:
    return chain.run(photo, CaseRequest(ages=(20.0, 70.0), style="composite", seed=3))


def test_every_age_has_its_pictures_and_numbers(case: Case) -> None:
    assert [one.age for one in case.drawn] == [20, 70]
    assert case.drawn[0].reading.age_years < case.reading.age_years < case.drawn[1].reading.age_years
    for one in case.drawn:
        assert one.aged.shape == one.sketch.shape == case.photo.shape
        assert 0.05 < one.distance < one.sketch_distance
        assert 0 < one.similarity < 1
    assert set(case.weights) == {"amgan", "age-a", "sketch", "face-recognizer", "aifd"}
    assert all(len(digest) == 12 for digest in case.weights.values())
    json.dumps(case.to_json(), allow_nan=False)


def test_the_same_order_gives_the_same_pictures(chain: ForensicChain, case: Case, photo: Pixels) -> None:
    again = chain.run(photo, CaseRequest(ages=(20.0,), style="composite", seed=3))
    np.testing.assert_array_equal(again.drawn[0].sketch, case.drawn[0].sketch)
    assert again.drawn[0].to_json() == case.drawn[0].to_json()


def test_a_report_says_every_number_and_the_caution(case: Case, tmp_path: Path) -> None:
    files = write_case(case, tmp_path / "new" / "case")
    assert {file.name for file in files} == {
        *("photo.png", "aged-20.png", "sketch-20.png", "aged-70.png", "sketch-70.png"),
        *("report.html", "report.pdf", "report.json"),
    }
    assert all(file.is_file() for file in files)
    page = (tmp_path / "new" / "case" / "report.html").read_text()
    assert CAUTION in page
    assert page.count("data:image/png") == 5
    for digest in case.weights.values():
        assert digest in page
    assert (tmp_path / "new" / "case" / "report.pdf").read_bytes().startswith(b"%PDF")
    np.testing.assert_array_equal(load_image(tmp_path / "new" / "case" / "photo.png").pixels, case.photo)
    assert json.loads((tmp_path / "new" / "case" / "report.json").read_text())["seed"] == 3


def test_what_a_photo_is_called_cannot_break_the_page(case: Case) -> None:
    from dataclasses import replace

    page = to_html(replace(case, source="<script>alert(1)</script>.jpg"))
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


def test_the_table_has_ages_with_their_spread(case: Case) -> None:
    head, before, *rows = numbers_table(case)
    assert head[1] == "age read"
    assert before[1] == f"{case.reading.age_years:.0f} ± {case.reading.age_std_years:.0f}"
    assert [row[0] for row in rows] == ["at 20", "at 70"]
    facts = dict(list_facts(case))
    assert facts["Engine"] == "amgan"
    assert to_page(case).shape == (1754, 1240, 3)


def test_what_cannot_be_done_is_refused(chain: ForensicChain, case: Case, photo: Pixels, tmp_path: Path) -> None:
    with pytest.raises(PlanError, match="target age"):
        CaseRequest(ages=(0.0,))
    with pytest.raises(ReageError, match="no style 'oil'"):
        CaseRequest(ages=(20.0,), style="oil")
    with pytest.raises(ImageError, match="looks like a sketch"):
        chain.run(photo, CaseRequest(ages=(20.0,), given_as="sketch"))
    (tmp_path / "file").write_text("")
    with pytest.raises(ImageError, match="cannot be made"):
        write_case(case, tmp_path / "file")
