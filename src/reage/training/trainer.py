"""The trainer of every recipe: AdamW, warm-up and cosine decay, bf16, EMA of the weights, checkpoints, callbacks.

Every step seeds itself, so a run that was stopped and resumed is the same run. Under `accelerate launch`, or
`torchrun`, several processes train together: all draw the same batch, each computes its rows of it, and the gradients
are averaged, so the run equals that of one process.
"""

from __future__ import annotations

import copy
import math
import pickle
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
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
class TrainerConfig:
    """Length and optimisation of a run.

    Args:
        steps: number of updates.
        batch_size: samples per update, over all processes.
        warmup_steps: over which the learning rate rises linearly, before it falls along a cosine.
        weight_decay: of AdamW.
        max_grad_norm: norm to which gradients are clipped.
        ema_decay: of the exponential moving average of the weights, which a run returns; 0 returns the last weights.
        bf16: compute in bf16, see `autocast_bf16`.
        checkpoint_seconds: time between checkpoints.
    """

    steps: int
    batch_size: int
    warmup_steps: int = 30
    weight_decay: float = 0.02
    max_grad_norm: float = 5.0
    ema_decay: float = 0.99
    bf16: bool = True
    checkpoint_seconds: float = 60.0


@dataclass(frozen=True)
class StepLoss:
    """The loss of a step.

    Args:
        total: what is minimised, a scalar with gradients.
        parts: losses to report by name, without their weights.
    """

    total: Tensor
    parts: Mapping[str, Tensor] = field(default_factory=dict)


Callback = Callable[[int, Mapping[str, float], nn.Module], None]
"""Called after each step with the number of steps made, the losses by name ("loss" is the total), and the EMA net."""

ParameterGroups = Sequence[tuple[nn.Module, float]]
"""Parts of a net with their highest learning rates; what is in no part is not trained."""


class Trainer:
    """Trains a net.

    Args:
        config: length and optimisation.
        seed: two runs with one seed are the same run.
        checkpoint: file that a stopped run is resumed from; deleted at the end. None keeps none.
        callbacks: called after each step, on the main process.
        betas: decays of AdamW's means of gradients and of their squares.

    Example:
        >>> trainer = Trainer(TrainerConfig(steps=100, batch_size=8), seed=0)  # doctest: +SKIP
        >>> ema = trainer.fit(net, loss_fn, [(net, 1e-3)])  # doctest: +SKIP
    """

    def __init__(
        self,
        config: TrainerConfig,
        *,
        seed: int,
        checkpoint: Path | None = None,
        callbacks: Sequence[Callback] = (),
        betas: tuple[float, float] = (0.9, 0.999),
    ) -> None:
        self.config = config
        self._seed = seed
        self._checkpoint = checkpoint
        self._callbacks = tuple(callbacks)
        self._betas = betas

    def fit(
        self, net: nn.Module, loss_fn: Callable[[Generator], Tensor | StepLoss], parameter_groups: ParameterGroups
    ) -> nn.Module:
        """Trains `net` in place, on the device it is on, and returns the EMA of its weights, in evaluation mode.

        Args:
            net: to be trained.
            loss_fn: draws a batch with the generator and returns the loss of `net` on this process's `local_rows`.
            parameter_groups: parts of `net` with their highest learning rates.

        Raises:
            WeightsError: when the checkpoint belongs to another run, or cannot be written.
        """
        config, is_main = self.config, process_state().is_main_process
        ema = copy.deepcopy(net).requires_grad_(False).eval()
        optimizer = torch.optim.AdamW(
            [{"params": list(part.parameters()), "max_lr": learning_rate} for part, learning_rate in parameter_groups],
            weight_decay=config.weight_decay,
            betas=self._betas,
        )
        parts = {"net": net, "ema": ema, "optimizer": optimizer}
        first, saved_at = _resume(parts, self._checkpoint), time.monotonic()
        net.train()
        with _progress(is_main) as progress:
            bar = progress.add_task("training", total=config.steps, completed=first, loss=math.nan)
            for step in range(first, config.steps):
                losses = self._update(net, loss_fn, optimizer, step)
                _update_ema(ema, net, min(config.ema_decay, (step + 1) / (step + 10)))
                progress.update(bar, advance=1, loss=losses["loss"])
                if is_main:
                    for callback in self._callbacks:
                        callback(step + 1, losses, ema)
                if self._checkpoint and is_main and time.monotonic() - saved_at > config.checkpoint_seconds:
                    _save(parts, step + 1, self._checkpoint)
                    saved_at = time.monotonic()
        process_state().wait_for_everyone()
        if self._checkpoint and is_main:
            self._checkpoint.unlink(missing_ok=True)
        net.eval()
        return ema

    def _update(
        self,
        net: nn.Module,
        loss_fn: Callable[[Generator], Tensor | StepLoss],
        optimizer: torch.optim.Optimizer,
        step: int,
    ) -> dict[str, float]:
        torch.manual_seed(self._seed * _STEPS_PER_SEED + step)
        generator = Generator().manual_seed(self._seed * _STEPS_PER_SEED + step)
        for group in optimizer.param_groups:
            group["lr"] = group["max_lr"] * lr_scale(step, self.config)
        with autocast_bf16(next(net.parameters()).device, self.config.bf16):
            found = loss_fn(generator)
        loss, parts = (found.total, found.parts) if isinstance(found, StepLoss) else (found, {})
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        if process_state().num_processes > 1:
            loss = _average(net, loss.detach())
        nn.utils.clip_grad_norm_(net.parameters(), self.config.max_grad_norm)
        optimizer.step()
        return {**{name: part.item() for name, part in parts.items()}, "loss": loss.item()}


def after_steps(steps_before: int, callbacks: Sequence[Callback]) -> list[Callback]:
    """The callbacks of a later stage: they count its steps on from those of the stages before."""
    return [_shift(callback, steps_before) for callback in callbacks]


def _shift(callback: Callback, steps_before: int) -> Callback:
    return lambda step, losses, ema: callback(steps_before + step, losses, ema)


def lr_scale(step: int, config: TrainerConfig) -> float:
    """Share of the highest learning rate at a step: a linear rise, then half a cosine down to 0."""
    rise = min(1.0, (step + 1) / config.warmup_steps)
    return rise * 0.5 * (1 + math.cos(math.pi * step / config.steps))


def scale_learning_rates(layers: Iterable[nn.Conv2d | nn.Linear], share: float) -> list[tuple[nn.Module, float]]:
    """Layers with a learning rate of that share of the standard deviation of their weights, whose sizes differ."""
    return [(layer, share * layer.weight.std().item()) for layer in layers]


# Processes and precision


def call_frozen(net: nn.Module, *inputs: Tensor) -> Any:
    """What a net gives, with gradients to its inputs and none to its parameters: so a critic judges a generator."""
    frozen = {name: value.detach() for name, value in net.named_parameters()}
    return torch.func.functional_call(net, frozen, inputs)


def process_state() -> PartialState:
    """This process among those that train together, on CUDA or, without it, on the CPU."""
    return PartialState(cpu=not torch.cuda.is_available())


def autocast_bf16(device: torch.device, wanted: bool = True) -> torch.autocast:
    """Autocast to bf16, unless the CPU only emulates it, which is ten times slower."""
    emulated = device.type == "cpu" and not torch.backends.cpu.get_cpu_capability().startswith("AVX512")
    return torch.autocast(device.type, torch.bfloat16, enabled=wanted and not emulated)


def local_rows(num: int) -> slice:
    """The rows of a batch of `num` that this process computes: all of them unless several train together.

    Raises:
        ReageError: when the processes cannot divide the batch evenly.
    """
    state = process_state()
    if num % state.num_processes:
        raise ReageError(
            f"{state.num_processes} processes cannot share a batch of {num} evenly; start a number that divides it."
        )
    own = num // state.num_processes
    return slice(own * state.process_index, own * (state.process_index + 1))


def local_batch(batch: Rows, device: torch.device) -> Rows:
    """This process's rows of a batch, a dataclass of tensors (B, ...), on the device where it computes."""
    values = vars(batch)
    own = local_rows(len(next(iter(values.values()))))
    return type(batch)(**{name: value[own].to(device) for name, value in values.items()})


# Parts of a step


def _average(net: nn.Module, loss: Tensor) -> Tensor:
    """Replaces every gradient by its mean over the processes; returns the mean of the loss."""
    for weight in net.parameters():
        if weight.grad is not None:
            weight.grad = reduce(weight.grad, "mean")
    mean: Tensor = reduce(loss, "mean")
    return mean


@torch.no_grad()
def _update_ema(ema: nn.Module, net: nn.Module, decay: float) -> None:
    for kept, new in zip(ema.parameters(), net.parameters(), strict=True):
        kept.lerp_(new, 1 - decay)
    for average, running in zip(ema.buffers(), net.buffers(), strict=True):  # these are averages already
        average.copy_(running)


def _resume(parts: dict[str, Any], checkpoint: Path | None) -> int:
    """Restores the parts from the checkpoint, if there is one; returns the step to continue with."""
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
