"""A shop whose causes are known: who is mailed, what they look at and buy."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

GRAPH = """
nodes:
  age: {tier: profile}
  region: {tier: profile}
  interest: {latent: true, tier: profile}
  visits_before: {column: x_visits, tier: profile}
  campaign: {column: mailed, tier: exposure}
  visits: {tier: behaviour}
  sales: {tier: outcome}
arrows:
  - age, region -> campaign
  - interest -> visits_before -> campaign
  - visits_before, age -> sales
  - campaign -> visits -> sales
  - campaign -> sales
"""
#: What a mail adds to sales: itself, and 1.5 a visit that it brings.
EFFECT = 2 + 1.5 * (np.exp(0.6) - np.exp(0.2))


def shop_rows(customers: int = 1500, beside: float = 0.0, seed: int = 1) -> pa.Table:
    """Three rows a customer; ``beside`` lets the region move sales by another way than the graph's."""
    rng = np.random.default_rng(seed)
    each = np.repeat(np.arange(customers), 3)
    rows = len(each)
    age = rng.integers(18, 80, customers)[each]
    region = rng.choice(["north", "south", "west"], customers)[each]
    x_visits = rng.poisson(np.exp(0.5 + 0.5 * rng.normal(size=customers)[each]))
    logit = -1 + 0.02 * (age - 50) + 0.3 * x_visits - 0.5 * (region == "west")
    mailed = (rng.random(rows) < 1 / (1 + np.exp(-logit))).astype(int)
    visits = rng.poisson(np.exp(0.2 + 0.4 * mailed))
    sales = (
        10 + 2 * mailed + 1.5 * visits + 0.1 * age + 1.2 * x_visits + beside * (region == "west")
    )
    sales = sales + rng.normal(size=customers)[each] + 3 * rng.normal(size=rows)
    return pa.table(
        {"customer": each, "age": age, "region": region, "x_visits": x_visits, "mailed": mailed,
         "visits": visits, "sales": sales}
    )  # fmt: skip
