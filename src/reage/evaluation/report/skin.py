"""Tables of aged skin beside real skin: the energy of fine lines by target, by zone and by band, and the hue."""

from __future__ import annotations

import math

import numpy as np

from reage.evaluation.judges import OUTSIDE_LEVELS
from reage.evaluation.metrics.skin import LIKE_REAL, MIN_REAL_PEOPLE, share_between
from reage.evaluation.report.measured_faces import REAL_WINDOW_YEARS, MeasuredFaces, Names, Values, figure, median
from reage.evaluation.report.tables import Cell, Figure, Table
from reage.faces.skin_detail import BAND_SIGMAS, PATCHES

_LOW, _HIGH = LIKE_REAL


def skin_table(faces: MeasuredFaces) -> Table | None:
    """Energy ratios, hue and what changed outside, a column for each target; None where nothing was compared."""
    hue, outside = faces.aged("hue_shift_degrees"), faces.aged("outside_changed")
    if np.isnan(outside).all():
        return None
    columns: list[dict[str, Cell]] = []
    for at, target in enumerate(faces.targets):
        real, real_people = faces.real_energy_ratios(target)
        column: dict[str, Cell] = {"real people of that age": str(len(set(real_people.tolist())))}
        column |= _energy_cells("aged faces", faces.energy_ratios[:, at], faces.people, faces.fine_bands)
        column |= _energy_cells("real faces", real, real_people, faces.fine_bands)
        columns.append(
            {
                **column,
                "hue shift on skin, degrees": figure(hue[:, at], faces.people),
                "changed outside skin, hair, brows and beard": figure(outside[:, at], faces.people, style=".2%"),
            }
        )
    return Table(
        name="skin",
        title="Skin beside real skin, target by target",
        headers=[f"{target:g}" for target in faces.targets],
        rows={name: [column[name] for column in columns] for name in columns[0]},
        note=(
            "Energy is the mean absolute value of a frequency band of log luminance in a zone, divided by its mean "
            f"over real people within {REAL_WINDOW_YEARS:g} years of the target, the person left out; at least "
            f"{MIN_REAL_PEOPLE} people must show the zone. {_describe_bands(faces.fine_bands)} Real faces beside the "
            f"same mean show how far people differ. Changed: by more than {OUTSIDE_LEVELS} of 255."
        ),
    )


def _energy_cells(whose: str, ratios: Values, people: Names, bands: list[int]) -> dict[str, Cell]:
    """Cells of ratios (N, Q, B) in the finest bands that are resolved."""
    fine = ratios[..., bands]
    shares = {
        f"zones with {_LOW:g} to {_HIGH:g} of it": share_between(fine, _LOW, _HIGH),
        f"zones below {_LOW:g}, too smooth": share_between(fine, 0, _LOW),
        f"zones above {_HIGH:g}, too strong": share_between(fine, _HIGH, math.inf),
    }
    return {
        f"{whose}: fine-line energy (1 is real), median": figure(median_ratio(fine), people, median),
        **{f"{whose}: {name}": figure(share, people, style=".0%") for name, share in shares.items()},
    }


def zone_energy_table(faces: MeasuredFaces) -> Table | None:
    """Median energy ratio of each patch in the finest bands, at every target; None where no band is known."""
    if not faces.fine_bands or np.isnan(faces.energy_ratios).all():
        return None
    places = [(at, band) for at in range(len(faces.targets)) for band in faces.fine_bands]
    return Table(
        name="fine-line energy by zone",
        title="Fine-line energy by zone and band",
        corner="zone",
        headers=[f"{faces.targets[at]:g}, band {band + 1}" for at, band in places],
        rows={
            patch: [_median_figure(faces.energy_ratios[:, at, index, band]) for at, band in places]
            for index, patch in enumerate(PATCHES)
        },
        note=(
            "Median over faces of the energy divided by that of real people of that age; below "
            f"{_LOW:g} is too smooth, above {_HIGH:g} too strong. {_describe_bands(faces.fine_bands)}"
        ),
    )


def band_energy_table(faces: MeasuredFaces) -> Table | None:
    """Median energy ratio of each band over all patches, at every target; None where nothing is known."""
    if np.isnan(faces.energy_ratios).all():
        return None
    return Table(
        name="energy by band",
        title="Energy of skin detail by band",
        corner="band",
        headers=[f"{target:g}" for target in faces.targets],
        rows={
            f"{band + 1}": [
                figure(median_ratio(faces.energy_ratios[:, at, :, band]), faces.people, median)
                for at in range(len(faces.targets))
            ]
            for band in range(len(BAND_SIGMAS))
        },
        note=(
            "Median over faces of the median over zones of the energy divided by that of real people of that age; band "
            f"1 is finer than a blur of {BAND_SIGMAS[0]:g} eye distances, each other one lies between two of the blurs "
            f"{', '.join(f'{sigma:g}' for sigma in BAND_SIGMAS)}. Photos that do not resolve a band are left out of it."
        ),
    )


def median_ratio(ratios: Values) -> Values:
    """(N, ...) -> (N,) median of the known ratios of each face; NaN without any."""
    flat = ratios.reshape(len(ratios), math.prod(ratios.shape[1:]))
    known = [own[np.isfinite(own)] for own in flat]
    return np.array([median(own) if len(own) else math.nan for own in known])


def _median_figure(values: Values) -> Figure:
    known = values[np.isfinite(values)]
    return Figure(value=median(known) if len(known) else math.nan, num=len(known))


def _describe_bands(bands: list[int]) -> str:
    if not bands:
        return "The photos resolve no band."
    described = [
        f"band {band + 1} ({f'sigma {BAND_SIGMAS[band - 1]:g} to ' if band else 'below sigma '}{BAND_SIGMAS[band]:g})"
        for band in bands
    ]
    return f"The finest bands that most photos resolve: {' and '.join(described)}, in eye distances."
