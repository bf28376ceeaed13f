"""Plots of a run as SVG text that follows the colours of the page around it.

Convention:
    blue is the engine, orange the second age estimator; every other line or band shows real people. The same rows give
    the same bytes.
"""

from __future__ import annotations

import io
import math
import re
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from reage.evaluation.reference import IdentityReference, Reference, Threshold
from reage.evaluation.report.measured_faces import MeasuredFaces, Values
from reage.evaluation.report.summary import OLDER, YOUNGER, nearest
from reage.zones import ZONE_TABLE, ZONES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "sky": "#56b4e9",
    "blue": "#0072b2",
    "green": "#009e73",
    "amber": "#e69f00",
    "orange": "#d55e00",
    "pink": "#cc79a7",
}
"""The palette of Okabe and Ito for colour-blind people; a page may set --sky, --blue, ... to others."""
TARGET_COLOURS = tuple(COLOURS)[:5]
"""Young targets first."""
MAX_POINTS = 600

_INK, _GREY = "#010203", "#808080"
_SMALL, _BROAD, _WIDE = (4.7, 4.1), (9.6, 4.3), (9.6, 5.0)
_STYLE: dict[Any, Any] = {
    "svg.fonttype": "none",
    "svg.hashsalt": "reage",
    "font.family": ["DejaVu Sans"],
    "font.size": 9.0,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.titlesize": 9.0,
    "grid.color": _GREY,
    "grid.alpha": 0.25,
    "grid.linewidth": 0.6,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
    "legend.fontsize": 8.0,
    "lines.markersize": 4.0,
}
_FONTS = "'DejaVu Sans', Verdana, 'Segoe UI', Roboto, Helvetica, Arial, sans-serif"
_EDITS = {
    r" xmlns:xlink=\S+": "",
    r"xlink:href": "href",
    r"^.*?<svg width=\S+ height=\S+": f'<svg style="font-family: {_FONTS}"',
    r"<style.*?</style>": "",
    r' id="[\w.]+_\d+"': "",
    r"font-family: 'DejaVu Sans'; ": "",
    r" ?\n(?=[A-Zz\"])": " ",
    _INK: "currentColor",
    **{colour: f"var(--{name}, {colour})" for name, colour in COLOURS.items()},
}
"""Pattern -> replacement."""


@dataclass(frozen=True, kw_only=True)
class Plot:
    """One plot of a report.

    Args:
        title: what it shows.
        note: how to read it, one paragraph.
        svg: text of an SVG element, to be put into a page as it is.
        wide: it needs the whole width of the page.
    """

    title: str
    note: str
    svg: str
    wide: bool = False


def draw_plots(faces: MeasuredFaces, reference: Reference) -> list[Plot]:
    """All plots of a report; those without contents are left out."""
    if not faces.targets or np.isnan(faces.aged("years")).all():
        return []
    plots = [
        age_plot(faces, reference),
        identity_plot(faces, reference),
        cost_plot(faces, reference),
        zone_score_plot(faces),
        zone_request_plot(faces),
    ]
    return [plot for plot in plots if plot]


# Whole faces


def age_plot(faces: MeasuredFaces, reference: Reference) -> Plot:
    """Ages that both estimators read at each target, beside real faces of that age."""
    targets, years, second = np.array(faces.targets), faces.aged("years"), faces.aged("second_years")
    real = targets + reference.ages.bias_at(targets)

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        ends = np.array([targets.min(), targets.max()])
        axes.plot(ends, ends, color=_INK, lw=0.8, label="as asked")
        _trend(axes, targets, years, np.nanmean, COLOURS["blue"], "age estimator, mean")
        axes.plot(
            targets,
            _over(np.nanmean, second),
            color=COLOURS["orange"],
            lw=1,
            marker=".",
            label="second estimator, mean",
        )
        axes.plot(targets, real, color=_GREY, ls="--", marker="s", ms=3, label="real faces of that age, mean")
        axes.set(xlabel="age asked for, years", ylabel="age read, years")
        add_legend(figure, axes)

    return Plot(
        title="Age read in the pictures",
        note=(
            "The band holds 90 % of the faces. An estimator errs on real faces too: the dashed line is what it reads "
            "on real people of an age, where that is known, and a picture on that line looks as old as was asked."
        ),
        svg=draw_svg(draw, _SMALL),
    )


def identity_plot(faces: MeasuredFaces, reference: Reference) -> Plot:
    """Identity distance of pictures to their photo at each target, beside real pairs of one person and of two."""
    targets, identity = np.array(faces.targets), reference.identity

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        genuine = identity.genuine
        if not math.isnan(genuine.median):
            axes.axhspan(-genuine.quantile_95, -genuine.quantile_05, color=COLOURS["green"], alpha=0.15, lw=0)
            name = f"one person, {identity.genuine_years:.0f} real years apart"
            axes.axhline(-genuine.median, color=COLOURS["green"], lw=1.2, label=name)
        if not math.isnan(identity.impostors.median):
            axes.axhline(-identity.impostors.median, color=COLOURS["pink"], lw=1.6, label="two people")
        _draw_thresholds(axes, identity.thresholds)
        _trend(axes, targets, faces.distances, np.nanmedian, COLOURS["blue"], "photo and picture, median")
        axes.set(xlabel="age asked for, years", ylabel="identity distance", ylim=(0, None))
        axes.margins(y=0.08)
        add_legend(figure, axes)

    return Plot(
        title="Identity distance between photo and picture",
        note=(
            "Bands hold 90 % of the faces, or of the real pairs. Below a threshold a face recognizer takes both "
            "for one person, as it does one in 1,000 pairs of strangers at FMR 0.10 %, one in 10,000 at 0.01 %."
        ),
        svg=draw_svg(draw, _SMALL),
    )


def cost_plot(faces: MeasuredFaces, reference: Reference) -> Plot:
    """Identity distance against the years gained."""
    gained, distances = faces.aged("years") - faces.sources["years"][:, None], faces.distances
    shown = shown_targets(faces.targets)
    rows = evenly_spaced(len(gained), MAX_POINTS // len(shown))
    identity = reference.identity

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        for target, colour, mark in zip(shown, target_colours(len(shown)), "ov^sD", strict=False):
            at = faces.targets.index(target)
            points = gained[rows, at], distances[rows, at]
            axes.plot(*points, mark, color=colour, ms=3.5, alpha=0.7, mew=0, label=f"{target:g} asked for")
        if not math.isnan(identity.genuine.median):
            _draw_real_pairs(axes, identity)
        _draw_thresholds(axes, identity.thresholds[:1])
        axes.set(
            xlabel="years gained (age read in the picture minus age read in the photo)",
            ylabel="identity distance",
            ylim=(0, None),
        )
        add_legend(figure, axes, 4)

    return Plot(
        title="Identity distance against years gained",
        note=(
            "One point is one picture; low and far from zero years is good. A small distance at no years gained only "
            "says that little was changed. The bars hold 90 % of real pairs of photos."
        ),
        svg=draw_svg(draw, _BROAD),
        wide=True,
    )


def _draw_thresholds(axes: Axes, thresholds: Sequence[Threshold]) -> None:
    for style, threshold in zip(("--", ":"), thresholds, strict=False):
        if not math.isnan(threshold.score):
            name = f"threshold at FMR {threshold.false_match_rate:.2%}"
            axes.axhline(-threshold.score, color=_GREY, ls=style, label=name)


def _draw_real_pairs(axes: Axes, identity: IdentityReference) -> None:
    """One person so many years older, and so many younger."""
    years, pairs = identity.genuine_years, identity.genuine
    error = [[pairs.quantile_95 - pairs.median] * 2, [pairs.median - pairs.quantile_05] * 2]
    name = f"real pairs {years:.0f} years apart"
    axes.errorbar([-years, years], [-pairs.median] * 2, error, fmt="_", color=_INK, capsize=4, label=name)


def shown_targets(targets: Sequence[float], max_num: int = len(TARGET_COLOURS)) -> list[float]:
    """The summary's targets, the ends, and those that are farthest from these, rising; `max_num` is 4 or more."""
    if len(targets) <= max_num:
        return list(targets)
    chosen = {targets[0], targets[-1], nearest(targets, YOUNGER), nearest(targets, OLDER)}
    while len(chosen) < max_num:
        chosen.add(max(targets, key=lambda target: min(abs(target - other) for other in chosen)))
    return sorted(chosen)


def target_colours(num: int) -> list[str]:
    """Colours of so many targets, as far from each other as possible."""
    return [
        COLOURS[TARGET_COLOURS[index]] for index in np.linspace(0, len(TARGET_COLOURS) - 1, num).round().astype(int)
    ]


def evenly_spaced(num: int, max_num: int) -> list[int]:
    """At most so many indices of a list, evenly spaced, the first and the last among them."""
    return sorted(set(np.linspace(0, num - 1, min(num, max_num)).round().astype(int).tolist()))


# Zones


def zone_score_plot(faces: MeasuredFaces) -> Plot | None:
    """Scores of every zone at each target, sides averaged; None when no zone was scored."""
    targets, before = np.array(faces.targets), faces.sources["zones"]
    after = [faces.aged_rows[target]["zones"] for target in faces.targets]
    if all(np.isnan(scores).all() for scores in after):
        return None

    def draw_zone(axes: Axes, indices: list[int]) -> None:
        scores = [_over(np.nanmean, own[:, indices].T) for own in after]
        _trend(axes, targets, _columns(scores), np.nanmean, COLOURS["blue"], "pictures, mean")
        photos = float(_over(np.nanmean, before[:, indices].reshape(-1, 1))[0])
        axes.axhline(photos, color=_GREY, ls="--", label="photos, mean")

    return Plot(
        title="Scores of each zone",
        note=(
            "Score of a zone: the share of people whose zone looks younger, so 0 is the smoothest and 1 the most "
            "marked; left and right are averaged, and the band holds 90 % of the faces."
        ),
        svg=draw_svg(lambda figure: _panels(figure, draw_zone, "age asked for, years", "zone score"), _WIDE),
        wide=True,
    )


def zone_request_plot(faces: MeasuredFaces) -> Plot | None:
    """Measured against requested scores of every zone; None without zone requests."""
    requests = faces.rows.of_kind("zone")
    if not len(requests) or np.isnan(requests["zones"]).all():
        return None
    requested = np.unique(requests["score"])
    zone = np.array([ZONES.index(name) for name in requests["zone"].tolist()])
    measured = requests["zones"][np.arange(len(requests)), zone]

    def draw_zone(axes: Axes, indices: list[int]) -> None:
        axes.plot([0, 1], [0, 1], color=_INK, lw=0.8, label="as asked")
        scores = [measured[np.isin(zone, indices) & (requests["score"] == score)] for score in requested]
        _trend(axes, requested, _columns(scores), np.nanmean, COLOURS["blue"], "measured, mean")

    return Plot(
        title="One zone at a time, asked for a score",
        note="An engine that does what is asked lies on the thin line; the band holds 90 % of the faces.",
        svg=draw_svg(lambda figure: _panels(figure, draw_zone, "requested score", "measured score"), _WIDE),
        wide=True,
    )


def _panels(figure: Figure, draw_zone: Callable[[Axes, list[int]], None], x: str, y: str) -> None:
    """A small plot for each row of the zone table, with common axes; paired zones share one."""
    panels = figure.subplots(math.ceil(len(ZONE_TABLE) / 4), 4, sharex=True, sharey=True).flat
    for axes, zone in zip(panels, ZONE_TABLE, strict=False):
        draw_zone(axes, [ZONES.index(name) for name in zone.members])
        axes.set_title(zone.name.replace("_", " ").replace("crows", "crow's"))
        axes.set(ylim=(0, 1))
    figure.supxlabel(x, fontsize=9)
    figure.supylabel(y, fontsize=9)
    add_legend(figure, figure.axes[0])


# Drawing


def _trend(axes: Axes, x: Values, values: Values, middle: Any, colour: str, label: str) -> None:
    """The middle of values (N, X) and a band of 90 % of them."""
    known = ~np.isnan(values).all(0)
    if not known.any():
        return
    x, values = np.asarray(x)[known], values[:, known]
    low, high = _over(lambda column, axis: np.nanquantile(column, (0.05, 0.95), axis=axis), values)
    if len(x) == 1:
        axes.vlines(x, low, high, color=colour, alpha=0.3, lw=6)
    axes.fill_between(x, low, high, color=colour, alpha=0.2, lw=0)
    axes.plot(x, _over(middle, values), color=colour, lw=1.8, marker="o", label=label)


def _over(statistic: Any, values: Values) -> Values:
    """A statistic of each column (N, X) -> (..., X); NaN, without a warning, for a column without numbers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)
        return np.asarray(statistic(values, axis=0))


def _columns(columns: Sequence[Values]) -> Values:
    """Columns of different lengths -> (N, X), NaN below the short ones."""
    longest = max(map(len, columns))
    return np.stack(
        [np.pad(np.asarray(own, float), (0, longest - len(own)), constant_values=math.nan) for own in columns], 1
    )


def add_legend(figure: Figure, axes: Axes, columns: int = 2) -> None:
    """The legend of a figure, below its axes."""
    figure.legend(*axes.get_legend_handles_labels(), loc="outside lower left", ncols=columns, columnspacing=1.2)


def draw_svg(draw: Callable[[Figure], None], size_inches: tuple[float, float] = _BROAD) -> str:
    """The SVG element of a figure that a function draws, see `Plot.svg`."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    with rc_context(_STYLE):
        figure = Figure(figsize=size_inches, layout="constrained")
        draw(figure)
        written = io.StringIO()
        no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
        figure.savefig(written, format="svg", transparent=True, metadata=no_metadata)
    return _adapt_to_page(written.getvalue())


def _adapt_to_page(svg: str) -> str:
    """Removes what only a separate file needs; uses the text colour of the page and common fonts."""
    for pattern, replacement in _EDITS.items():
        svg = re.sub(pattern, replacement, svg, flags=re.DOTALL)
    return svg.strip()
