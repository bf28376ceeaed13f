"""Charts of an aged video over its time: flicker, age and identity."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from reage.evaluation.report.plots import COLOURS, Plot, add_legend, draw_svg

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from reage.evaluation.video import VideoReport


def draw_video_plots(report: VideoReport) -> Mapping[str, Plot]:
    """Name -> chart; those without contents are left out."""
    plots = {}
    if report.face.seconds:
        plots["flicker"] = flicker_plot(report)
    if report.readings:
        plots |= {"age": age_plot(report), "identity": identity_plot(report)}
    return plots


def flicker_plot(report: VideoReport) -> Plot:
    """Flicker of the skin from frame to frame, beside the noise of the source."""

    def draw(figure: Figure) -> None:
        axes, face = figure.subplots(), report.face
        axes.plot(face.seconds, face.flicker, color=COLOURS["blue"], lw=1, label="flicker of the change")
        axes.plot(face.seconds, face.source_noise, color=COLOURS["green"], lw=1, ls="--", label="noise of the source")
        axes.set(xlabel="time, s", ylabel="grey levels", ylim=(0, None))
        add_legend(figure, axes)

    note = (
        "How much the change of the skin differs from that of the frame before, beside how much the skin itself does."
    )
    return Plot(title="Flicker", note=note, svg=draw_svg(draw))


def age_plot(report: VideoReport) -> Plot:
    """Ages read along the video, before and after."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        seconds = [one["seconds"] for one in report.readings]
        for name, label, colour in (("aged_years", "aged", "blue"), ("source_years", "source", "green")):
            axes.plot(seconds, [one[name] for one in report.readings], "o-", color=COLOURS[colour], lw=1, label=label)
        axes.set(xlabel="time, s", ylabel="age read, years", ylim=(0, 100))
        add_legend(figure, axes)

    return Plot(title="Age", note="Ages that an estimator reads in both videos at the same times.", svg=draw_svg(draw))


def identity_plot(report: VideoReport) -> Plot:
    """Identity distances along the video."""

    def draw(figure: Figure) -> None:
        axes = figure.subplots()
        seconds = [one["seconds"] for one in report.readings]
        series = (
            ("identity_distance", "from the source", "blue"),
            ("identity_drift", "from its first frame", "orange"),
        )
        for name, label, colour in series:
            axes.plot(seconds, [one[name] for one in report.readings], "o-", color=COLOURS[colour], lw=1, label=label)
        axes.set(xlabel="time, s", ylabel="identity distance", ylim=(0, None))
        add_legend(figure, axes)

    note = "Distance of the aged face from the source at the same time, and from the aged face at the start."
    return Plot(title="Identity", note=note, svg=draw_svg(draw))
