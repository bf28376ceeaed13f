"""The table of engines; a new engine is one file and one line here."""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import MappingProxyType
from typing import Any

from reage.engines.base import Engine
from reage.errors import EngineError, WeightsError

ENGINES = MappingProxyType(
    {
        "exemplar": "reage.engines.exemplar:ExemplarEngine",
        "amgan": "reage.engines.amgan:AmganEngine",
        "agetransgan": "reage.engines.agetransgan:AgeTransGanEngine",
        "deaging": "reage.engines.deaging:DeagingEngine",
        "ldla": "reage.engines.ldla:LdlaEngine",
        "none": "reage.engines.none:NoOpEngine",
    }
)
"""Name -> "module:class"; a module is imported when its engine is loaded."""

DEFAULT_ENGINE = "exemplar"

TORCH_ENGINES = ("ldla", "personal")
"""Engines that compute with torch, which the extra "diffusion" installs; the others need ONNX Runtime at most."""


def engine_class(name: str) -> type[Engine]:
    """The class of an engine.

    Raises:
        EngineError: when there is no engine of that name, or torch is not installed, which it needs.
    """
    if name not in ENGINES:
        raise EngineError(f"There is no engine '{name}'; choose one of {', '.join(ENGINES)}.")
    if name in TORCH_ENGINES and find_spec("torch") is None:
        raise EngineError(f"The engine '{name}' needs torch; run `pip install 'reage[diffusion]'`.")
    module, _, attribute = ENGINES[name].partition(":")
    found: type[Engine] = getattr(import_module(module), attribute)
    return found


def load_engine(name: str = DEFAULT_ENGINE, *, weights: str | Path | None = None, device: str = "cpu") -> Engine:
    """An engine with its weights, ready to render.

    Args:
        name: one of `ENGINES`.
        weights: name of shipped weights or path of a file; those of the engine by default.
        device: see `reage.nets.runtime`; for one of `TORCH_ENGINES` "cpu" or a torch device.

    Raises:
        EngineError: when there is no engine of that name, or no such device.
        WeightsError: when its weights cannot be used.
    """
    return engine_class(name).load(weights, device)


def describe_engine(name: str, *, load: bool = True) -> dict[str, Any]:
    """An engine of `ENGINES` as plain values; with an error instead when its weights or packages are missing.

    Args:
        name: of the engine.
        load: load its weights, which takes seconds, to say their hash too.
    """
    head = {"name": name, "default": name == DEFAULT_ENGINE}
    try:
        engine = load_engine(name) if load else engine_class(name)
    except (EngineError, WeightsError) as error:
        return {**head, "error": str(error)}
    described = {**head, "summary": engine.summary, "accepts": sorted(engine.accepts), "ages": list(engine.ages)}
    return {**described, "weights_hash": engine.weights_hash} if load else described
