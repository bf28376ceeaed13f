"""The log of a training run: its losses over the steps, and sample pictures.

Losses go into a file of JSON lines, one for each record, so that a stopped run loses none of them. Where the package
tensorboard is installed, they and the pictures also go to TensorBoard.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any

import numpy as np

from reage.errors import ReageError
from reage.files import replace_file
from reage.images import Image, save_image
from reage.training.trainer import Callback
from reage.types import Pixels

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from torch.utils.tensorboard import SummaryWriter

CURVE = "curve.jsonl"
STEPS_PER_RECORD = 10
"""How often `log_losses` records."""

_SUFFIXES = (".svg", ".png")
_MOST_COLUMNS = 3
_PANEL_INCHES = 3.2, 2.4
_RECORDS_PER_MEAN = 20
"""The bold line is a running mean over one in so many of the records."""
_STYLE: dict[Any, Any] = {
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": 9.0,
    "font.size": 9.0,
    "grid.alpha": 0.25,
    "svg.hashsalt": "reage",
}


class TrainingLogger:
    """The log of one run, in a folder of its own; a context manager that closes it at the end.

    Args:
        folder: made when it is not there.
        first_step: records of an earlier run at this step or later are deleted, so that a resumed run leaves each step
            once; None keeps all.

    Raises:
        ReageError: when the folder cannot be made, or holds a damaged curve.

    Example:
        >>> with TrainingLogger(Path("runs/amgan"), first_step=1) as logger:  # doctest: +SKIP
        ...     logger.log(10, {"reconstruction": 0.21, "age": 0.08})
    """

    def __init__(self, folder: Path, first_step: int | None = None) -> None:
        make_folder(folder)
        self.folder = folder
        _drop_from(folder / CURVE, math.inf if first_step is None else first_step)
        self._writer = _open_writer(folder, first_step)

    def __enter__(self) -> TrainingLogger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Ends what is written for TensorBoard."""
        if self._writer:
            self._writer.close()

    def log(self, step: int, values: Mapping[str, float]) -> None:
        """Records losses, or other numbers, by name; they are on the disk when this returns.

        Args:
            step: number of updates that were made; it rises from record to record.
            values: name -> number; "step" is no name.
        """
        assert "step" not in values, values
        numbers = {name: float(value) for name, value in values.items()}
        with (self.folder / CURVE).open("a", encoding="utf-8") as file:
            file.write(_to_line({"step": step, **numbers}))
        if self._writer:
            for name, number in numbers.items():
                self._writer.add_scalar(name, number, step)
            self._writer.flush()

    def log_picture(self, step: int, name: str, pixels: Pixels) -> None:
        """Writes pixels, (H, W, 3) RGB uint8, as NAME-STEP.jpg into the folder.

        Raises:
            ImageError: when the picture cannot be written.
        """
        save_image(Image(pixels=pixels), self.folder / f"{name}-{step}.jpg")
        if self._writer:
            self._writer.add_image(name, pixels, step, dataformats="HWC")
            self._writer.flush()


def log_losses(log_dir: Path | None, steps_before: int = 0, loss_name: str = "loss") -> list[Callback]:
    """The callbacks of a `reage.training.trainer.Trainer` that record every tenth step.

    The log is opened at the first step: only then is it known where a resumed run continues.

    Args:
        log_dir: folder of the log; None for no log and no callback.
        steps_before: steps of the stages before, which the recorded steps are counted on from.
        loss_name: what the total loss is recorded as.
    """
    if log_dir is None:
        return []
    logger: TrainingLogger | None = None

    def callback(step: int, losses: Mapping[str, float], ema: object) -> None:
        nonlocal logger
        step += steps_before
        logger = logger or TrainingLogger(log_dir, first_step=step)
        if step % STEPS_PER_RECORD == 0:
            named = {loss_name if name == "loss" else name: value for name, value in losses.items()}
            logger.log(step, named)

    return [callback]


def make_folder(folder: Path) -> None:
    """Makes the folder of a log, with its parents, unless it exists.

    Raises:
        ReageError: when the system refuses, or a file has that name.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ReageError(f"The log cannot be kept in '{folder}' ({error.strerror}); give another folder.") from error


def read_curve(folder: Path) -> dict[str, list[float]]:
    """The columns of a run's curve: "step" and every number that was recorded, NaN where it was not.

    Raises:
        ReageError: when the folder holds no curve, or a damaged one.
    """
    path = folder / CURVE
    records = _read_records(path) if path.is_file() else []
    names = dict.fromkeys(name for record in records for name in record)
    if len(names) < 2:
        raise ReageError(
            f"There is no training curve in '{folder}'; give the --log-dir folder of a run that has made"
            f" {STEPS_PER_RECORD} steps."
        )
    return {name: [record.get(name, math.nan) for record in records] for name in names}


# Drawing


def draw_curve(folder: Path, out_path: Path) -> None:
    """Draws each number of a run's curve over its steps, with a running mean; the same curve gives the same bytes.

    Args:
        folder: of the log.
        out_path: an .svg or .png file; another one there is replaced.

    Raises:
        ReageError: when there is no curve, the file cannot be written, or matplotlib is not installed.
    """
    curve = read_curve(folder)
    if out_path.suffix.lower() not in _SUFFIXES:
        raise ReageError(f"A curve cannot be drawn as '{out_path.name}'; use a name that ends in .svg or .png.")
    if find_spec("matplotlib") is None:
        raise ReageError("Drawing a curve needs matplotlib; run `pip install 'reage[evaluate]'`.")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    steps, names = np.array(curve.pop("step")), list(curve)
    columns = min(len(names), _MOST_COLUMNS)
    rows = math.ceil(len(names) / columns)
    width, height = _PANEL_INCHES
    with rc_context(_STYLE), replace_file(out_path) as unfinished:
        figure = Figure(figsize=(columns * width, rows * height), layout="constrained", dpi=150)
        figure.supxlabel("step", fontsize=9)
        for place, name in enumerate(names, 1):
            axes = figure.add_subplot(rows, columns, place, title=name)
            _draw_panel(axes, steps, np.array(curve[name]))
        figure.savefig(unfinished, metadata={"Date": None})


def _draw_panel(axes: Axes, steps: np.ndarray, values: np.ndarray) -> None:
    from reage.evaluation.report.plots import COLOURS

    known = np.isfinite(values)
    steps, values = steps[known], values[known]
    num = math.ceil(len(steps) / _RECORDS_PER_MEAN)
    axes.plot(steps, values, color=COLOURS["blue"], lw=0.8, alpha=0.35)
    axes.plot(_running_mean(steps, num), _running_mean(values, num), color=COLOURS["blue"], lw=1.6)


def _running_mean(values: np.ndarray, num: int) -> np.ndarray:
    """Means of `num` neighbours, (N,) -> (N - num + 1,)."""
    return np.convolve(values, np.full(num, 1 / num), "valid") if len(values) else values


# Parts


def _read_records(path: Path) -> list[dict[str, float]]:
    """All records of a curve; a last line that a stop cut short is none."""
    whole, _, _ = path.read_bytes().rpartition(b"\n")
    return [_to_record(line, number, path) for number, line in enumerate(whole.splitlines(), 1)]


def _to_record(line: bytes, number: int, path: Path) -> dict[str, float]:
    try:
        record = json.loads(line)
        return {"step": int(record["step"]), **{name: float(record[name]) for name in record if name != "step"}}
    except (ValueError, TypeError, KeyError) as error:
        raise ReageError(f"Line {number} of the curve '{path}' is damaged; remove that line, or the file.") from error


def _to_line(record: Mapping[str, float]) -> str:
    return json.dumps(record) + "\n"


def _drop_from(path: Path, first_step: float) -> None:
    """Keeps the records before a step."""
    if not path.is_file():
        return
    kept = "".join(_to_line(record) for record in _read_records(path) if record["step"] < first_step)
    with replace_file(path) as unfinished:
        unfinished.write_text(kept, encoding="utf-8")


def _open_writer(folder: Path, first_step: int | None) -> SummaryWriter | None:
    if find_spec("tensorboard") is None:
        return None
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(str(folder), purge_step=first_step)
