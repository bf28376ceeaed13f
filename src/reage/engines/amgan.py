"""The `amgan` engine: a small generator steered by an aging map in the common face, after AMGAN (arXiv 2008.10960)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from reage.engines.base import Condition
from reage.engines.exemplar import ExemplarEngine
from reage.engines.exemplar.change import ExemplarChange
from reage.engines.exemplar.engine import keeps_face
from reage.engines.exemplar.view import FaceView, view_photo
from reage.faces.aging_map import age_share, make_location_gradients, map_of_shares
from reage.faces.skin_detail import LUMINANCE, PATCHES, coarser_than, hold_within
from reage.images import geometry
from reage.nets.amgan_config import FOLDS_PER_FACE, LINES_PER_FACE, GeneratorConfig, read_config
from reage.nets.runtime import check_outputs, load_trained
from reage.plan import expected_score
from reage.types import Aged, CompletePlan, Face, Plane, Reading
from reage.weights import made_for, weights_hash
from reage.zones import ZONES, typical_score

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NET_PX = (256, 512)
"""Least and most side of the common face that the generator sees; the photo keeps its own finer detail."""
SIDE_MULTIPLE = 32

_FULL_CHANGE_DIFFERENCE = 0.02
"""Difference of both maps from which the change is applied in full; below, it fades to none."""
_MOST_LINES = (-0.6, 0.3)
"""Bounds of the change of log luminance, darker and lighter."""


class AmganEngine:
    """Ages skin in one pass, each zone by its score in the map; hair and shape change as by `exemplar`."""

    name = "amgan"
    summary = "aging map and patch GAN: one pass, every zone at its own score"
    accepts: frozenset[Condition] = frozenset({"age", "zones", "skin"})
    zone_driven = True
    ages = (18.0, 90.0)

    def __init__(
        self, session: InferenceSession, config: GeneratorConfig, digest: str, exemplar: ExemplarEngine
    ) -> None:
        self.weights_hash = digest
        self._session = session
        self._config = config
        self._exemplar = exemplar

    @classmethod
    def load(cls, weights: str | Path | None = None, device: str = "cpu") -> Self:
        """The engine with the shipped generator, or that of an ONNX file that `reage training export` wrote.

        Raises:
            WeightsError: when the weights are missing, damaged or made for something else.
            EngineError: when there is no such device.
        """
        path, session, config = load_trained(weights or cls.name, device)
        with made_for(path, "an AMGAN generator"):
            check_outputs(session, ["change", "attention"])
            return cls(session, read_config(config["net"]), weights_hash(path), ExemplarEngine.load())

    def render(self, face: Face, reading: Reading, plan: CompletePlan) -> Aged:
        """The face at its target map, the change times `plan.strength`."""
        if keeps_face(reading, plan, self.ages):
            return Aged(crop=face.crop.copy())
        return self._learn_change(face, reading, plan).on(face, self._exemplar.look(face), preview=True)

    def make_change(
        self, face: Face, reading: Reading, plan: CompletePlan, like: ExemplarChange | None = None
    ) -> ExemplarChange:
        """See `reage.engines.base.SteadyEngine`."""
        return self._exemplar.steady(self._learn_change(face, reading, plan), face)

    def _learn_change(self, face: Face, reading: Reading, plan: CompletePlan) -> ExemplarChange:
        plan = replace(plan, age=float(np.clip(plan.age, *self.ages)))
        view = view_photo(face, reading.masculinity)
        lines = self._change_lines(view, reading, plan)
        return self._exemplar.learn_change(face, reading, plan, view=view, lines=lines)

    def _change_lines(self, view: FaceView, reading: Reading, plan: CompletePlan) -> Plane:
        """(N, N, 1) change of log luminance in the common face."""
        side = net_side(len(view.levels))
        target, source = make_maps(side, reading, plan, self._config.zone_gains)
        usable: Plane = np.clip(geometry.resize(view.usable, side, side), 0, 1)
        levels = geometry.resize(view.levels, side, side).transpose(2, 0, 1) / np.float32(127.5) - 1
        planes = 2 * np.stack([target * usable, source * usable, *make_location_gradients(side)]) - 1
        inputs = {"picture": levels[None].astype(np.float32), "planes": planes[None].astype(np.float32)}
        change, attention = self._session.run(["change", "attention"], inputs)
        applied: Plane = np.clip((target - source) / _FULL_CHANGE_DIFFERENCE, -1, 1)
        found = (change * attention)[0].transpose(1, 2, 0) @ LUMINANCE * np.abs(applied)
        lines = keep_lines(found.astype(np.float32), applied, self._config.older_gain)
        return geometry.resize(lines * usable, *view.usable.shape)[..., None]


def net_side(plane_px: int) -> int:
    """Side at which the generator sees a common face of that side."""
    least, most = NET_PX
    return int(np.clip(SIDE_MULTIPLE * round(plane_px / SIDE_MULTIPLE), least, most))


def keep_lines(change: Plane, rise: Plane, older_gain: float) -> Plane:
    """What is used of a change of log luminance (N, N), see `reage.nets.amgan_config.LINES_PER_FACE`; it is bounded.

    Args:
        change: of the whole common face.
        rise: (N, N) 1 where the face grows older, -1 where it grows younger, less where it hardly changes.
        older_gain: factor on the lines of what grows older.
    """
    lines, folds = (change - coarser_than(change, parts) for parts in (LINES_PER_FACE, FOLDS_PER_FACE))
    kept = np.where(rise > 0, older_gain * lines, folds)
    return hold_within(kept, *_MOST_LINES)


def make_maps(
    side_px: int, reading: Reading, plan: CompletePlan, zone_gains: Sequence[float] = (1.0,) * len(ZONES)
) -> Plane:
    """The target map of a plan and the map of the face as it is.

    A zone that the plan names but that was not measured is assumed to have the typical score. The part of a zone's
    score that the age alone does not explain is multiplied by the zone's gain, so a target map may leave [0, 1].

    Args:
        side_px: N, side of the common face.
        reading: present zone scores.
        plan: target age and zone scores.
        zone_gains: factor for each of `ZONES`, see `reage.nets.amgan_config.GeneratorConfig`.

    Returns:
        (2, N, N) target map, source map.
    """
    wanted = {**reading.zones, **plan.zones}
    now = {zone: reading.zones.get(zone, typical_score(zone, plan.age_from)) for zone in wanted}
    expected = {zone: expected_score(zone, score, plan.age_from, plan.age) for zone, score in now.items()}
    target = _shares(plan.age, expected)
    for zone, gain in zip(ZONES, zone_gains, strict=True):
        if zone in wanted:
            target[PATCHES.index(zone)] += gain * float(np.clip(wanted[zone], 0, 1) - np.clip(expected[zone], 0, 1))
    return np.stack([map_of_shares(shares, side_px) for shares in (target, _shares(plan.age_from, now))])


def _shares(age_years: float, scores: dict[str, float]) -> NDArray[np.float64]:
    """(Q,) scores of zones, and where the age lies among those of a map for every other patch."""
    rest = age_share(age_years)
    return np.array([np.clip(scores.get(name, rest), 0, 1) for name in PATCHES])
