"""`reage engines`: list the engines."""

from __future__ import annotations

from reage.cli.console import print_json, print_table
from reage.cli.options import AsJson
from reage.engines import ENGINES, describe_engine


def engines(as_json: AsJson = False) -> None:
    """List the engines: what each accepts, for which ages it was made, and its weights."""
    described = [describe_engine(name) for name in ENGINES]
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
