"""The command ``build_panel``: tables to a panel, by a specification."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from truelift.errors import ConfigError, DataError
from truelift.features.items import spark_schema
from truelift.features.panels.counting import COUNT_SCHEMA, PanelCountKernel, PanelCounts
from truelift.features.panels.design import SpecDesign
from truelift.features.panels.kernel import SpecPanelKernel
from truelift.features.panels.lookups import open_lookups
from truelift.features.panels.occasions import (
    Clock,
    require_arms,
    require_measured_before,
    select_occasions,
)
from truelift.features.panels.reading import StoredSource
from truelift.features.panels.results import PanelBuilt
from truelift.features.panels.sources import (
    OpenedSource,
    as_stored,
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
from truelift.lake.tables import is_table, panel_table
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
    name = f"gold.panel_{spec.name}"
    if out is None:
        return make_panel(job, spec, name, f"{job.lake.root}/gold/panel_{spec.name}")
    return make_panel(job, spec, out, out)


def make_panel(job: Job, spec: PanelSpec, name: str, uri: str) -> PanelBuilt:
    """Write the panel of a specification to a table; see :func:`build_panel`.

    Parameters
    ----------
    job : Job
        Tables that it has pinned are read at these versions.
    spec : PanelSpec
    name : str
        Of the table, for messages and results.
    uri : str
        Where it goes.
    """
    lake = job.lake
    job.progress.update("opening the sources")
    sources = open_sources(lake, spec, job.inputs)
    lookups = open_lookups(lake, spec, job.settings, job.inputs)
    pinned = {n: f"{source.uri}@{source.version}" for n, source in sources.items()}
    found_in = {n: look.plan.version for n, look in lookups.items() if look.plan is not None}
    spec_hash = fingerprint_of(spec=spec)
    fingerprint = fingerprint_of(
        spec=spec_hash, sources=pinned, lookups=found_in, code=code_digest(__name__),
        buckets=lake.buckets,
    )  # fmt: skip
    state = table_state(uri)
    if state.notes.get("fingerprint") == fingerprint:
        return from_plain(PanelBuilt, state.notes["panel"]).again(state.version)
    job.progress.update("looking at the occasions")
    design, excluded = _designed(sources, spec)
    design = replace(design, lookups=lookups)
    # Refused before any row is moved.
    _derived(lake.spark.createDataFrame([], spark_schema(design.schema())), design)
    with _readable(job, sources, design) as (design, plans):
        job.progress.update("counting arms and levels")
        design, counts, excluded = _counted(lake, design, plans, excluded)
        job.progress.update("writing the panel")
        frame = lake.map_buckets(SpecPanelKernel(design), plans, spark_schema(design.schema()))
        units = sum(counts.values())
        built = PanelBuilt(
            name, uri, 0, units, counts, len(design.occasions), excluded, pinned, spec_hash,
            treatment=spec.treatment.column, occasion=spec.treatment.occasion_column,
            cluster=spec.cluster, control=spec.treatment.control, outcomes=tuple(spec.outcomes),
            measured_in={n: text for n, text in spec.measured_in.items() if n in spec.outcomes},
            labels=spec.labels,
        )  # fmt: skip
        notes = {"fingerprint": fingerprint, "panel": to_plain(built), "spec": to_plain(spec)}
        rows = _derived(frame, design)
        if is_table(name):
            commit = job.replace_slices(name, rows, state, notes, None)
        else:
            commit = replace_slices(rows, uri, panel_table(name), fingerprint, state, notes)
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
def _readable(
    job: Job, sources: dict[str, OpenedSource], design: SpecDesign
) -> Iterator[tuple[SpecDesign, dict[str, ScanPlan]]]:
    """Plans of the sources: of their own tables where workers can read them, else of copies."""
    plans: dict[str, ScanPlan] = {}
    copied: dict[str, ScanPlan] = {}
    stored: dict[str, StoredSource] = {}
    spec = design.spec
    try:
        for name in spec.sources_in_use():
            direct = as_stored(job.lake, sources[name], spec, name)
            if direct is not None:
                plans[name], stored[name] = direct
                continue
            job.progress.update(f"bringing {name} into buckets")
            plans[name] = copied[name] = in_buckets(job.lake, sources[name], spec, name)
        yield replace(design, stored=stored), plans
    finally:
        discard(copied)


def _counted(
    lake: Lake, design: SpecDesign, plans: dict[str, ScanPlan], excluded: dict[str, str]
) -> tuple[SpecDesign, dict[str, int], dict[str, str]]:
    """The design without occasions of one arm, the units by arm, and why occasions went, all told."""
    from pyspark.sql import functions as F

    spec = design.spec
    names = ["kind", "of", "name", "level"]
    rows = (
        lake.map_buckets(
            PanelCountKernel(design), _to_count(design, plans), spark_schema(COUNT_SCHEMA)
        )
        .groupBy(*names)
        .agg(F.sum("count").alias("count"))
        .collect()
    )
    counts = PanelCounts.of(tuple(row) for row in rows)
    kept, one_armed = require_arms(design.occasions, counts.arms)
    excluded = excluded | one_armed
    if not kept:
        raise _nothing_left(spec, len(excluded), excluded)
    design = replace(design, occasions=kept, levels=counts.chosen(design))
    twice = [n for n, many in Counter(_columns(design)).items() if many > 1]
    if twice:
        raise ConfigError(
            f"panel {spec.name}: the level of a share or an indicator gives the column {twice[0]!r}, "
            "which the panel has already. Name the share, the indicator or that column otherwise."
        )
    named = {occasion.name for occasion in kept}
    arms = {
        label: sum(n for (name, arm), n in counts.arms.items() if arm == code and name in named)
        for code, label in enumerate(spec.treatment.labels())
    }
    return design, {k: n for k, n in arms.items() if n}, excluded


def _columns(design: SpecDesign) -> list[str]:
    """Names of the panel's columns as Delta tells them apart."""
    return [name.casefold() for name in design.spec.columns(design.columns_of_levels())]


def _to_count(design: SpecDesign, plans: dict[str, ScanPlan]) -> dict[str, ScanPlan]:
    """The sources that counts are made of."""
    spec = design.spec
    used = {spec.population, spec.treatment.source} | spec.sources_of_levels()
    used |= {spec.covariates[name].source for name in spec.eligible}
    return {name: plan for name, plan in plans.items() if name in used}


def _nothing_left(spec: PanelSpec, found: int, excluded: dict[str, str]) -> DataError:
    reasons = "; ".join(f"{name}: {why}" for name, why in sorted(excluded.items())[:8])
    eligible = ", ".join(f"{name} of at least {least:g}" for name, least in spec.eligible.items())
    return DataError(
        f"panel {spec.name}: none of {found} occasions in sources.{spec.treatment.source} "
        f"({spec.sources[spec.treatment.source].table}) leaves units of two arms to compare "
        f"({reasons or 'there is no occasion'}). The specification needs "
        f"{spec.occasions.history:g} {spec.clock} of data before an occasion (occasions.history)"
        f"{f', units with {eligible} (eligible)' if eligible else ''}, and units both with and "
        "without the treatment."
    )


def _derived(frame: DataFrame, design: SpecDesign) -> DataFrame:
    """The frame with its derived columns, which see covariates, attributes and ``elapsed`` only.

    Raises
    ------
    ConfigError
        If a derived column looks at an outcome, the treatment or a name that does not exist.
    """
    spec = design.spec
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
    return frame.select(*spec.columns(design.columns_of_levels()), "bucket")


def _mentions(text: str, name: str) -> Any:
    import re

    return re.search(rf"\b{re.escape(name)}\b", text)
