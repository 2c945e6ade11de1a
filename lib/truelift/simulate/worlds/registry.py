"""The worlds there are, ours and those of other packages (:mod:`truelift.registry`)."""

from __future__ import annotations

from truelift.registry import Registry
from truelift.simulate.worlds.world import WorldKind

#: Worlds whose truth is known, for tests, benchmarks and the coverage of intervals.
WORLDS: Registry[WorldKind] = Registry(
    "truelift.worlds",
    {
        "confounded": "truelift.simulate.worlds.confounded:CONFOUNDED",
        "shared": "truelift.simulate.worlds.shared:SHARED",
        "arms": "truelift.simulate.worlds.arms:ARMS",
    },
)
