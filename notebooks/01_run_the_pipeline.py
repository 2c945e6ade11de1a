# Databricks notebook source
# MAGIC %md
# MAGIC # Run the pipeline
# MAGIC
# MAGIC From raw behaviour logs to sessions, a sequence model, treatment effects and a report. The
# MAGIC cells call the same functions as the jobs (`truelift run_pipeline`, `spark-submit
# MAGIC jobs/run_pipeline.py`), so a notebook and a cluster job give the same tables.
# MAGIC
# MAGIC **On Databricks**: attach a cluster (an ML runtime up to 15.4 LTS ML for the
# MAGIC step `train_sequence`: later ones bring no Horovod, see the README), install the wheel (`make wheel`, then
# MAGIC `%pip install` the file in `dist/`), and set the widgets above. **On a laptop**: run it with
# MAGIC `python notebooks/01_run_the_pipeline.py`; the environment variables `TRUELIFT_ENV`,
# MAGIC `TRUELIFT_DATASET`, `TRUELIFT_LAKE` and `TRUELIFT_SET` stand in for the widgets.

# COMMAND ----------

# MAGIC %md
# MAGIC ## Settings
# MAGIC
# MAGIC YAML layers (base, environment, data set) and overrides become one frozen, validated object. A
# MAGIC key that does not exist is an error that names the nearest one. A small sample of users is
# MAGIC a good first run: it has a lake of its own and never writes over the full one.

# COMMAND ----------

# ruff: noqa: E402  (a cell imports what it uses)
import os

from truelift.config import load_settings

DEFAULTS = {"env": "local", "dataset": "complete_journey", "lake": "", "set": "sample=0.05"}


def parameter(name: str) -> str:
    """A widget's value on Databricks, an environment variable elsewhere."""
    if "dbutils" in globals():
        dbutils.widgets.text(name, DEFAULTS[name])  # noqa: F821
        return dbutils.widgets.get(name)  # noqa: F821
    return os.environ.get(f"TRUELIFT_{name.upper()}", DEFAULTS[name])


show = globals().get("display", print)  # Databricks has display(); plain Python prints

settings = load_settings(
    env=parameter("env"),
    dataset=parameter("dataset"),
    overrides=parameter("set").split(),
    lake=parameter("lake") or None,
)
print(settings.dataset, "·", f"{settings.sample:.0%} of users", "·", settings.lake)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The lake
# MAGIC
# MAGIC All tables lie under one URI. A session that exists, as in a notebook, is used as it is;
# MAGIC otherwise an embedded one starts with the first call that needs Spark.

# COMMAND ----------

from truelift.lake import Lake

lake = Lake.open(settings, spark=globals().get("spark"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Run
# MAGIC
# MAGIC Each step prints rows in, rows out and its time. A step whose inputs, settings and code did
# MAGIC not change is skipped, so this cell may be run again at any time, also after a failure.

# COMMAND ----------

from truelift.console import closing_table, step_line
from truelift.pipeline import run_pipeline

outcomes = run_pipeline(settings, lake, announce=lambda outcome: print(step_line(outcome)))
print(closing_table(outcomes, settings))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Where did the rows go?
# MAGIC
# MAGIC Every step leaves a record with its results beside the tables. Cleaning accounts for every row:
# MAGIC bronze = silver + quarantine + duplicates. Rejected rows are kept, with their reasons.

# COMMAND ----------

from truelift.logs.results import CleanResult, IngestResult
from truelift.report.plots import rows_funnel
from truelift.steps import StepStore

records = StepStore(lake.root)


def result_of(step: str, kind: type):
    """The result object that a step saved, or None if the step was skipped for this data."""
    record = records.read(step)
    return record.result(kind) if record else None


ingested, cleaned = result_of("ingest", IngestResult), result_of("clean", CleanResult)
print(ingested, cleaned, sep="\n")
show(rows_funnel(ingested, cleaned))

# COMMAND ----------

from pyspark.sql import functions as F

quarantine = lake.read("silver.quarantine")
reasons = quarantine.select(F.explode("reasons").alias("reason"))
reasons.groupBy("reason").count().orderBy("reason").show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## Sessions
# MAGIC
# MAGIC A session ends when the gap to the next event is greater than the timeout. Where the source
# MAGIC names its own sessions (here: shopping baskets), the agreement says how well ours match them.

# COMMAND ----------

from truelift.logs.results import SessionsResult
from truelift.report.plots import sessions_over_time

sessions = result_of("sessionize", SessionsResult)
print(sessions)
show(sessions_over_time(sessions))
columns = ("session_id", "user_key", "start", "events", "items", "value")
lake.read("silver.sessions").orderBy("start", "session_id").select(*columns).show(5)

# COMMAND ----------

# MAGIC %md
# MAGIC ## The sequence model
# MAGIC
# MAGIC Horovod processes trained it from a scan plan: no rows passed through the driver. The test
# MAGIC window lies after everything the model saw; all items are ranked, none sampled, and simple
# MAGIC baselines stand beside it.

# COMMAND ----------

from truelift.report.plots import learning_curve, ranking_bars
from truelift.training.results import TrainingResult

training = result_of("train_sequence", TrainingResult)
print(training.to_pandas().round(4).to_string(index=False))
show(learning_curve(training))
show(ranking_bars(training))

# COMMAND ----------

lake.read("gold.recommendations").orderBy("user_key", "rank").show(10, truncate=False)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Next
# MAGIC
# MAGIC The report is one HTML file (its path is in the closing table above, and MLflow keeps a copy).
# MAGIC `02_read_the_effects` goes through the treatment effects and how far to trust them.
