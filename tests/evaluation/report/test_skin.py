"""Aged skin beside real skin: real people have an energy of 1, aged faces what is given."""

from __future__ import annotations

import json
from collections.abc import Callable

import numpy as np
import pytest

from reage.evaluation.reference import Reference
from reage.evaluation.report.measured_faces import MeasuredFaces
from reage.evaluation.report.skin import band_energy_table, median_ratio, skin_table, zone_energy_table
from reage.evaluation.report.summary import summary_table
from reage.evaluation.report.tables import UNKNOWN
from reage.evaluation.rows import Rows, to_table
from reage.faces.skin_detail import NUM_BANDS, PATCHES

RESOLVED_PX = 50.0
"""Of a face unit: bands 3 to 6 are resolved."""


def with_skin(rows: Rows, energy_at: dict[float, np.ndarray], px_per_face_unit: float = RESOLVED_PX) -> MeasuredFaces:
    """Rows with an energy of 1 in sources, and of (Q, B) at each target."""
    measured = rows.table.to_pylist()
    for row in measured:
        row["px_per_face_unit"] = px_per_face_unit
        energies = np.ones((len(PATCHES), NUM_BANDS)) if row["kind"] == "source" else energy_at[row["target"]]
        row["band_energy"] = energies.ravel().tolist()
        row["hue_shift_degrees"], row["outside_changed"] = 1.5, 0.02 if row["kind"] == "aged" else 0.0
    return MeasuredFaces(Rows(to_table(measured)))


@pytest.fixture
def rows(make_rows: Callable) -> Rows:
    """Six people of 40 and ten of 70, moved to 45 and 75."""
    known = [{"true_years": 40.0}] * 6 + [{"true_years": 70.0}] * 10
    return make_rows([{45.0: 5.0, 75.0: 30.0}] * 16, [{45.0: 0.1, 75.0: 0.2}] * 16, known=known)


@pytest.fixture
def faces(rows: Rows) -> MeasuredFaces:
    """At 75 a tenth of the zones are too smooth in band 3, and half are too strong in band 4."""
    energy = np.ones((len(PATCHES), NUM_BANDS))
    energy[: len(PATCHES) // 10, 2] = 0.5
    energy[: len(PATCHES) // 2, 3] = 1.5
    energy[:, :2], energy[:, 4:] = 9.0, 4.0
    return with_skin(rows, {45.0: energy, 75.0: energy})


def test_energy_is_that_of_the_two_finest_bands_that_are_resolved(faces: MeasuredFaces) -> None:
    assert faces.fine_bands == [2, 3]
    table = skin_table(faces)
    assert table is not None
    found = {name: cells[1] for name, cells in table.rows.items()}
    assert found["real people of that age"] == "10"
    assert found["aged faces: fine-line energy (1 is real), median"].value == 1
    assert found["aged faces: zones with 0.7 to 1.3 of it"].value == pytest.approx(0.7)
    assert found["aged faces: zones below 0.7, too smooth"].value == pytest.approx(0.05)
    assert found["aged faces: zones above 1.3, too strong"].value == pytest.approx(0.25)
    assert found["real faces: zones with 0.7 to 1.3 of it"].value == 1
    assert found["hue shift on skin, degrees"].value == pytest.approx(1.5)
    assert str(found["changed outside skin, hair, brows and beard"]).startswith("2.00%")
    assert "band 3 (sigma 0.0116 to 0.0242) and band 4" in table.note


def test_fewer_than_eight_real_people_resolve_nothing(faces: MeasuredFaces) -> None:
    table = skin_table(faces)
    assert table is not None
    at_45 = {name: str(cells[0]) for name, cells in table.rows.items()}
    assert at_45["real people of that age"] == "6"
    assert at_45["aged faces: fine-line energy (1 is real), median"] == UNKNOWN
    assert at_45["real faces: zones above 1.3, too strong"] == UNKNOWN
    assert at_45["hue shift on skin, degrees"] != UNKNOWN


def test_zones_and_bands_have_their_tables(faces: MeasuredFaces) -> None:
    zones, bands = zone_energy_table(faces), band_energy_table(faces)
    assert zones is not None
    assert bands is not None
    assert list(zones.headers) == ["45, band 3", "45, band 4", "75, band 3", "75, band 4"]
    assert [cell.value for cell in zones.rows[PATCHES[0]][2:]] == [0.5, 1.5]
    assert [cell.value for cell in zones.rows[PATCHES[-1]][2:]] == [1, 1]
    assert not zones.rows[PATCHES[0]][0].known
    assert [cells[1].value for cells in bands.rows.values()] == pytest.approx(
        [np.nan, np.nan, 1, 1.25, 4, 4], nan_ok=True
    )
    json.dumps([table.to_json() for table in (zones, bands)], allow_nan=False)


def test_summary_tells_energy_hue_and_what_changed_outside(faces: MeasuredFaces, reference: Reference) -> None:
    found = {name: cells[0] for name, cells in summary_table(faces, reference).rows.items()}
    assert found["fine-line energy at 75 by that of real faces, median"].value == 1
    assert found["zones with 0.7 to 1.3 of that energy at 75"].value == pytest.approx(0.7)
    assert found["hue shift on skin at 75, degrees"].value == pytest.approx(1.5)
    assert found["changed outside skin, hair, brows and beard, worst target"].value == pytest.approx(0.02)


def test_coarse_photos_resolve_no_band(rows: Rows) -> None:
    coarse = with_skin(rows, dict.fromkeys((45.0, 75.0), np.ones((len(PATCHES), NUM_BANDS))), px_per_face_unit=1.0)
    table = skin_table(coarse)
    assert table is not None
    assert str(table.rows["aged faces: fine-line energy (1 is real), median"][1]) == UNKNOWN
    assert zone_energy_table(coarse) is None
    assert band_energy_table(coarse) is None


def test_rows_without_skin_have_no_table(rows: Rows) -> None:
    assert skin_table(MeasuredFaces(rows)) is None


def test_apparent_age_stands_for_an_unknown_one(make_rows: Callable) -> None:
    rows = make_rows([{45.0: 5.0}] * 9, [{45.0: 0.1}] * 9, known=[{"true_years": np.nan}] * 9)  # which all read 41
    ones = np.ones((len(PATCHES), NUM_BANDS))
    table = skin_table(with_skin(rows, {45.0: 0.8 * ones}))
    assert table is not None
    assert table.rows["aged faces: fine-line energy (1 is real), median"][0].value == pytest.approx(0.8)


def test_median_leaves_out_what_is_not_known() -> None:
    ratios = np.array([[[1.0, np.nan], [2.0, 6.0]], [[np.nan, np.nan], [np.nan, np.nan]]])
    np.testing.assert_array_equal(median_ratio(ratios), [2, np.nan])
    assert len(median_ratio(np.empty((0, 2, 0)))) == 0
