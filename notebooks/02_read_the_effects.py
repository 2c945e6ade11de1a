# Databricks notebook source
# MAGIC %md
# MAGIC # Read the effects
# MAGIC
# MAGIC Did the campaigns change what people spend and how often they come, and how sure are we? Run
# MAGIC `01_run_the_pipeline` first, with the same parameters.

# COMMAND ----------

# ruff: noqa: E402  (a cell imports what it uses)
import os

from truelift.config import load_settings
from truelift.lake import Lake

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
lake = Lake.open(settings, spark=globals().get("spark"))

# COMMAND ----------

# MAGIC %md
# MAGIC ## The panel
# MAGIC
# MAGIC One row is a user and a campaign. `treated` says whether the user received it; `y_` columns are
# MAGIC outcomes inside the campaign's window; `x_` columns are behaviour strictly before it. A user's
# MAGIC rows are alike, so the user is the cluster of the standard errors.

# COMMAND ----------

from pyspark.sql import functions as F

panel = lake.read("gold.panel")
outcomes = [c for c in panel.columns if c.startswith("y_")]
covariates = [c for c in panel.columns if c.startswith("x_")]
print(f"{len(covariates)} covariates; version {lake.version('gold.panel')} of gold.panel")
panel.groupBy("treated").agg(
    F.count("*").alias("units"),
    F.countDistinct("user_key").alias("users"),
    *(F.avg(y).alias(f"mean {y}") for y in outcomes),
).orderBy("treated").show()

# COMMAND ----------

# MAGIC %md
# MAGIC ## The estimates
# MAGIC
# MAGIC - **naive difference**: the two means above, subtracted. It mixes the campaign's effect with the
# MAGIC   fact that campaigns were sent to people who buy more anyway.
# MAGIC - **ATT**: what the campaign did for those who received it.
# MAGIC - **ATE**: what it would do if everyone received it, against no one.
# MAGIC
# MAGIC ATE and ATT are cross-fitted and doubly robust: right if the propensity model or the outcome
# MAGIC model is right, and if nothing unmeasured drove both the targeting and the outcome.

# COMMAND ----------

from truelift.effects.results import EffectsResult
from truelift.effects.telling.names import in_words
from truelift.report.plots import effects_forest
from truelift.steps import StepStore

effects = in_words(StepStore(lake.root).read("estimate_effects").result(EffectsResult))
columns = ["outcome", "estimand", "estimate", "ci_lower", "ci_upper", "p_value"]
print(effects.to_pandas()[columns].round(4).to_string(index=False))
show(effects_forest(effects))

# COMMAND ----------

# MAGIC %md
# MAGIC ## In words
# MAGIC
# MAGIC The same sentences as in the report; they follow from the numbers alone. The verdict comes
# MAGIC first: where the groups cannot be compared, the estimates above are not to be relied on.

# COMMAND ----------

from truelift.report.cautions import warnings
from truelift.report.reading import headline, readings

print(effects.verdict, headline(effects), sep="\n")
for reading in readings(effects):
    print(f"\n{reading.outcome}", *reading.sentences, sep="\n- ")
print("\nwarnings:", *(warnings(effects) or ["none"]), sep="\n- ")

# COMMAND ----------

# MAGIC %md
# MAGIC ## Can the two groups be compared?
# MAGIC
# MAGIC Overlap: where only one group has units, there is nobody to compare with. Balance: after
# MAGIC weighting by the inverse propensity, the groups should differ by less than 0.1 standard
# MAGIC deviations in every covariate.

# COMMAND ----------

from truelift.report.plots import love_plot, overlap_histogram

show(overlap_histogram(effects))
show(love_plot(effects))
balance = effects.overlap.to_pandas()
worst = balance.reindex(balance["smd_after"].abs().sort_values(ascending=False).index)
print(worst.head(5).round(3).to_string(index=False))

# COMMAND ----------

# MAGIC %md
# MAGIC ## Does the answer depend on how we ask?
# MAGIC
# MAGIC The same estimation as one call, with other options; nothing is written. An answer that moves
# MAGIC much with the clipping bound leans on a few units with extreme propensities.

# COMMAND ----------

from dataclasses import replace

from truelift.effects.job import estimate_effects_from

for clip in (0.005, 0.01, 0.05):
    result = estimate_effects_from(lake, "gold.panel", replace(settings.effects, clip=clip))
    print(f"\nclip {clip}: {result.overlap.clipped_share:.2%} of the units are clipped")
    for estimate in result.estimates:
        if estimate.estimand != "naive difference":
            print(" ", estimate)

# COMMAND ----------

# MAGIC %md
# MAGIC ## Scores
# MAGIC
# MAGIC `gold.scores` keeps each unit's doubly robust scores. Their mean is the ATE, and means over
# MAGIC subgroups chosen beforehand are subgroup effects, so no model has to be fitted again.

# COMMAND ----------

signed = F.when(F.col("arm") == "1", F.col("score")).otherwise(-F.col("score"))
of_panel = lake.read("gold.scores").filter("panel = 'gold.panel'")
scores = of_panel.join(panel.select("unit_id", "campaign"), "unit_id")
scores.groupBy("outcome").agg(
    # Two rows a unit, one an arm: twice the mean of the signed scores is that of the difference.
    (2 * F.avg(signed)).alias("ATE"),
    F.countDistinct("campaign").alias("campaigns"),
).orderBy("outcome").show()
