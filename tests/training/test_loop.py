"""What the training loop decides by itself."""

from __future__ import annotations

import pytest
import torch

from reage.training.trainer import bf16


@pytest.mark.parametrize(
    ("capability", "wanted", "used"), [("AVX512", True, True), ("AVX2", True, False), ("AVX512", False, False)]
)
def test_16_bits_are_used_where_they_are_faster(
    capability: str, wanted: bool, used: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    x = torch.ones(2, 2)
    with bf16(torch.device("cpu"), wanted):
        assert ((x @ x).dtype == torch.bfloat16) == used
