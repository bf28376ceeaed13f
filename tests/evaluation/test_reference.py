"""The shipped reference, and files that are none."""

from __future__ import annotations

from pathlib import Path

import pytest

from reage.errors import ReageError
from reage.evaluation.judges import Judges
from reage.evaluation.reference import load_reference
from reage.measure.recognizers import SAME_PERSON_DISTANCE


def test_shipped_reference_is_that_of_the_shipped_judges() -> None:
    shipped = load_reference()
    assert shipped.ages.judge == Judges.load().names["age"]
    assert -shipped.identity.thresholds[0].score == pytest.approx(SAME_PERSON_DISTANCE, abs=0.001)
    assert shipped.identity.genuine.num == 170
    assert shipped.identity.thresholds[1].num_impostors > 100_000


def test_other_files_are_refused(tmp_path: Path) -> None:
    (tmp_path / "reference.json").write_text('{"people": "nobody"}')
    with pytest.raises(ReageError, match="holds no reference"):
        load_reference(tmp_path / "reference.json")
