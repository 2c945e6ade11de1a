"""Effects on a table at hand, in one call: the numbers of the job, without a lake or a YAML file."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from truelift.effects.panel.any_table import (
    address_panel,
    memory_panel,
    numbered_panel,
    panel_plan,
    rows_plan,
)
from truelift.effects.panel.arms import label_of
from truelift.effects.panel.source import PanelSource
from truelift.effects.results import EffectsResult
from truelift.effects.whole import estimate_all
from truelift.errors import ConfigError
from truelift.extras import naming_extras
from truelift.lake.address import TableAddress
from truelift.lake.foreign import open_foreign
from truelift.lake.tables import TABLES, is_panel
from truelift.older_names import hint_of, in_sections, tell
from truelift.progress import Tell
from truelift.public.tables import address_of, is_spark_frame, opened
from truelift.settings import EffectOptions, Settings
from truelift.typed import from_plain, to_plain

if TYPE_CHECKING:
    from truelift.lake import Lake

Names = str | Iterable[str]

# Options that hold labels of arms: a 1 or True that a user writes is the text of that label.
_LABELS = frozenset({"arms", "control", "policies", "propensity"})


def estimate_effects(
    table: Any,
    *,
    treatment: str,
    outcomes: Names,
    covariates: Names | None = None,
    cluster: str | None = None,
    lake: Lake | str | None = None,
    buckets: int | None = None,
    progress: Tell = lambda text: None,
    **options: Any,
) -> EffectsResult:
    """What a treatment changed: cross-fitted doubly robust effects with clustered errors.

    The numbers are those that ``truelift estimate_effects`` gives for the same table and options:
    the same buckets by a hash of the cluster, the same folds, the same sums.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        A pandas, Polars or Arrow table (anything with ``__arrow_c_stream__``), or where a table
        lies: CSV, Parquet (a file or a folder), or Delta (``URI@version``; with the extra
        ``[spark]``). These are read into this process. A Spark DataFrame, a table of the lake
        (``gold.panel``) and any table with ``lake`` are estimated on by Spark.
    treatment : str
        The column of the arms: 0 and 1, truth values, or names of several arms.
    outcomes : str or list of str
        Numeric columns.
    covariates : str or list of str, optional
        What to adjust for. Texts are coded as categories. Without it all columns that begin with
        ``x_``; an empty list means none.
    cluster : str, optional
        Rows that share it may be dependent (a user with several orders). Without it ``unit``, or
        else every row stands for itself.
    lake : Lake or str, optional
        A lake, or its URI: Spark estimates, and keeps the table there in buckets.
    buckets : int, optional
        Of clusters; folds are made of them. By default 40, as the jobs have it, or the lake's.
    progress : callable, optional
        Told what is being done, a line a pass.
    **options
        Any key of a specification (docs/effects.md): ``unit``, ``arms``, ``control``, ``groups``,
        ``estimands``, ``filter``, ``weight``, ``measured_in``, ..., and sections as mappings:
        ``nuisances={"learner": "boosting", "propensity": ...}`` (known chances), ``features``,
        ``support``, ``inference``, ``heterogeneity=True``, ``credibility=True``, ``experiment``.

    Returns
    -------
    EffectsResult
        Prints sentences, draws itself in a notebook, and has ``to_pandas()``.

    Raises
    ------
    TrueliftError
        For a table, column or option that cannot be used: what was found and what to do.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.estimate_effects(orders, treatment="mailed", outcomes="sales",
    ...                     covariates=["age", "region"], cluster="customer")  # doctest: +SKIP
    """
    given = {
        "treatment": treatment, "outcomes": outcomes, "covariates": covariates, "cluster": cluster,
    } | options  # fmt: skip
    with naming_extras():
        if lake is not None or is_spark_frame(table) or _is_of_a_lake(table):
            return _on_spark(table, given, lake, buckets, progress)
        address = address_of(table)
        held = opened(table)
        chosen = options_of(given, held.schema)
        count = _buckets(buckets, chosen)
        if not chosen.cluster:
            return _estimated(numbered_panel(held, chosen, count), chosen, progress)
        if address is not None:
            return _estimated(address_panel(address, chosen, count), chosen, progress)
        return _estimated(memory_panel(held, chosen, count), chosen, progress)


def options_of(given: Mapping[str, Any], schema: pa.Schema) -> EffectOptions:
    """Keyword arguments as the options of a specification.

    A lone name stands for a list of one; labels may be numbers or truth values; covariates that
    are texts become categories; ``cluster`` is the unit where none is named, else empty.

    Raises
    ------
    ConfigError
        For an unknown option (naming the nearest) or an impossible value.
    """
    plain = {
        name: _plain(value, hint_of(EffectOptions, [name]), name in _LABELS)
        for name, value in given.items()
        if value is not None
    }
    plain, renamed = in_sections(EffectOptions, plain)
    tell(renamed)
    plain.setdefault("cluster", plain.get("unit", ""))
    if "covariates" in plain:
        features = plain.get("features", {})
        features = to_plain(features) if dataclasses.is_dataclass(features) else features
        coded = dict(features.get("categorical", {}))
        coded |= {n: "one_hot" for n in plain["covariates"] if n not in coded and _text(schema, n)}
        kept = [n for n in plain["covariates"] if n not in coded]
        plain |= {"covariates": kept, "features": {**features, "categorical": coded}}
    return from_plain(EffectOptions, plain)


def _plain(value: Any, hint: Any, labels: bool) -> Any:
    """What YAML would have given for a value."""
    if isinstance(value, str):
        return [value] if "tuple" in str(hint) else value
    if isinstance(value, Mapping):
        return {label_of(k): _plain(v, None, labels) for k, v in value.items()}
    if dataclasses.is_dataclass(value):
        return value
    if hasattr(value, "tolist"):  # of NumPy and pandas
        value = value.tolist()
    if isinstance(value, Iterable):
        return [_plain(v, None, labels) for v in value]
    return label_of(value) if labels else value


def _text(schema: pa.Schema, name: str) -> bool:
    if schema.names.count(name) != 1:
        return False
    kind = schema.field(name).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    texts = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
    return any(is_kind(kind) for is_kind in texts)


def _buckets(asked: int | None, options: EffectOptions) -> int:
    buckets = Settings.buckets if asked is None else asked
    if buckets < options.nuisances.folds:
        raise ConfigError(
            f"buckets: found {buckets}, expected at least folds ({options.nuisances.folds}), for folds are "
            "made of buckets."
        )
    return buckets


def _estimated(panel: PanelSource, options: EffectOptions, progress: Tell) -> EffectsResult:
    if not options.cluster:
        options = dataclasses.replace(options, cluster=panel.schema.names[-1])
    return estimate_all(panel, options, progress).result


def _is_of_a_lake(table: Any) -> bool:
    if not isinstance(table, str):
        return False
    name = TableAddress.parse(table).uri
    return name in TABLES or is_panel(name)


def _on_spark(
    table: Any, given: Mapping[str, Any], lake: Lake | str | None, buckets: int | None,
    progress: Tell,
) -> EffectsResult:  # fmt: skip
    from truelift.effects.panel.lake_panel import LakePanel

    held = _lake(lake, table)
    count = held.buckets if buckets is None else buckets
    if is_spark_frame(table):
        from pyspark.sql.pandas.types import to_arrow_schema

        options = _with_cluster(options_of(given, to_arrow_schema(table.schema)))
        _buckets(count, options)
        with rows_plan(held, table, options, count) as plan:
            return _estimated(LakePanel(held, plan), options, progress)
    address = address_of(table)
    if address is None:
        raise ConfigError(
            f"lake: found a {type(table).__name__} in memory, which needs none. Expected an address "
            "or a Spark DataFrame; leave lake out."
        )
    if _is_of_a_lake(table):
        schema = held.plan(address.uri, version=address.version).schema
    else:
        schema = open_foreign(address).schema
    options = _with_cluster(options_of(given, schema))
    _buckets(count, options)
    plan = panel_plan(held, address, options, count)
    return _estimated(LakePanel(held, plan), options, progress)


def _with_cluster(options: EffectOptions) -> EffectOptions:
    if not options.cluster:
        raise ConfigError(
            "cluster: found none, expected the column of what rows may share (a user), or unit "
            "where every row stands for itself: Spark cuts the table by it."
        )
    return options


def _lake(lake: Lake | str | None, table: Any) -> Lake:
    from truelift.config import load_settings
    from truelift.lake import Lake

    if isinstance(lake, Lake):
        return lake
    spark = table.sparkSession if is_spark_frame(table) else None
    return Lake.open(load_settings(lake=lake), spark)
