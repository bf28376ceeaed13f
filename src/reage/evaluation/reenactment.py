"""Judges reenactment: whether a face takes the pose and expression of another and stays the same person.

Sources and drivers are held-out portraits. Where both show one person, the driver is what the picture should be, and
the landmark error is known; CSIM is the cosine of the identities, as papers report it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reage.data.shards import Portraits
from reage.errors import ReageError
from reage.evaluation.judges import age_features
from reage.evaluation.metrics.distribution import kernel_distance
from reage.evaluation.metrics.reenactment import cosine, expression_error, landmark_error, pose_error_degrees
from reage.evaluation.metrics.statistics import bootstrap_interval
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.images import geometry
from reage.measure import DlibRecognizer, identity_distance
from reage.nets.age import AgeNet, load_age_net
from reage.reenactment import Reenactor
from reage.types import Face, Pixels, Plane

SAME, ANOTHER = "same person", "another person"
UNTOUCHED, REAL = "untouched", "driver itself"
_HEADERS = (
    "with a face",
    "pose error, degrees",
    "expression error",
    "landmark error",
    "CSIM",
    "distance",
    "hidden",
    "KID x 1000",
    "seconds",
)
_NOTE = (
    "Pose error: angle between the head of the picture and the driver's. Expression error: mean difference of the "
    "scores of blend shapes, without the gaze. Landmark error: mean distance of the mesh points, without pose, in "
    "distances of the eyes. CSIM and distance: cosine and distance of dlib identities to the source. Hidden: share of "
    "the face that was drawn. KID: of features of the age estimator, beside all these portraits. Brackets: 95 % over "
    "people."
)
_KID_PX = 256
_MIN_KID_FACES = 50
"""With fewer pictures a KID says nothing."""


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A source and a driver, rows of the portraits; the person in the source; whether the driver is the same."""

    source: int
    driver: int
    person: str
    kind: str


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One picture: its pair, what made it, and what was measured; NaN without a face.

    Args:
        pair: source and driver.
        system: what made it.
        values: header -> number.
        crop: (P, P, 3) of its face; None without one.
    """

    pair: Pair
    system: str
    values: Mapping[str, float]
    crop: Pixels | None


def choose_pairs(portraits: Portraits, count: int, max_degrees: float = 20.0) -> list[Pair]:
    """Pairs evenly spaced over all of people with several pictures: half of one person, half of two.

    Args:
        portraits: of held-out people.
        count: number of pairs at most.
        max_degrees: most by which the head turns.

    Raises:
        ReageError: when nobody has several pictures.
    """
    names, counts = np.unique(portraits.person, return_counts=True)
    rows = np.flatnonzero(np.isin(portraits.person, names[counts >= 3]))
    same = [(a, b) for a in rows for b in rows if a != b and portraits.person[a] == portraits.person[b]]
    other = [(a, b) for a in rows for b in rows if portraits.person[a] != portraits.person[b]]
    if not same:
        raise ReageError("Nobody in these portraits has three pictures or more; give people with several expressions.")
    chosen = []
    for kind, pairs in ((SAME, same), (ANOTHER, other)):
        near = [(a, b) for a, b in pairs if pose_error_degrees(portraits.mesh[a], portraits.mesh[b]) <= max_degrees]
        picked = np.random.default_rng(0).permutation(len(near))[: (count + 1) // 2]
        chosen += [
            Pair(source=int(near[k][0]), driver=int(near[k][1]), person=str(portraits.person[near[k][0]]), kind=kind)
            for k in picked
        ]
    return chosen


class ReenactmentJudge:
    """Judges pictures of pairs.

    Args:
        portraits: of held-out people.
        systems: name -> reenactor.
    """

    def __init__(self, portraits: Portraits, systems: Mapping[str, Reenactor]) -> None:
        self._portraits, self._systems = portraits, systems
        self._recognizer = DlibRecognizer.load()
        self._finder = next(iter(systems.values())).finder
        self._found: dict[int, Face | None] = {}

    def judge(self, pair: Pair) -> list[Judged]:
        """The source untouched, the driver where it shows the same person, and the picture of each system."""
        source, driver = self._find(pair.source), self._find(pair.driver)
        if source is None or driver is None:
            return []
        rows = [self._measure(pair, UNTOUCHED, source, source, driver)]
        if pair.kind == SAME:
            rows.append(self._measure(pair, REAL, driver, source, driver))
        for name, reenactor in self._systems.items():
            done = reenactor.reenact(
                self._portraits.crops[pair.source], like=self._portraits.crops[pair.driver], face=source
            )
            found = next(iter(self._finder.find(done.image.pixels)), None)
            extra = {"hidden": done.hidden_share, "seconds": sum(done.seconds.values())}
            rows.append(self._measure(pair, name, found, source, driver, extra))
        return rows

    def _find(self, row: int) -> Face | None:
        if row not in self._found:
            self._found[row] = next(iter(self._finder.find(self._portraits.crops[row])), None)
        return self._found[row]

    def _measure(
        self,
        pair: Pair,
        system: str,
        face: Face | None,
        source: Face,
        driver: Face,
        extra: Mapping[str, float] | None = None,
    ) -> Judged:
        if face is None:
            return Judged(pair=pair, system=system, values={"with a face": 0.0}, crop=None)
        own, others = self._embed(face), self._embed(source)
        values = {
            "with a face": 1.0,
            "pose error, degrees": pose_error_degrees(face.mesh, driver.mesh),
            "expression error": expression_error(face.expression, driver.expression),
            "landmark error": landmark_error(face.mesh, driver.mesh) if pair.kind == SAME else math.nan,
            "CSIM": cosine(own, others),
            "distance": float(identity_distance(own, others)),
            **(extra or {}),
        }
        return Judged(pair=pair, system=system, values=values, crop=geometry.resize(face.crop, _KID_PX, _KID_PX))

    def _embed(self, face: Face) -> Plane:
        assert face.photo is not None
        return self._recognizer.embed(face.photo, face.landmarks)


def load_systems() -> dict[str, Reenactor]:
    """The mesh warp alone, and with the net that draws what is hidden."""
    full = Reenactor.load()
    return {"warp": Reenactor(full.finder, full.transfer), "net": full}


def judge_reenactment(
    portraits: Portraits,
    systems: Mapping[str, Reenactor],
    count: int,
    track: Callable[[Sequence[Pair]], Iterable[Pair]] = iter,
) -> Table:
    """The table of all systems.

    Args:
        portraits: of held-out people, some with several expressions.
        systems: name -> reenactor.
        count: number of pairs at most.
        track: wraps the pairs in a progress bar.

    Raises:
        ReageError: when nobody has several pictures.
    """
    pairs = choose_pairs(portraits, count)
    judge = ReenactmentJudge(portraits, systems)
    judged = [row for pair in track(pairs) for row in judge.judge(pair)]
    net = load_age_net("age-b")
    real = age_features(net, np.stack([geometry.resize(crop, _KID_PX, _KID_PX) for crop in portraits.crops]))
    rows: dict[str, Sequence[Cell]] = {}
    for kind in (SAME, ANOTHER):
        for system in (UNTOUCHED, REAL, *systems):
            own = [row for row in judged if (row.pair.kind, row.system) == (kind, system)]
            if own:
                rows[f"{kind}, {system}"] = _summarise(own, net, real)
    return Table(name="reenactment", title="Reenactment", headers=_HEADERS, rows=rows, note=_NOTE, corner="driver")


def _summarise(rows: Sequence[Judged], net: AgeNet, real: Any) -> list[Cell]:
    cells: list[Cell] = []
    for header in _HEADERS:
        if header == "KID x 1000":
            cells.append(_measure_realism([row.crop for row in rows if row.crop is not None], net, real))
            continue
        values = np.array([row.values.get(header, math.nan) for row in rows])
        known = values[~np.isnan(values)]
        if not len(known):
            cells.append("")
            continue
        people = [row.pair.person for row, value in zip(rows, values, strict=True) if not math.isnan(value)]
        low, high = bootstrap_interval(known, people)
        style = ".3f" if header in ("expression error", "landmark error", "CSIM", "hidden") else ".2f"
        cells.append(Figure(value=float(known.mean()), low=low, high=high, num=len(known), style=style))
    return cells


def _measure_realism(crops: Sequence[Pixels], net: AgeNet, real: Any) -> Figure:
    if len(crops) < _MIN_KID_FACES:
        return Figure(value=math.nan)
    return Figure(value=1000 * kernel_distance(real, age_features(net, np.stack(crops))).mean, num=len(crops))
