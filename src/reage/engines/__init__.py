"""The table of engines; a new engine is one file and one line here."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from reage.engines.base import Engine
from reage.errors import EngineError

ENGINES = MappingProxyType(
    {
        "exemplar": "reage.engines.exemplar:ExemplarEngine",
        "prototype": "reage.engines.prototype:PrototypeEngine",
        "amgan": "reage.engines.amgan:AmganEngine",
        "ldla": "reage.engines.ldla:LdlaEngine",
        "none": "reage.engines.none:NoOpEngine",
    }
)
"""Name -> "module:class"; a module is imported when its engine is loaded."""

DEFAULT_ENGINE = "exemplar"


def engine_class(name: str) -> type[Engine]:
    """The class of an engine.

    Raises:
        EngineError: when there is no engine of that name.
    """
    if name not in ENGINES:
        raise EngineError(f"There is no engine '{name}'; choose one of {', '.join(ENGINES)}.")
    module, _, attribute = ENGINES[name].partition(":")
    found: type[Engine] = getattr(import_module(module), attribute)
    return found


def load_engine(name: str = DEFAULT_ENGINE, *, weights: str | Path | None = None, device: str = "cpu") -> Engine:
    """An engine with its weights, ready to render.

    Args:
        name: one of `ENGINES`.
        weights: name of shipped weights or path of a file; those of the engine by default.
        device: "cpu" or a torch device.

    Raises:
        EngineError: when there is no engine of that name.
        WeightsError: when its weights cannot be used.
    """
    return engine_class(name).load(weights, device)
