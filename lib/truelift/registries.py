"""What a specification of effects can name: rows of registries, imported when they are named.

Another package adds a row by an entry point of the same group (:mod:`truelift.registry`). Places are
written out in full: what code a step runs is read from such texts (:mod:`truelift.module_imports`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.registry import Registry

if TYPE_CHECKING:
    from truelift.effects.look import Look
    from truelift.effects.nuisances.learners.learner import Learner
    from truelift.effects.scores.kinds.kind import EstimandKind


#: What is estimated (``effects.estimands``), in the order in which estimates are made.
ESTIMANDS: Registry[EstimandKind] = Registry(
    "truelift.estimands",
    {
        "APO": "truelift.effects.scores.kinds.mean:APO",
        "ATE": "truelift.effects.scores.kinds.ate:ATE",
        "ATT": "truelift.effects.scores.kinds.att:ATT",
        "ATO": "truelift.effects.scores.kinds.ato:ATO",
        "GATE": "truelift.effects.scores.kinds.gate:GATE",
        "shrunken effect": "truelift.effects.scores.kinds.gate:SHRUNKEN",
        "policy value": "truelift.effects.scores.kinds.policy:POLICY_VALUE",
        "naive difference": "truelift.effects.scores.kinds.naive:NAIVE",
        "quantile effect": "truelift.effects.scores.kinds.distributional:QUANTILE",
        "CVaR effect": "truelift.effects.scores.kinds.distributional:CVAR",
        "winsorised ATE": "truelift.effects.scores.kinds.distributional:WINSORISED",
        "Huber effect": "truelift.effects.scores.kinds.distributional:HUBER",
        "NDE": "truelift.effects.scores.kinds.through:NDE",
        "NIE": "truelift.effects.scores.kinds.through:NIE",
        "total NDE": "truelift.effects.scores.kinds.through:TOTAL_NDE",
        "pure NIE": "truelift.effects.scores.kinds.through:PURE_NIE",
        "front-door ATE": "truelift.effects.scores.kinds.through:FRONT_DOOR",
        "lower bound": "truelift.effects.scores.kinds.naive:LOWER_BOUND",
        "upper bound": "truelift.effects.scores.kinds.naive:UPPER_BOUND",
        "LATE": "truelift.effects.scores.kinds.instrumented:LATE",
        "TSLS": "truelift.effects.scores.kinds.instrumented:TSLS",
        "LIML": "truelift.effects.scores.kinds.instrumented:LIML",
        "JIVE": "truelift.effects.scores.kinds.instrumented:JIVE",
        "overall ATT": "truelift.effects.scores.kinds.over_time:OVERALL",
        "event study": "truelift.effects.scores.kinds.over_time:EVENTS",
        "cohort ATT": "truelift.effects.scores.kinds.over_time:COHORTS",
        "period ATT": "truelift.effects.scores.kinds.over_time:PERIODS",
        "ATT(g,t)": "truelift.effects.scores.kinds.over_time:CELLS",
        "synthetic DiD": "truelift.effects.scores.kinds.over_time:SYNTHETIC_DID",
        "synthetic control": "truelift.effects.scores.kinds.over_time:SYNTHETIC_CONTROL",
    },
)

#: Ways to fit the nuisances (``effects.nuisances.learner``).
LEARNERS: Registry[Learner] = Registry(
    "truelift.learners",
    {
        "linear": "truelift.effects.nuisances.learners.linear:LINEAR",
        "boosting": "truelift.effects.nuisances.learners.boosting:BOOSTING",
        "neural": "truelift.effects.nuisances.learners.neural:NEURAL",
        "stack": "truelift.effects.nuisances.learners.stacked:STACK",
    },
)

#: What is looked for beside the estimates, in the order in which it is done (``effects.looks``).
LOOKS: Registry[Look] = Registry(
    "truelift.looks",
    {
        "lifts": "truelift.effects.experiment.lift:LIFTS",
        "tests": "truelift.effects.experiment.tests:TESTS",
        "experiment": "truelift.effects.experiment.look:EXPERIMENT",
        "quantiles": "truelift.effects.distribution.look:QUANTILES",
        "robust": "truelift.effects.distribution.robust:ROBUST",
        "mediators": "truelift.effects.designs.through.mediators:MEDIATORS",
        "shrink": "truelift.effects.heterogeneity.shrunken:SHRINK",
        "heterogeneity": "truelift.effects.heterogeneity.look:HETEROGENEITY",
        "credibility": "truelift.effects.credibility.look:CREDIBILITY",
        "bounds": "truelift.effects.credibility.bounds:BOUNDS",
        "graph": "truelift.graph.effect_look:GRAPH",
    },
)
