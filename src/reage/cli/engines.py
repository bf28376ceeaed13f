"""`reage engines`: list the engines."""

from __future__ import annotations

from typing import Any

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson
from reage.engines import DEFAULT_ENGINE, ENGINES, load_engine
from reage.errors import EngineError, WeightsError


def engines(as_json: AsJson = False) -> None:
    """List the engines: what each accepts, for which ages it was made, and its weights."""
    described = [_describe(name) for name in ENGINES]
    if as_json:
        print_json({"engines": described})
        return
    rows = [
        (
            f"{engine['name']} (default)" if engine["default"] else engine["name"],
            engine.get("error") or engine["summary"],
            ", ".join(engine.get("accepts", ())),
            " to ".join(f"{age:g}" for age in engine.get("ages", ())),
            engine.get("weights_hash") or "none",
        )
        for engine in described
    ]
    print_table(("engine", "what it does", "accepts", "ages", "weights"), rows)


def _describe(name: str) -> dict[str, Any]:
    """An engine as plain values; with an error instead when its weights or packages are missing."""
    head = {"name": name, "default": name == DEFAULT_ENGINE}
    try:
        engine = load_engine(name)
    except (EngineError, WeightsError) as error:
        return {**head, "error": str(error)}
    return {
        **head,
        "summary": engine.summary,
        "accepts": sorted(engine.accepts),
        "ages": list(engine.ages),
        "weights_hash": engine.weights_hash,
    }
