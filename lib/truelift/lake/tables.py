"""Names, columns and partitioning of every table of the lake, in one place.

Columns are written as Spark's DDL, which Spark's schema and Arrow's follow from: nothing else writes
them down. An *open* table has more columns than are listed: bronze
tables carry the source's own (text), the panel its covariates.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from truelift.errors import TableError
from truelift.lake.ddl import LISTED, arrow_schema_of

if TYPE_CHECKING:
    import pyarrow as pa
    from pyspark.sql.types import StructType

_BRONZE = "source_file string, source_row bigint, file_time timestamp, batch_id string"
_EVENT = (
    "event_id string, user_key string, event_time timestamp, event_type string, "
    "item_id string, quantity double, value double, source_session string, "
    "context map<string,string>, labels array<string>, source_file string, "
    "source_row bigint, batch_id string"
)


# Deletion vectors would send every later read through Spark's rows; retention of transaction
# ids keeps the record of appended batches as long as anyone may retry one.
_PROPERTIES = {
    "delta.enableDeletionVectors": "false",
    "delta.setTransactionRetentionDuration": "interval 3650 days",
}
# Features of a table that writes without Spark respect.
PLAIN_WRITER_FEATURES = frozenset({"appendOnly", "invariants", "changeDataFeed", "timestampNtz"})
_USER = ("user_key",)
_CHANGE_FEED = {"delta.enableChangeDataFeed": "true"}


@dataclass(frozen=True)
class TableSpec:
    """What a table must look like.

    Attributes
    ----------
    name : str
    columns : str
        Spark's DDL.
    partition_by : tuple of str
    is_open : bool
        Whether it has more columns than are listed.
    change_feed : bool
    people : tuple of str
        Columns that hold the key of a person and nothing else: forgetting goes by this mark. Those
        of bronze are the source's own, and the mapping tells which.
    """

    name: str
    columns: str
    partition_by: tuple[str, ...] = ()
    is_open: bool = False
    change_feed: bool = False
    people: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """The listed columns, without a session."""
        return tuple(part.split()[0] for part in LISTED.split(self.columns))

    @cached_property
    def arrow(self) -> pa.Schema:
        """The listed columns as Arrow's schema, without a session."""
        return arrow_schema_of(self.columns)

    def schema(self) -> StructType:
        """The listed columns as a Spark schema."""
        return schema_of(self.columns)

    def properties(self) -> dict[str, str]:
        """Delta's properties, which a table gets with its first rows."""
        return {**_PROPERTIES, **(_CHANGE_FEED if self.change_feed else {})}

    def check(self, found: StructType) -> None:
        """Refuse a frame whose columns or types are not the table's.

        Raises
        ------
        TableError
            Naming every missing, surplus or differently typed column.
        """
        wanted = {f.name: f.dataType.simpleString() for f in self.schema()}
        have = {f.name: f.dataType.simpleString() for f in found}
        faults = [f"{c} is missing" for c in wanted if c not in have]
        faults += [
            f"{c} is {have[c]}, expected {t}"
            for c, t in wanted.items()
            if c in have and have[c] != t
        ]
        if not self.is_open:
            faults += [f"{c} is not a column of it" for c in have if c not in wanted]
        if faults:
            raise TableError(f"These rows do not fit {self.name}: {'; '.join(faults)}.")


_SPECS = (
    TableSpec("bronze.events", _BRONZE, is_open=True, change_feed=True),
    TableSpec("bronze.items", _BRONZE, is_open=True, change_feed=True),
    TableSpec("bronze.users", _BRONZE, is_open=True, change_feed=True),
    TableSpec("bronze.exposures", _BRONZE, is_open=True, change_feed=True),
    TableSpec("bronze.responses", _BRONZE, is_open=True, change_feed=True),
    TableSpec("bronze.identities", _BRONZE, is_open=True, change_feed=True),
    TableSpec(
        "silver.events", f"{_EVENT}, bucket int, period string", ("bucket", "period"), people=_USER
    ),
    TableSpec(
        "silver.quarantine",
        f"{_EVENT}, reasons array<string>, raw map<string,string>, bucket int, period string",
        ("bucket", "period"),
        people=_USER,
    ),
    TableSpec(
        "ops.refused",
        f"{_EVENT}, reasons array<string>, raw map<string,string>, bucket int, period string",
        people=_USER,
    ),
    TableSpec(
        "silver.sessions",
        "session_id string, user_key string, start timestamp, end timestamp, "
        "duration_seconds double, events int, items int, entry_item string, "
        "exit_item string, quantity double, value double, event_types map<string,int>, "
        "conversions int, converted boolean, is_open boolean, is_bot boolean, "
        "source_sessions int, labels array<string>, bucket int, period string",
        ("bucket", "period"),
        people=_USER,
    ),
    TableSpec(
        "ops.quality",
        "batch string, measured timestamp, metric string, value double",
    ),
    TableSpec(
        "ops.item_limits",
        "item_id string, events bigint, quantity_median double, quantity_spread double, "
        "value_median double, value_spread double",
    ),
    TableSpec(
        "gold.items",
        "item_key string, item_index int, name string, category string, category_index int, "
        "events bigint, users bigint",
    ),
    TableSpec("gold.vocabularies", "kind string, code int, name string"),
    TableSpec(
        "gold.users",
        "user_key string, first_time timestamp, last_time timestamp, events bigint, "
        "sessions bigint, value double, distinct_items bigint, attributes map<string,string>, "
        "bucket int",
        ("bucket",),
        people=_USER,
    ),
    TableSpec(
        "gold.sequences",
        "user_key string, item_index array<int>, event_time array<bigint>, "
        "session_number array<int>, event_type array<int>, category array<int>, "
        "gap_bucket array<int>, quantity array<double>, bucket int",
        ("bucket",),
        people=_USER,
    ),
    TableSpec(
        "gold.exposures",
        "user_key string, campaign string, campaign_type string, start timestamp, "
        "end timestamp, responses array<bigint>, list_id string, slot int, item_key string, "
        "propensity double, list_propensity double, context string, segment string, bucket int",
        ("bucket",),
        people=_USER,
    ),
    TableSpec(
        "gold.panel",
        "unit_id string, bucket int",
        ("bucket",),
        is_open=True,
        people=_USER,
    ),
    TableSpec(
        "gold.scores",
        "panel string, panel_version bigint, unit_id string, user_key string, outcome string, "
        "arm string, in_arm boolean, "
        "propensity double, outcome_regression double, score double, weight double, fold int, "
        "bucket int",
        ("panel", "bucket"),
        people=_USER,
    ),
    TableSpec(
        "gold.effects",
        "estimand string, outcome string, arm string, versus string, population string, "
        "estimate double, standard_error double, ci_lower double, ci_upper double, "
        "p_value double, band_lower double, band_upper double, adjusted_p_value double, "
        "alternative string, bound double, anytime boolean, degrees_of_freedom double, "
        "n bigint, clusters bigint, folds int, confidence double, learner string, "
        "method string, panel string, panel_version bigint, run_id string",
        ("panel",),
    ),
    TableSpec(
        "gold.learned_policies",
        "panel string, panel_version bigint, outcome string, unit_id string, user_key string, "
        "arm string, best_arm string, propensity double, bucket int",
        ("panel", "bucket"),
        people=_USER,
    ),
    TableSpec(
        "gold.allocations",
        "panel string, panel_version bigint, outcome string, unit_id string, user_key string, "
        "arm string, best_arm string, propensity double, cost double, forecast_gain double, "
        "bucket int",
        ("panel", "bucket"),
        people=_USER,
    ),
    TableSpec(
        "gold.policies",
        "log string, log_version bigint, policy string, reward string, estimator string, "
        "tuning double, estimate double, standard_error double, ci_lower double, "
        "ci_upper double, band_lower double, band_upper double, degrees_of_freedom double, "
        "mean_squared_error double, selected boolean, support string, support_reason string, "
        "difference double, difference_lower double, ships boolean, reason string, rows bigint, "
        "users bigint, confidence double, run_id string",
        ("log",),
    ),
    TableSpec(
        "gold.assignments",
        "experiment string, user_key string, arm string, reason string, layer string, "
        "stratum string, bucket int",
        ("experiment",),
        people=_USER,
    ),
    TableSpec(
        "gold.experiments",
        "experiment string, look int, at string, units bigint, planned_units bigint, metric string, "
        "arm string, versus string, estimate double, statistic double, lower double, upper double, "
        "decision string, reason string, rule string, log string, log_version bigint, run_id string",
        ("experiment",),
    ),
    TableSpec(
        "gold.rounds",
        "world string, users bigint, seed bigint, strategy string, round int, visits double, "
        "purchases double, purchases_a_visit double, additional double, additional_total double, "
        "additional_observed double, additional_observed_error double, regret_oracle double, "
        "regret_logged double, forecast double, forecast_error double, forecast_lower double, "
        "forecast_upper double, held boolean, held_observed boolean, click_rate double, "
        "conversion double, precision double, recall double, f1 double, satisfaction double, "
        "answers double, revenue double, profit_a_visit double, placement_price double, "
        "coverage double, gini_shown double, gini_bought double, novelty double, "
        "small_providers double, similarity double, list_similarity double, group_gap double",
        ("world",),
    ),
    TableSpec(
        "gold.needs",
        "source string, source_version string, user_key string, time timestamp, step int, need string, "
        "filtered double, filtered_lower double, filtered_upper double, smoothed double, "
        "likely boolean, bucket int",
        ("source", "bucket"),
        people=_USER,
    ),
    TableSpec(
        "gold.recommendations",
        "user_key string, rank int, item_key string, score double, reason string, "
        "relevance double, effect double, effect_lower double, effect_upper double, "
        "propensity double, bucket int",
        ("bucket",),
        people=_USER,
    ),
    TableSpec(
        "ops.ingested_files",
        "stream string, path string, size bigint, modified timestamp, checksum string, "
        "batch_id string, rows bigint, sample_share double, table_id string, "
        "table_version bigint",
    ),
)


def schema_of(ddl: str) -> StructType:
    """Columns written as Spark DDL, as a schema (needs a running session)."""
    from pyspark.sql.types import StructType

    schema = StructType.fromDDL(ddl)
    assert isinstance(schema, StructType)
    return schema


TABLES = {spec.name: spec for spec in _SPECS}

_PANEL = re.compile(r"gold\.panel_[a-z0-9_]+")


def is_panel(name: str) -> bool:
    """Whether a name is that of a panel that a specification makes (``build_panel``)."""
    return _PANEL.fullmatch(name) is not None


def is_table(name: str) -> bool:
    """Whether a lake may have a table of that name."""
    return name in TABLES or is_panel(name)


def panel_table(name: str) -> TableSpec:
    """The table of such a panel: most of its columns are the specification's."""
    columns = "unit_id string, bucket int"
    return TableSpec(name, columns, ("bucket",), is_open=True, people=_USER)


def table_spec(name: str) -> TableSpec:
    """The spec of a table.

    Raises
    ------
    TableError
        If no table has that name.
    """
    if is_panel(name):
        return panel_table(name)
    try:
        return TABLES[name]
    except KeyError:
        raise TableError(
            f"The lake has no table {name!r}; it has {', '.join(sorted(TABLES))}."
        ) from None
