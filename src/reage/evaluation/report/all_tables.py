"""From rows to tables."""

from __future__ import annotations

from reage.evaluation.reference import IdentityLines, Reference
from reage.evaluation.report.identity_realism import identity_lines, judges_agree, realism, second_matcher
from reage.evaluation.report.measured_faces import Faces
from reage.evaluation.report.summary import by_target, headline
from reage.evaluation.report.tables import Table
from reage.evaluation.report.zones import cross_talk_table, zone_responses, zones_by_target
from reage.evaluation.rows import Rows


def summarise(rows: Rows, reference: Reference, second: IdentityLines | None = None) -> list[Table]:
    """All tables of a report, those for which there is nothing left out.

    Args:
        rows: of a run.
        reference: lines of real people.
        second: lines of the second matcher, when one was plugged in and real people were there to measure them on.
    """
    faces = Faces(rows)
    tables = [
        headline(faces, reference),
        by_target(faces, reference),
        identity_lines(faces, reference),
        second_matcher(faces, second),
        realism(faces),
        judges_agree(faces, reference),
        zones_by_target(faces),
        zone_responses(faces, reference),
        cross_talk_table(rows),
    ]
    return [table for table in tables if table]
