"""What a specification of effects can name: rows of registries, imported when they are named.

Another package adds a row by an entry point of the same group (:mod:`truelift.registry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.registry import Registry

if TYPE_CHECKING:
    from truelift.effects.learners.learner import Learner
    from truelift.effects.look import Look
    from truelift.effects.scoring.kinds.kind import EstimandKind

_KINDS = "truelift.effects.scoring.kinds"
_LEARNERS = "truelift.effects.learners"

#: What is estimated (``effects.estimands``), in the order in which estimates are made.
ESTIMANDS: Registry[EstimandKind] = Registry(
    "truelift.estimands",
    {
        "APO": f"{_KINDS}.mean:APO",
        "ATE": f"{_KINDS}.ate:ATE",
        "ATT": f"{_KINDS}.att:ATT",
        "ATO": f"{_KINDS}.ato:ATO",
        "GATE": f"{_KINDS}.gate:GATE",
        "policy value": f"{_KINDS}.policy:POLICY_VALUE",
        "naive difference": f"{_KINDS}.naive:NAIVE",
    },
)

#: Ways to fit the nuisances (``effects.learner``).
LEARNERS: Registry[Learner] = Registry(
    "truelift.learners",
    {
        "linear": f"{_LEARNERS}.linear:LINEAR",
        "boosting": f"{_LEARNERS}.boosting:BOOSTING",
        "neural": f"{_LEARNERS}.neural:NEURAL",
        "stack": f"{_LEARNERS}.stacked:STACK",
    },
)

#: What is looked for beside the estimates, in the order in which it is done (``effects.looks``).
LOOKS: Registry[Look] = Registry(
    "truelift.looks",
    {
        "lifts": "truelift.effects.experiment.lift:LIFTS",
        "tests": "truelift.effects.experiment.tests:TESTS",
        "experiment": "truelift.effects.experiment.look:EXPERIMENT",
        "heterogeneity": "truelift.effects.heterogeneity.look:HETEROGENEITY",
        "credibility": "truelift.effects.credibility.look:CREDIBILITY",
    },
)
