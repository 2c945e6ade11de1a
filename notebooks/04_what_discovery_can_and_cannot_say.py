# Databricks notebook source
# MAGIC %md
# MAGIC # What discovery can and cannot say
# MAGIC
# MAGIC Customers of some age are mailed, visit and buy; a need that is in no log lets them search and buy. What of this
# MAGIC can a table of rows tell, if nobody draws the graph? It needs neither a lake nor Spark.

# COMMAND ----------

# ruff: noqa: E402  (a cell imports what it uses)
import numpy as np
import pandas as pd

show = globals().get("display", print)  # Databricks has display(); plain Python prints

rng = np.random.default_rng(11)
customers = 1500
who = np.repeat(np.arange(customers), 2)
rows = len(who)
age = rng.normal(45, 12, customers)[who]
need = rng.normal(size=customers)[who]  # nobody records it
mailed = (age - 45) / 12 + rng.normal(size=rows)
visits = 0.8 * mailed + rng.normal(size=rows)
searches = need + rng.normal(size=rows)
sales = 0.7 * visits + need + rng.normal(size=rows)
orders = pd.DataFrame(
    {"customer": who, "age": age, "mailed": mailed, "visits": visits, "searches": searches, "sales": sales}
)  # fmt: skip
show(orders.head())

# COMMAND ----------

# MAGIC %md
# MAGIC ## A class of graphs, not one graph
# MAGIC
# MAGIC Age, mails and visits are a chain. The data see that all of it goes through the mails; which end comes first, no
# MAGIC number of rows can tell: the edges stay open (`--`). Where two causes meet in sales, arrows follow.

# COMMAND ----------

import truelift as tl

learned = tl.discover(orders, cluster="customer", share=1.0, graphs=10)
print(learned)
show(tl.draw_graph(learned))
assert "age -- mailed" in learned.lines

# COMMAND ----------

# MAGIC %md
# MAGIC ## What you know turns what is open
# MAGIC
# MAGIC Nothing moves one's age, and what is bought comes last. Tiers say so; a single arrow that is known does too.

# COMMAND ----------

tiers = "age < mailed < visits, searches < sales"
ordered = tl.discover(orders, cluster="customer", tiers=tiers, share=1.0, graphs=10)
print(ordered)
assert {"age -> mailed", "mailed -> visits", "visits -> sales"} <= set(ordered.lines)
known = tl.discover(orders, cluster="customer", required="age -> mailed", share=1.0, graphs=0)
print(known.lines)
assert "mailed -> visits" in known.lines

# COMMAND ----------

# MAGIC %md
# MAGIC ## What is in no log
# MAGIC
# MAGIC The search takes for granted that no hidden cause moves two columns, and so draws an arrow from searches to sales that is not
# MAGIC there: the need moves both. With `method="fci"` hidden causes are allowed; the end at searches is then left open (`o->`), and
# MAGIC no graph of the class says that to search more is to buy more.

# COMMAND ----------

careful = tl.discover(orders, cluster="customer", tiers=tiers, method="fci", share=1.0, graphs=0)
print(careful)
assert "searches -> sales" in ordered.lines  # wrong, and sure of itself
assert "searches o-> sales" in careful.lines

# COMMAND ----------

# MAGIC %md
# MAGIC ## From the class to a graph
# MAGIC
# MAGIC You say what stays open: here, that something unrecorded moves searches and sales. The graph is yours then, and can be
# MAGIC asked and doubted like any other. Learn on a share of the customers (`share=0.5` by default) and test on others.

# COMMAND ----------

graph = tl.causal_graph("age -> mailed -> visits -> sales; searches <-> sales")
print(tl.identify(graph, "visits -> sales"))
tested = tl.falsify(graph, orders, cluster="customer", effect="visits -> sales", shuffled=50)
print(tested)
assert not tested.violated
