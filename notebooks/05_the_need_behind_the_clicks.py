# Databricks notebook source
# MAGIC %md
# MAGIC # The need behind the clicks
# MAGIC
# MAGIC Nobody logs what people need. In this simulated shop it is known, so one can see how far behaviour tells it: how many
# MAGIC needs there are, what each person needs now, and what a mail changes. It needs neither a lake nor Spark.

# COMMAND ----------

import numpy as np

import truelift as tl
from truelift.simulate.needs import NeedWorld

show = globals().get("display", print)  # Databricks has display(); plain Python prints

world = NeedWorld()
weeks, truth = world.draw(users=400, steps=8, seed=11)
show(weeks.slice(0, 5).to_pandas())

# COMMAND ----------

# MAGIC %md
# MAGIC ## How many needs, and what shows them
# MAGIC
# MAGIC Mails went out by chance and by what people had bought before, never by the need itself: that is what one has to believe.
# MAGIC The number of needs is judged by people that were not learned from.

# COMMAND ----------

found = tl.fit_needs(
    weeks, user="customer", time="week", inputs="mailed", behaviour=["section", "pages", "minutes"],
    outcomes="bought", needs=[1, 2, 3, 4], starts=2, draws=5,
)  # fmt: skip
print(found)
assert len(found.result.needs) == 3

# COMMAND ----------

# MAGIC %md
# MAGIC ## What each person needs, and how sure that is
# MAGIC
# MAGIC `filtered` goes by what was seen up to a week, `smoothed` by all weeks. An action may go by the first alone.

# COMMAND ----------

needs = found.posteriors()
show(needs[needs.user_key == "0"].head(9))
sure = needs.groupby(["user_key", "step"])[["filtered", "smoothed"]].max().mean()
print(
    f"chance of the likeliest need: {sure.filtered:.2f} at the time, {sure.smoothed:.2f} afterwards"
)

# COMMAND ----------

# MAGIC %md
# MAGIC ## What a mail changes
# MAGIC
# MAGIC Nearly nothing in purchases, on average, and much in what people need: it moves those who need bread and those who need wine towards
# MAGIC fruit, and the two cancel out. Within each need the effect is plain.

# COMMAND ----------

effects = found.to_pandas()
mail = effects[(effects.intervention == "do(mailed=1)") & (effects.step == 1)]
show(mail[mail.of == "bought=1"][["population", "estimate", "ci_lower", "ci_upper"]])
share = np.bincount(truth.ravel()) / truth.size
_, on_purchases = world.effect(share)
own = mail[(mail.of == "bought=1") & (mail.population == "all steps")].iloc[0]
print(
    f"truth {on_purchases:+.3f}; estimated {own.estimate:+.3f}, standard error {own.standard_error:.3f}"
)
assert abs(own.estimate - on_purchases) < 3.3 * own.standard_error

# COMMAND ----------

# MAGIC %md
# MAGIC ## When the data do not say
# MAGIC
# MAGIC Two yes-or-no columns of one week cannot tell two kinds of people apart, however many there are. Then nothing is said.

# COMMAND ----------

one_week = weeks.filter(weeks["week"].to_numpy() == 0)
try:
    tl.fit_needs(
        one_week, user="customer", time="week", model="classes", behaviour="mailed", outcomes="bought", needs=2
    )  # fmt: skip
except tl.TrueliftError as refusal:
    print(refusal)
