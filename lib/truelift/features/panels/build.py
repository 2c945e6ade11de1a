"""The command ``build_panel``: tables to a panel, by a specification."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError, DataError
from truelift.features.items import spark_schema
from truelift.features.panels.kernel import (
    COUNT_SCHEMA,
    ArmCountKernel,
    SpecDesign,
    SpecPanelKernel,
)
from truelift.features.panels.occasions import (
    Clock,
    require_arms,
    require_measured_before,
    select_occasions,
)
from truelift.features.panels.results import PanelBuilt
from truelift.features.panels.sources import (
    OpenedSource,
    covered_by,
    discard,
    expression,
    in_buckets,
    occasions_of,
    open_sources,
    text_attributes,
)
from truelift.fingerprints import fingerprint_of
from truelift.imported_code import code_digest
from truelift.lake.tables import panel_table
from truelift.lake.writes import replace_slices, table_state
from truelift.settings.panel_spec import PanelSpec
from truelift.typed import from_plain, to_plain

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

    from truelift.job import Job
    from truelift.lake import Lake, ScanPlan


def build_panel(job: Job, spec: PanelSpec, out: str | None = None) -> PanelBuilt:
    """Write ``gold.panel_<name>``, or a table at ``out``.

    Parameters
    ----------
    job : Job
    spec : PanelSpec
        Guarded when it was made: no covariate is measured after the treatment begins.
    out : str, optional
        URI of the panel.

    Returns
    -------
    PanelBuilt
        A second run with the same specification, versions and code writes nothing.

    Raises
    ------
    UserError
        For a table or column that is missing, an attribute measured too late, or occasions that
        leave nothing to compare; no panel is touched.
    """
    lake = job.lake
    job.progress.update("opening the sources")
    sources = open_sources(lake, spec)
    uri = out or f"{lake.root}/gold/panel_{spec.name}"
    pinned = {name: f"{source.uri}@{source.version}" for name, source in sources.items()}
    spec_hash = fingerprint_of(spec=spec)
    fingerprint = fingerprint_of(
        spec=spec_hash, sources=pinned, code=code_digest(__name__), buckets=lake.buckets
    )
    state = table_state(uri)
    if state.notes.get("fingerprint") == fingerprint:
        return from_plain(PanelBuilt, state.notes["panel"]).again(state.version)
    job.progress.update("looking at the occasions")
    design, excluded = _designed(sources, spec)
    # Refused before any row is moved.
    _derived(lake.spark.createDataFrame([], spark_schema(design.schema())), spec)
    with _bucketed(job, sources, spec) as plans:
        job.progress.update("counting the arms")
        design, counts, one_armed = _with_arms(lake, design, plans)
        excluded |= one_armed
        job.progress.update("writing the panel")
        frame = lake.map_buckets(SpecPanelKernel(design), plans, spark_schema(design.schema()))
        units = sum(counts.values())
        built = PanelBuilt(
            f"gold.panel_{spec.name}" if out is None else uri, uri, 0, units, counts,
            len(design.occasions), excluded, pinned, spec_hash,
        )  # fmt: skip
        notes = {"fingerprint": fingerprint, "panel": to_plain(built), "spec": to_plain(spec)}
        table = panel_table(built.name)
        commit = replace_slices(_derived(frame, spec), uri, table, fingerprint, state, notes)
    return replace(built, version=commit.version)


def _designed(
    sources: dict[str, OpenedSource], spec: PanelSpec
) -> tuple[SpecDesign, dict[str, str]]:
    """Occasions that the data can carry, and when the data begin."""
    clock = Clock(spec.clock, spec.time_zone)
    covered = covered_by(sources[spec.occasions.observed], spec, clock)
    found = occasions_of(sources[spec.treatment.source], spec)
    kept, excluded = select_occasions(found, covered, spec, clock)
    if not kept:
        raise _nothing_left(spec, len(found), excluded)
    require_measured_before(spec, kept, clock)
    return SpecDesign(spec, kept, covered[0], text_attributes(sources, spec)), excluded


@contextmanager
def _bucketed(
    job: Job, sources: dict[str, OpenedSource], spec: PanelSpec
) -> Iterator[dict[str, ScanPlan]]:
    plans: dict[str, ScanPlan] = {}
    try:
        for name in _used(spec):
            job.progress.update(f"bringing {name} into buckets")
            plans[name] = in_buckets(job.lake, sources[name], spec, name)
        yield plans
    finally:
        discard(plans)


def _used(spec: PanelSpec) -> list[str]:
    """Sources that the kernels read."""
    used = {spec.population, spec.treatment.source}
    used |= {m.source for m in spec.measures().values()}
    used |= {a.source for a in spec.attributes.values()}
    return [name for name in spec.sources if name in used]


def _with_arms(
    lake: Lake, design: SpecDesign, plans: dict[str, ScanPlan]
) -> tuple[SpecDesign, dict[str, int], dict[str, str]]:
    """The design without occasions of one arm, the units by arm, and why occasions went."""
    from pyspark.sql import functions as F

    rows = (
        lake.map_buckets(ArmCountKernel(design), plans, spark_schema(COUNT_SCHEMA))
        .groupBy("occasion", "arm")
        .agg(F.sum("units").alias("units"))
        .collect()
    )
    counts = {(r["occasion"], int(r["arm"])): int(r["units"]) for r in rows}
    kept, excluded = require_arms(design.occasions, counts)
    if not kept:
        raise _nothing_left(design.spec, len(design.occasions), excluded)
    names = {occasion.name for occasion in kept}
    labels = design.spec.treatment.labels()
    arms = {
        label: sum(n for (name, arm), n in counts.items() if arm == code and name in names)
        for code, label in enumerate(labels)
    }
    return replace(design, occasions=kept), {k: n for k, n in arms.items() if n}, excluded


def _nothing_left(spec: PanelSpec, found: int, excluded: dict[str, str]) -> DataError:
    reasons = "; ".join(f"{name}: {why}" for name, why in sorted(excluded.items())[:8])
    return DataError(
        f"panel {spec.name}: none of {found} occasions in sources.{spec.treatment.source} leaves "
        f"units of two arms to compare ({reasons or 'there is no occasion'})."
    )


def _derived(frame: DataFrame, spec: PanelSpec) -> DataFrame:
    """The frame with its derived columns, which see covariates, attributes and ``elapsed`` only.

    Raises
    ------
    ConfigError
        If a derived column looks at an outcome, the treatment or a name that does not exist.
    """
    known = ["elapsed", *spec.covariates, *spec.attributes]
    hidden = {**dict.fromkeys(spec.outcomes, "an outcome"), spec.treatment.column: "the treatment"}
    for name, text in spec.derived.items():
        try:
            column = expression(frame.select(*known), text, f"derived.{name}")
        except ConfigError as error:
            for later, part in hidden.items():
                if _mentions(text, later):
                    raise ConfigError(
                        f"derived.{name}: {text!r} looks at {later}, {part}, which is measured "
                        "from the treatment on (0), not before it. A covariate must be known "
                        "before the treatment."
                    ) from None
            raise error
        frame = frame.withColumn(name, column)
        known.append(name)
    return frame.select(*spec.columns(), "bucket")


def _mentions(text: str, name: str) -> Any:
    import re

    return re.search(rf"\b{re.escape(name)}\b", text)
