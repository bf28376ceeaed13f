"""What `reage age` was asked to do, read from the texts of its options."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reage.errors import EngineError, PlanError
from reage.prompts import AGE_LABELS, label_of
from reage.types import Plan
from reage.zones import ZONE_PRESETS

if TYPE_CHECKING:
    from reage.engines import Engine
    from reage.pipeline import Reager

LARGEST_SWEEP = 100
"""Most pictures that one sweep makes."""


@dataclass(frozen=True, kw_only=True)
class Diffusion:
    """What `reage age` was told about latent diffusion; None where it was told nothing.

    Args:
        base: latent diffusion model to use as it is; of a person, where it is now.
        person: file of the person.
        noise_strength: γ_n.
        steps: γ_inf.
        guidance: γ_g.
        grain: share of the noise that is really added.
        refine: whether a second pass blends the zones.
    """

    base: str | None = None
    person: Path | None = None
    noise_strength: float | None = None
    steps: int | None = None
    guidance: float | None = None
    grain: float | None = None
    refine: bool | None = None

    def load(self, engine: str, weights: Path | None, device: str) -> Engine | None:
        """The `ldla` or `personal` engine with these settings; None when nothing was set for another engine.

        Raises:
            EngineError: when another engine was asked for, or a setting is missing or out of its range.
        """
        given = {name: value for name, value in asdict(self).items() if value is not None}
        base, person = given.pop("base", None), given.pop("person", None)
        if engine == "personal":
            return _load_personal(person, weights, device, base, given)
        if person:
            raise EngineError(f"The engine '{engine}' knows no person; use --engine personal.")
        if not given and base is None:
            return None
        if engine != "ldla":
            options = ", ".join(f"--{name.replace('_', '-')}" for name, value in asdict(self).items() if value)
            raise EngineError(f"The engine '{engine}' has no {options}; use --engine ldla, or personal.")
        from reage.engines.ldla import REFINER, LdlaConfig, LdlaEngine

        refiner = REFINER if given.pop("refine", False) else None
        config = LdlaConfig.for_base(base)
        config = replace(config, zones=replace(config.zones, **given), refiner=refiner)
        return LdlaEngine.load(weights, device, base=base, config=config)


def _load_personal(
    person: Path | None, weights: Path | None, device: str, base: str | None, given: Mapping[str, Any]
) -> Engine:
    if person is None or weights is not None:
        raise EngineError(
            "The engine 'personal' has no weights but a person's; add --person FILE, made by `reage personalize`."
        )
    if "refine" in given:
        raise EngineError("The engine 'personal' has no --refine; use --engine ldla.")
    from reage.engines.personal import REDRAWN, PersonalEngine

    return PersonalEngine.load(person, device, base=base, config=replace(REDRAWN, **given))


@dataclass(frozen=True, kw_only=True)
class AgeRequest:
    """One call of `reage age`.

    Args:
        source: picture or folder.
        output: where the result goes; None for the default name in the current folder.
        plan: what to do with every face.
        faces: "all", "largest" or a number from 1.
        engine: name of the engine.
        device: "cpu" or a torch device.
        as_json: print one JSON object instead of text.
        weights: of the engine; None for the shipped ones.
        diffusion: settings of the `ldla` and `personal` engines.
    """

    source: Path
    output: Path | None
    plan: Plan
    faces: str | int
    engine: str
    device: str
    as_json: bool
    weights: Path | None = None
    diffusion: Diffusion = field(default_factory=Diffusion)

    def load_artist(self) -> Reager:
        """The loaded engine with its finder and age_estimator.

        Raises:
            EngineError: when there is no such engine or device.
        """
        from reage.engines import load_engine
        from reage.pipeline import Reager

        check_device(self.device)
        engine = self.diffusion.load(self.engine, self.weights, self.device)
        return Reager(engine or load_engine(self.engine, weights=self.weights, device=self.device), device=self.device)


def parse_faces(text: str) -> str | int:
    """Which faces: "all", "largest" or a number from 1.

    Raises:
        PlanError: on anything else.
    """
    if text in ("all", "largest"):
        return text
    if text.isdecimal() and int(text) >= 1:
        return int(text)
    raise PlanError(f"--face is '{text}'; give all, largest, or the number, from 1, that `reage find` shows.")


def parse_zones(text: str | None) -> dict[str, float]:
    """'crows_feet=0.9,forehead=0.2', or a preset, as names and scores; `Plan` checks both.

    Raises:
        PlanError: when a part is not NAME=SCORE.
    """
    if text is not None and text in ZONE_PRESETS:
        return dict(ZONE_PRESETS[text])
    scores: dict[str, float] = {}
    for part in text.split(",") if text is not None else ():
        name, _, score = part.partition("=")
        scores[name.strip()] = _to_number(
            score,
            f"--zones has '{part}'",
            f"NAME=SCORE, as in crows_feet=0.9,forehead=0.2, or one of {', '.join(ZONE_PRESETS)}",
        )
    return scores


def parse_sweep(text: str, option: str = "--sweep") -> tuple[float, ...]:
    """'20:80:10' as the ages 20, 30 ... 80, the last one included when the steps meet it; `option` asked for it.

    Raises:
        PlanError: when it is not START:STOP:STEP, runs backwards or makes more than `LARGEST_SWEEP` pictures.
    """
    parts = text.split(":")
    allowed = "START:STOP:STEP in years, as in 20:80:10"
    if len(parts) != 3:
        raise PlanError(f"{option} is '{text}'; give {allowed}.")
    start, stop, step = (_to_number(part, f"{option} is '{text}'", allowed) for part in parts)
    if step <= 0 or stop < start:
        raise PlanError(f"{option} is '{text}'; START may not be above STOP, and STEP must be above 0.")
    count = math.floor((stop - start) / step + 1e-9) + 1
    if count > LARGEST_SWEEP:
        raise PlanError(
            f"{option} is '{text}', {count} pictures; a sweep makes {LARGEST_SWEEP} at most, take larger steps."
        )
    return tuple(round(start + index * step, 6) for index in range(count))


def parse_targets(text: str) -> tuple[float, ...]:
    """'20,30,75' or '20:80:10' as rising ages, 1 to 100.

    Raises:
        PlanError: when a part is not an age.
    """
    if ":" in text:
        ages = parse_sweep(text, "--targets")
    else:
        allowed = "ages as in 20,30,75 or 20:80:10"
        ages = tuple(_to_number(part, f"--targets is '{text}'", allowed) for part in text.split(","))
    return tuple(sorted({Plan(age=age).age or age for age in ages}))


def parse_label(text: str) -> str:
    """'elderly', or an age in years, as one of `AGE_LABELS`.

    Raises:
        PlanError: when it is neither.
    """
    if text in AGE_LABELS:
        return text
    age = _to_number(text, f"--as is '{text}'", f"an age from 1 to 100, or one of {', '.join(AGE_LABELS)}")
    return label_of(Plan(age=age).age or age)


def _to_number(text: str, found: str, allowed: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise PlanError(f"{found}; give {allowed}.")
    return number


def check_device(device: str) -> None:
    """Whether torch can compute there.

    Raises:
        EngineError: when it cannot.
    """
    if device == "cpu":
        return
    import torch

    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EngineError(f"The device '{device}' cannot be used on this computer; use --device cpu.") from error
