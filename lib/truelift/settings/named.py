"""What a specification of effects can name: rows of registries, imported when they are named.

Another package adds a row by an entry point of the same group (:mod:`truelift.registry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.registry import Registry

if TYPE_CHECKING:
    from truelift.effects.learners.learner import Learner

_LEARNERS = "truelift.effects.learners"

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
