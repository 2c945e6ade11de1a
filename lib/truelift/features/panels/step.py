"""The step ``build_panel``: the panel of the pipeline, by the specification that the settings name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.config import panel_of_pipeline
from truelift.features.panels.build import make_panel
from truelift.features.panels.results import PanelBuilt
from truelift.features.panels.sources import table_address
from truelift.features.shown_lists import has_lists
from truelift.fingerprints import fingerprint_of
from truelift.lake import Lake
from truelift.lake.foreign import table_version
from truelift.lake.tables import TABLES
from truelift.steps import StepReport

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import Settings
    from truelift.settings.panel_spec import PanelSpec

PANEL = "gold.panel"
#: Tables of the lake that the step has pinned; others that a specification names are pinned here.
READS = ("silver.events", "silver.sessions", "gold.users", "gold.exposures", "bronze.items")
# What a data set may lack, and what it then has not said.
_OPTIONAL = {"gold.exposures": "the data set has no exposures (bronze.exposures)"}


def pinned_sources(settings: Settings) -> dict[str, str]:
    """What the panel is made of besides the step's tables: the specification, tables from elsewhere.

    Raises
    ------
    TableError
        If a table is not there.
    """
    spec, lake = panel_of_pipeline(settings), Lake(settings)
    found = {"the panel's specification": fingerprint_of(spec=spec)}
    for table in dict.fromkeys(source.table for source in spec.sources.values()):
        if table not in TABLES:
            found[table] = table_version(table_address(lake, table))
        elif table not in READS and (version := lake.version(table)) is not None:
            found[table] = str(version)
    return found


def build_panel_step(job: Job) -> StepReport:
    """Write ``gold.panel``; without exposures there is none, and the result says so.

    Raises
    ------
    UserError
        As :func:`~truelift.features.panels.build.build_panel`; the table is not touched.
    """
    spec = panel_of_pipeline(job.settings)
    why = _why_none(job, spec)
    if why is not None:
        job.save_result(PanelBuilt.none(PANEL, why))
        return StepReport(0, 0, {"skipped": f"there is no panel: {why}"})
    built = make_panel(job, spec, PANEL, job.lake.uri(PANEL))
    job.outputs[PANEL] = built.version  # also where it was there already
    job.save_result(built)
    headline: dict[str, float | str | int] = {
        "panel_units": built.units,
        "panel_treated": built.treated,
        "occasions": built.occasions,
        "occasions_excluded": len(built.excluded),
    }
    return StepReport(job.plan("silver.events", ()).rows, built.units, headline)


def _why_none(job: Job, spec: PanelSpec) -> str | None:
    """Why the lake has nothing that the panel could be made of."""
    tables = {source.table for source in spec.sources.values()}
    for table, why in _OPTIONAL.items():
        if table in tables and not job.has(table):
            return why
    if "gold.exposures" in tables and has_lists(job.settings):
        return (
            "the exposures are items on lists, and not campaigns (recommend.by: effect uses them)"
        )
    return None
