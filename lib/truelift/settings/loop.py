"""A small closed loop in the simulated shop, for the report: the section ``loop``."""

from __future__ import annotations

from dataclasses import dataclass

from truelift.settings.checks import needs


@dataclass(frozen=True)
class LoopStepOptions:
    """Whether and how the step ``play_loop`` plays strategies against each other.

    ``world`` is one of ``conf/worlds``, or a YAML file; ``strategies`` are those of ``run_loop``;
    ``worlds`` counts the simulated shops, the first of which has the seed ``first_seed``. An interval
    takes at least two of them.
    """

    enabled: bool = False
    world: str = "shop"
    users: int = 2_000
    rounds: int = 5
    worlds: int = 3
    first_seed: int = 1
    explore: float = 0.1
    strategies: tuple[str, ...] = (
        "nothing", "random", "popularity", "click_greedy", "effect", "oracle",
    )  # fmt: skip

    def __post_init__(self) -> None:
        need = needs("loop", self)
        need("users", self.users >= 1, "at least 1")
        need("rounds", self.rounds >= 2, "at least 2")
        need("worlds", self.worlds >= 1, "at least 1")
        need("strategies", len(self.strategies) >= 1, "at least one")
        need("explore", 0 < self.explore <= 1, "above 0 and at most 1")
