"""How many rows each block of the traffic has, and of what kind.

A block is drawn alone from ``(seed, block)``. Its number of rows, and how many of them are
faulty, follow from its number, so any cut into tasks gives the same rows.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from truelift.errors import ConfigError
from truelift.simulate.traffic.world import BLOCK_ROWS, LEAST_ROWS, TrafficWorld

BOT_ROWS = {
    "bot_declared": 20,
    "bot_rate": 180,
    "bot_breadth": 540,
    "bot_metronome": 60,
    "bot_round_the_clock": 100,
}
# The user that owns a share of everything is active all day, every day.
_TOP_USER_ROWS_A_DAY = 100


@dataclass(frozen=True)
class TrafficPlan:
    """The blocks of a simulation.

    Parameters
    ----------
    rows : int
        All rows of the logs, faulty ones included; at least 2,000 beside the top user's.
    world : TrafficWorld
    seed : int
        0 or more.
    """

    rows: int
    world: TrafficWorld = field(default_factory=TrafficWorld)
    seed: int = 7

    def __post_init__(self) -> None:
        if self.crowd_rows < LEAST_ROWS:
            beside = f", {self.top_user_rows} of them the top user's" if self.top_user_rows else ""
            raise ConfigError(
                f"rows: found {self.rows}{beside}, expected at least {LEAST_ROWS} of others (one "
                "bot of each kind and some people). For a handful of rows use "
                "truelift.simulate.simulate_logs."
            )
        if not 0 <= self.seed < 2**63:
            raise ConfigError(f"seed: found {self.seed}, expected 0 or more.")
        if self.world.top_user_share and not self.top_user_days:
            raise ConfigError(
                f"traffic.top_user_share: {self.top_user_rows} rows are too few for a user who "
                f"never sleeps, expected at least {_TOP_USER_ROWS_A_DAY}."
            )

    @property
    def top_user_rows(self) -> int:
        """Rows of the user that owns a share of everything."""
        return round(self.rows * self.world.top_user_share)

    @property
    def top_user_days(self) -> int:
        """Days on which that user is active: all, or as many as keep it from sleeping."""
        return min(self.world.days, self.top_user_rows // _TOP_USER_ROWS_A_DAY)

    @property
    def crowd_rows(self) -> int:
        """Rows of everybody else, their dirt included."""
        return self.rows - self.top_user_rows

    @cached_property
    def crowd_blocks(self) -> int:
        """Blocks of ordinary users."""
        return math.ceil(self.crowd_rows / BLOCK_ROWS)

    @cached_property
    def blocks(self) -> int:
        """All blocks; those of the top user come last."""
        return self.crowd_blocks + math.ceil(self.top_user_rows / BLOCK_ROWS)

    def first_row(self, block: int) -> int:
        """Rows of all blocks before this one."""
        if block < self.crowd_blocks:
            return self.crowd_rows * block // self.crowd_blocks
        slices = self.blocks - self.crowd_blocks
        done = block - self.crowd_blocks
        return self.crowd_rows + (self.top_user_rows * done // slices if slices else 0)

    def rows_of(self, block: int) -> int:
        """Rows of a block, faulty ones included."""
        return self.first_row(block + 1) - self.first_row(block)

    def bots_of(self, block: int) -> dict[str, int]:
        """Bots of each kind in a block of ordinary users."""
        shares = vars(self.world.bots)
        return {kind: self._count(block, shares[kind] / rows) for kind, rows in BOT_ROWS.items()}

    def dirt_of(self, block: int) -> dict[str, int]:
        """Faulty rows of each kind in a block of ordinary users."""
        return {kind: self._count(block, share) for kind, share in vars(self.world.dirt).items()}

    def random(self, block: int) -> np.random.Generator:
        """The block's own random numbers: Philox, counting from a key of seed and block."""
        return np.random.Generator(np.random.Philox(key=np.array([self.seed, block], np.uint64)))

    def _count(self, block: int, share: float) -> int:
        """The share of the rows up to the block's end, rounded up, less what came before it.

        So the first block has at least one of everything, and the sum is right at any size.
        """
        before, after = self.first_row(block), self.first_row(block + 1)
        return math.ceil(share * after) - math.ceil(share * before)
