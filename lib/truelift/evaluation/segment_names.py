"""Names of the segments of an evaluation, and what they mean."""

from __future__ import annotations

# Steps (sessions or events) of the past, and interactions in the training part.
COLD_BELOW = 5
LONG_FROM = 50
USERS = ("cold users", "warm users", "long-standing users")
ITEMS = ("cold items", "tail items", "head items")
ALL = "all"
# Not part of the mean over all: nothing is known of them when their list is made.
NEWCOMERS = "newcomers"
SEGMENTS = (ALL, *USERS, *ITEMS, NEWCOMERS)


def meaning() -> dict[str, str]:
    """Each segment in words."""
    return {
        USERS[0]: f"fewer than {COLD_BELOW} steps before the evaluated one",
        USERS[1]: f"{COLD_BELOW} to {LONG_FROM - 1} steps",
        USERS[2]: f"{LONG_FROM} steps or more",
        ITEMS[0]: f"wanted items with fewer than {COLD_BELOW} interactions in training",
        ITEMS[1]: "wanted items outside the most popular fifth of the catalogue",
        ITEMS[2]: "wanted items of the most popular fifth",
        NEWCOMERS: "users without any past, who are not in the mean over all",
    }
