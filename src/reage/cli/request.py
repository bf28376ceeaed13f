"""The request of one `reage age` call, and the parsers of what only commands take."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from reage.cli.extras import require_extra
from reage.errors import EngineError, PlanError
from reage.plan_texts import parse_sweep, to_number
from reage.prompts import AGE_LABELS, label_of
from reage.types import Plan

if TYPE_CHECKING:
    from reage.engines import Engine
    from reage.faces.blazeface import Box
    from reage.images import Image
    from reage.measure.references import References
    from reage.pipeline import Reager
    from reage.provenance import Credentials
    from reage.types import Plane


@dataclass(frozen=True, kw_only=True)
class DiffusionOptions:
    """The options of `reage age` for latent diffusion; None where one was not given.

    Args:
        base: latent diffusion model to use without trained weights; of a person, where their base is now.
        person: file of the person.
        noise_strength: see `reage.nets.sampling.SamplingConfig`.
        num_inference_steps: see there.
        guidance_scale: see there.
        added_noise: see there.
        refine: whether a second pass over the face blends its zones.
    """

    base: str | None = None
    person: Path | None = None
    noise_strength: float | None = None
    num_inference_steps: int | None = None
    guidance_scale: float | None = None
    added_noise: float | None = None
    refine: bool | None = None

    def given(self) -> dict[str, Any]:
        """The options that were given, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def load_engine(self, engine: str, weights: Path | None, device: str) -> Engine | None:
        """The `ldla` or `personal` engine with these options; None when none was given for another engine.

        Raises:
            EngineError: when another engine was named, or an option is missing or out of its range.
        """
        if engine == "personal":
            return self._load_personal(weights, device)
        if self.person is not None:
            raise EngineError(f"The engine '{engine}' knows no person; use --engine personal.")
        if not self.given():
            return None
        if engine != "ldla":
            flags = ", ".join(_FLAGS.get(name, f"--{name.replace('_', '-')}") for name in self.given())
            raise EngineError(f"The engine '{engine}' has no {flags}; use --engine ldla, or personal.")
        return self._load_ldla(weights, device)

    def _sampling(self) -> dict[str, Any]:
        return {name: value for name, value in self.given().items() if name not in ("base", "person", "refine")}

    def _load_ldla(self, weights: Path | None, device: str) -> Engine:
        from reage.engines.ldla import REFINER, LdlaConfig, LdlaEngine

        config = LdlaConfig.for_base(self.base)
        zones = replace(config.zones, **self._sampling())
        config = replace(config, zones=zones, refiner=REFINER if self.refine else None)
        return LdlaEngine.load(weights, device, base=self.base, config=config)

    def _load_personal(self, weights: Path | None, device: str) -> Engine:
        if self.person is None or weights is not None:
            raise EngineError(
                "The engine 'personal' has no weights but a person's; add --person FILE, made by `reage personalize`."
            )
        if self.refine is not None:
            raise EngineError("The engine 'personal' has no --refine; use --engine ldla.")
        from reage.engines.personal import REDRAWN, PersonalEngine

        config = replace(REDRAWN, **self._sampling())
        return PersonalEngine.load(self.person, device, base=self.base, config=config)


_FLAGS = {"num_inference_steps": "--steps"}
"""The flags that are not called like their field."""


@dataclass(frozen=True, kw_only=True)
class AgeRequest:
    """One call of `reage age`.

    Args:
        source: photo or folder.
        output: file or folder of the result; None for the default name in the current folder.
        plan: for every face.
        ages: target ages of a sweep, the first of which is in `plan`; empty for one result.
        faces: "all", "largest", a number from 1, or several in rising order.
        box: of the one face to age, drawn by hand, instead of `faces`; None to find the faces.
        mask: file of the mask that is white where the photo may change; None for everywhere.
        protect: file of the mask that is white where the photo must not change; None for nowhere.
        layers: folder for the layers; None for none.
        references: files and folders of photos of the same person; empty for none.
        like: photo of a face whose expression and pose the aged face takes; None for none.
        engine: name of the engine.
        device: as the user named it, see `choose_device`.
        as_json: print one JSON object instead of text.
        frame: number of the page or frame to age; None for all.
        max_megapixels: size of the largest picture that is opened; None for the default.
        weights: of the engine; None for the shipped ones.
        credentials: with which the result is signed; None leaves it unsigned.
        diffusion: options of the `ldla` and `personal` engines.
    """

    source: Path
    output: Path | None
    plan: Plan
    ages: tuple[float, ...] = ()
    faces: str | int | tuple[int, ...] = "all"
    box: Box | None = None
    mask: Path | None = None
    protect: Path | None = None
    layers: Path | None = None
    references: tuple[Path, ...] = ()
    like: Path | None = None
    engine: str
    device: str
    as_json: bool
    frame: int | None = None
    max_megapixels: float | None = None
    weights: Path | None = None
    credentials: Credentials | None = None
    diffusion: DiffusionOptions = field(default_factory=DiffusionOptions)

    def load_reager(self) -> Reager:
        """The `Reager` with the engine of the request.

        Raises:
            EngineError: when there is no such engine or device.
        """
        from reage.engines import TORCH_ENGINES, load_engine
        from reage.pipeline import Reager

        if self.engine in TORCH_ENGINES:
            require_extra("diffusion")
        device = choose_device(self.device, self.engine)
        engine = self.diffusion.load_engine(self.engine, self.weights, device)
        return Reager(engine or load_engine(self.engine, weights=self.weights, device=device), device=device)

    def read_references(self, reager: Reager) -> References | tuple[()]:
        """The references of the request, read; nothing for none."""
        return reager.read_references(self.references) if self.references else ()

    def load_photo(self, *, frame: int | None) -> Image:
        """The photo, with one of its pages or frames, or all of them for None.

        Raises:
            ImageError: when it cannot be read.
        """
        from reage.images import MAX_MEGAPIXELS, load_image

        return load_image(self.source, frame=frame, max_megapixels=self.max_megapixels or MAX_MEGAPIXELS)

    def engine_class(self) -> type[Engine]:
        """The class of the engine, which knows its range of ages.

        Raises:
            EngineError: when there is no such engine.
        """
        from reage.engines import engine_class

        if self.engine == "personal":
            require_extra("diffusion")
            from reage.engines.personal import PersonalEngine

            return PersonalEngine
        return engine_class(self.engine)

    @property
    def mask_files(self) -> tuple[Path, ...]:
        """The files of the masks that were given, which are never overwritten."""
        return tuple(path for path in (self.mask, self.protect) if path is not None)

    def load_mask(self, photo: Image) -> Plane | None:
        """Where the photo may change, (H, W) in [0, 1]: `mask` times what `protect` leaves; None for everywhere.

        Raises:
            ImageError: when a file is not a grey picture of the photo's size.
        """
        from reage.images import load_mask

        mask = None if self.mask is None else load_mask(self.mask, photo)
        if self.protect is None:
            return mask
        unprotected = 1 - load_mask(self.protect, photo)
        return unprotected if mask is None else mask * unprotected


def parse_people(texts: Iterable[str]) -> dict[int, float]:
    """Number of a person -> target age, of '1=70' or '1=70,2=30'; `Plan` checks the ages.

    Raises:
        PlanError: when a part is not N=AGE, or a person is named twice.
    """
    ages: dict[int, float] = {}
    for part in (part for text in texts for part in text.split(",")):
        number, _, age = part.partition("=")
        found, allowed = f"--person has '{part}'", "N=AGE with a number that `reage find` shows, as in 2=30"
        if not number.strip().isdecimal() or int(number) < 1:
            raise PlanError(f"{found}; give {allowed}.")
        if int(number) in ages:
            raise PlanError(f"--person names person {int(number)} twice; give one age for each.")
        ages[int(number)] = Plan(age=to_number(age, found, allowed)).age or 0.0
    return ages


def parse_ages_over_time(text: str | None, option: str = "--age-over-time") -> tuple[float, float] | None:
    """The first and the last age of '30:80'; None for None.

    Raises:
        PlanError: when it is not START:STOP.
    """
    if text is None:
        return None
    first, colon, last = text.partition(":")
    allowed = "START:STOP in years, as in 30:80"
    if not colon:
        raise PlanError(f"{option} is '{text}'; give {allowed}.")
    ages = [to_number(part, f"{option} is '{text}'", allowed) for part in (first, last)]
    return Plan(age=ages[0]).age or 0.0, Plan(age=ages[1]).age or 0.0


def parse_targets(text: str, option: str = "--targets") -> tuple[float, ...]:
    """The rising ages, 1 to 100, of '20,30,75' or '20:80:10'.

    Args:
        text: as it was given.
        option: by which it was given.

    Raises:
        PlanError: when a part is not an age.
    """
    if ":" in text:
        ages = parse_sweep(text, option)
    else:
        allowed = "ages as in 20,30,75 or 20:80:10"
        ages = tuple(to_number(part, f"{option} is '{text}'", allowed) for part in text.split(","))
    return tuple(sorted({Plan(age=age).age or age for age in ages}))


def parse_label(text: str) -> str:
    """The one of `AGE_LABELS` that 'elderly', or an age in years, stands for.

    Raises:
        PlanError: when it is neither.
    """
    if text in AGE_LABELS:
        return text
    age = to_number(text, f"--as is '{text}'", f"an age from 1 to 100, or one of {', '.join(AGE_LABELS)}")
    return label_of(Plan(age=age).age or age)


def choose_device(device: str, engine: str) -> str:
    """The device on which an engine computes: of torch for one that needs torch, else one of `reage.nets.runtime`.

    Raises:
        EngineError: when there is none.
    """
    from reage.engines import TORCH_ENGINES

    if engine in TORCH_ENGINES:
        return choose_torch_device(device)
    from reage.nets import runtime

    return runtime.choose_device(device)


def choose_torch_device(device: str) -> str:
    """A device of torch; "auto" is the first graphics card, or the CPU where there is none.

    Raises:
        EngineError: when torch cannot compute there.
    """
    if device == "cpu":
        return device
    require_extra("diffusion")
    import torch

    cards = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    found = [name for name, is_there in cards.items() if is_there]
    chosen = [*found, "cpu"][0] if device == "auto" else "mps" if device == "coreml" else device
    try:
        torch.zeros(1, device=chosen)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        raise EngineError(f"The device '{device}' cannot be used on this computer; use --device cpu.") from error
    return chosen


def load_credentials(certificates: Path | None, key: Path | None) -> Credentials | None:
    """The credentials of --sign and --key; None for none.

    Raises:
        PlanError: when only one of them is given.
        ReageError: see `reage.provenance.Credentials.load`.
    """
    if certificates is None and key is None:
        return None
    if certificates is None or key is None:
        given, other = ("--key", "--sign CERT.pem") if certificates is None else ("--sign", "--key KEY.pem")
        raise PlanError(f"{given} needs {other} as well; give both, or neither.")
    require_extra("provenance")
    from reage.provenance import Credentials

    return Credentials.load(certificates, key)
