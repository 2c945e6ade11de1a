"""The simulated shop's bronze and silver tables, in a layout of one's choice."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

from truelift.lake import Lake, bucket_column
from truelift.settings import Settings
from truelift.simulate.logs import SimulatedLogs

_SILVER = (
    *("event_id", "user_key", "event_time", "event_type", "item_id", "quantity", "value"),
    "CAST(NULL AS STRING) AS source_session",
    "CAST(map() AS MAP<STRING,STRING>) AS context",
    "CAST(array() AS ARRAY<STRING>) AS labels",
    *("source_file", "source_row"),
    "'batch' AS batch_id",
    "bucket",
    "'all' AS period",
)


def fill_lake(
    lake: Lake, logs: SimulatedLogs, settings: Settings, files: int = 1, streams: bool = True
) -> None:
    """Write what ``build_features`` reads; ``files`` says how many pieces a bucket comes in."""
    from pyspark.sql import functions as F

    spark = lake.spark
    events = spark.createDataFrame(clean_events(logs))
    events = events.withColumn("bucket", bucket_column("user_key", settings.buckets))
    scattered = events.repartition(files, F.rand(seed=files))
    lake.replace("silver.events", scattered.selectExpr(*_SILVER), f"layout-{files}")
    sessions = spark.createDataFrame(logs.sessions).selectExpr(
        "md5(concat(visitor, start)) AS session_id", "visitor AS user_key", "start", "end",
        "CAST(0 AS DOUBLE) AS duration_seconds", "CAST(events AS INT) AS events", "1 AS items",
        "CAST(NULL AS STRING) AS entry_item", "CAST(NULL AS STRING) AS exit_item",
        "0D AS quantity", "0D AS value", "CAST(map() AS MAP<STRING,INT>) AS event_types",
        "0 AS conversions", "false AS converted", "false AS is_open", "false AS is_bot",
        "0 AS source_sessions", "CAST(array() AS ARRAY<STRING>) AS labels", "'all' AS period",
    )  # fmt: skip
    sessions = sessions.withColumn("bucket", bucket_column("user_key", settings.buckets))
    lake.replace("silver.sessions", sessions.repartition(files, F.rand(seed=files)), "sessions")
    for name in ("items", "users", "exposures", "responses") if streams else ():
        fill_stream(lake, name, getattr(logs, name), files)


def fill_stream(lake: Lake, name: str, table: pa.Table, files: int = 1) -> None:
    """Append a raw stream to its bronze table."""
    from pyspark.sql import functions as F

    rows = table.append_column("source_file", pa.array([f"{name}.csv"] * table.num_rows))
    rows = rows.append_column("source_row", pa.array(range(table.num_rows), pa.int64()))
    landed = pa.array([1_700_000_000_000_000] * table.num_rows, pa.timestamp("us", tz="UTC"))
    rows = rows.append_column("file_time", landed)
    rows = rows.append_column("batch_id", pa.array(["batch"] * table.num_rows))
    frame = lake.spark.createDataFrame(rows).repartition(files, F.rand(seed=files))
    lake.append(f"bronze.{name}", frame, "batch")


def clean_events(logs: SimulatedLogs) -> pa.Table:
    """The rows that belong in ``silver.events``, typed."""
    rows = logs.events.append_column("row", pa.array(range(logs.events.num_rows), pa.int64()))
    rows = rows.filter(pc.starts_with(rows["id"], "e"))
    first = rows.group_by("id").aggregate([("row", "min")])["row_min"]
    rows = logs.events.take(first)
    instants = pc.strptime(
        pc.utf8_slice_codeunits(rows["at"], 0, 19), format="%Y-%m-%dT%H:%M:%S", unit="us"
    )
    micros = pc.cast(pc.utf8_slice_codeunits(rows["at"], 20, 26), pa.int64())
    exact = pc.add(pc.cast(instants, pa.int64()), micros)
    return pa.table(
        {
            "event_id": rows["id"],
            "user_key": rows["visitor"],
            "event_time": exact.cast(pa.timestamp("us", tz="UTC")),
            "event_type": rows["action"],
            "item_id": rows["product"],
            "quantity": rows["qty"].cast(pa.float64()),
            "value": rows["amount"].cast(pa.float64()),
            "source_file": pa.array(["events.csv"] * rows.num_rows),
            "source_row": first,
        }
    )
