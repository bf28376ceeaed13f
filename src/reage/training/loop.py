"""One training loop for every recipe: AdamW, warm-up and cosine, bf16, a running mean of the weights, checkpoints.

Each step seeds itself, so a run that was stopped and resumed is the same run. Under `accelerate launch`, or `torchrun`,
several processes train together: all draw the same batch, each works on its share, and the gradients are averaged, so
the run is that of one process.
"""

from __future__ import annotations

import copy
import math
import pickle
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import torch
from accelerate import PartialState
from accelerate.utils import reduce
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from torch import Generator, Tensor, nn

from reage.errors import ReageError, WeightsError
from reage.files import replace_file

_STEPS_PER_SEED = 1_000_003
Rows = TypeVar("Rows")


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """How long and how fast a recipe learns.

    Args:
        steps: number of updates.
        batch: pictures per update.
        warmup_steps: over which the learning rate rises to its full height, before it falls along a cosine.
        weight_decay: of AdamW.
        largest_gradient: norm to which gradients are clipped.
        mean_decay: of the running mean of the weights, which is what training returns; 0 returns the last weights.
        half: compute in bf16, see `bf16`.
        checkpoint_seconds: time between checkpoints.
    """

    steps: int
    batch: int
    warmup_steps: int = 30
    weight_decay: float = 0.02
    largest_gradient: float = 5.0
    mean_decay: float = 0.99
    half: bool = True
    checkpoint_seconds: float = 60.0


def fit(
    net: nn.Module,
    loss_of: Callable[[Generator], Tensor],
    rates: Sequence[tuple[nn.Module, float]],
    schedule: Schedule,
    *,
    seed: int,
    checkpoint: Path | None = None,
    watch: Callable[[int, float, nn.Module], None] | None = None,
) -> nn.Module:
    """Trains `net` in place and returns the running mean of its weights, in evaluation mode.

    Args:
        net: to be trained, on the device it is on.
        loss_of: draws a batch with the generator and returns the loss of `net` on this process's `share_of` it.
        rates: parts of `net` with their highest learning rates; what is in no part stays as it is.
        schedule: length and speed.
        seed: two runs with one seed are the same run.
        checkpoint: file that a stopped run is resumed from; deleted at the end. None keeps none.
        watch: is told the number of each step that was made, its loss, and the running mean.

    Raises:
        WeightsError: when the checkpoint belongs to another run, or may not be written.
    """
    first_process = crew().is_main_process
    mean = copy.deepcopy(net).requires_grad_(False).eval()
    optimiser = torch.optim.AdamW(
        [{"params": list(part.parameters()), "peak": rate} for part, rate in rates], weight_decay=schedule.weight_decay
    )
    parts = {"net": net, "mean": mean, "optimiser": optimiser}
    first, saved_at = _resume(parts, checkpoint), time.monotonic()
    net.train()
    with _progress(first_process) as progress:
        bar = progress.add_task("training", total=schedule.steps, completed=first, loss=math.nan)
        for step in range(first, schedule.steps):
            loss = _update(net, loss_of, optimiser, schedule, step, seed)
            _move_mean(mean, net, min(schedule.mean_decay, (step + 1) / (step + 10)))
            progress.update(bar, advance=1, loss=loss)
            if watch and first_process:
                watch(step + 1, loss, mean)
            if checkpoint and first_process and time.monotonic() - saved_at > schedule.checkpoint_seconds:
                _save(parts, step + 1, checkpoint)
                saved_at = time.monotonic()
    crew().wait_for_everyone()
    if checkpoint and first_process:
        checkpoint.unlink(missing_ok=True)
    net.eval()
    return mean


def crew() -> PartialState:
    """This process among those that train together, on CUDA or, without it, on the CPU."""
    return PartialState(cpu=not torch.cuda.is_available())


def bf16(device: torch.device, wanted: bool = True) -> torch.autocast:
    """Lets torch compute in bf16 where it thinks it safe, unless the CPU only imitates it: ten times slower."""
    imitated = device.type == "cpu" and not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and not imitated)


def share_of(num: int) -> slice:
    """The rows of a batch of `num` that this process works on: all of them unless several train together.

    Raises:
        ReageError: when the processes cannot share the batch evenly.
    """
    state = crew()
    if num % state.num_processes:
        raise ReageError(
            f"{state.num_processes} processes cannot share a batch of {num} evenly; start a number that divides it."
        )
    own = num // state.num_processes
    return slice(own * state.process_index, own * (state.process_index + 1))


def own_part(rows: Rows, device: torch.device) -> Rows:
    """This process's share of a batch, a dataclass of tensors (B, ...), where it computes."""
    values = vars(rows)
    own = share_of(len(next(iter(values.values()))))
    return type(rows)(**{name: value[own].to(device) for name, value in values.items()})


def learning_rate_share(step: int, schedule: Schedule) -> float:
    """The share of the highest learning rate at a step: a linear rise, then half a cosine down to 0."""
    rise = min(1.0, (step + 1) / schedule.warmup_steps)
    return rise * 0.5 * (1 + math.cos(math.pi * step / schedule.steps))


def rates_by_size(layers: Iterable[nn.Conv2d | nn.Linear], share: float) -> list[tuple[nn.Module, float]]:
    """Layers with their learning rates: that share of the deviation of their weights, whose sizes differ widely."""
    return [(layer, share * layer.weight.std().item()) for layer in layers]


def _update(
    net: nn.Module,
    loss_of: Callable[[Generator], Tensor],
    optimiser: torch.optim.Optimizer,
    schedule: Schedule,
    step: int,
    seed: int,
) -> float:
    torch.manual_seed(seed * _STEPS_PER_SEED + step)
    generator = Generator().manual_seed(seed * _STEPS_PER_SEED + step)
    for group in optimiser.param_groups:
        group["lr"] = group["peak"] * learning_rate_share(step, schedule)
    with bf16(next(net.parameters()).device, schedule.half):
        loss = loss_of(generator)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    if crew().num_processes > 1:
        loss = _average(net, loss.detach())
    nn.utils.clip_grad_norm_(net.parameters(), schedule.largest_gradient)
    optimiser.step()
    return loss.item()


def _average(net: nn.Module, loss: Tensor) -> Tensor:
    """Replaces every gradient by its mean over the processes; returns the mean of the loss."""
    for weight in net.parameters():
        if weight.grad is not None:
            weight.grad = reduce(weight.grad, "mean")
    mean: Tensor = reduce(loss, "mean")
    return mean


@torch.no_grad()
def _move_mean(mean: nn.Module, net: nn.Module, decay: float) -> None:
    for kept, new in zip(mean.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)


def _resume(parts: dict[str, Any], checkpoint: Path | None) -> int:
    """Fills the parts from the checkpoint, if there is one; returns the step to go on with."""
    if checkpoint is None or not checkpoint.is_file():
        return 0
    try:
        states = torch.load(checkpoint, map_location="cpu", weights_only=True)
        for name, part in parts.items():
            part.load_state_dict(states[name])
        return int(states["step"])
    except (RuntimeError, KeyError, ValueError, EOFError, pickle.UnpicklingError) as error:
        raise WeightsError(f"The checkpoint {checkpoint} belongs to another run; delete it to start afresh.") from error


def _save(parts: dict[str, Any], step: int, checkpoint: Path) -> None:
    states = {"step": step, **{name: part.state_dict() for name, part in parts.items()}}
    with replace_file(checkpoint, WeightsError) as unfinished:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            torch.save(states, file)


def _progress(shown: bool) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=not shown,
    )
