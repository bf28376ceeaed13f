"""The net that finds the person, where LiteRT is installed."""

from __future__ import annotations

from pathlib import Path

import pytest

from reage.errors import WeightsError
from reage.training.measures.person_matte import PersonMatte


def test_a_file_that_is_no_net_is_refused(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    (tmp_path / "text.tflite").write_text("no net")
    for name in ("text.tflite", "missing.tflite"):
        with pytest.raises(WeightsError, match=r"is not the TensorFlow Lite file selfie_segmentation\.tflite\.$"):
            PersonMatte.load(tmp_path / name)
