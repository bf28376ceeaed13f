"""What tests of training share."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest


@pytest.fixture
def check_two_train_as_one(tmp_path: Path) -> Callable[..., None]:
    """Runs a script alone and launched as two processes: what it prints, its number of processes first, is the same."""

    def check(script: str, *arguments: object) -> None:
        (tmp_path / "launched.py").write_text(script)
        command = [str(tmp_path / "launched.py"), *map(str, arguments)]
        launch = ["-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
        said = [
            subprocess.run([sys.executable, *how, *command], capture_output=True, text=True, check=True).stdout.split()
            for how in ([], launch)
        ]
        one, two = ([float(word) for word in words] for words in said)
        assert (one[0], two[0]) == (1, 2)
        np.testing.assert_allclose(two[1:], one[1:], rtol=1e-4)

    return check
