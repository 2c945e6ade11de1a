"""``gold.panel``: one row a user and campaign, with treatment, outcomes and covariates.

A *unit* is a user with enough history at a campaign's start, whether or not the campaign
came to them. Covariates use rows strictly before the start; outcomes use the campaign's
window. What is decided once for all units (campaigns, categories, attribute levels, the set
and order of columns) is a :class:`PanelDesign`; the kernel then needs one bucket at a time.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from truelift.arrays.texts import codes_among, whole
from truelift.arrays.times import MICROSECONDS_PER_DAY, microseconds
from truelift.features.campaigns import Campaign
from truelift.features.catalogue import LookupSource, categories_of_items
from truelift.features.covariates import (
    BEHAVIOUR,
    EXPOSURE_HISTORY,
    AttributeLevels,
    Exposures,
    History,
    attribute_indicators,
    behaviour_before,
    outcomes_within,
)
from truelift.features.sequences import with_bucket
from truelift.features.timelines import BucketEvents, Timeline, session_timeline


@dataclass(frozen=True)
class PanelDesign:
    """What all units share.

    Parameters
    ----------
    campaigns : tuple of Campaign
        In order; the first is the reference of the campaign indicators.
    outcomes : tuple of str
        ``spend``, ``visits``.
    lookback_days, min_history_days : int
    categories : tuple of str
        Categories that get a share column.
    attributes : tuple of AttributeLevels
    """

    campaigns: tuple[Campaign, ...]
    outcomes: tuple[str, ...] = ("spend", "visits")
    lookback_days: int = 56
    min_history_days: int = 28
    categories: tuple[str, ...] = ()
    attributes: tuple[AttributeLevels, ...] = ()

    def covariates(self) -> tuple[str, ...]:
        """Names of the covariate columns, in order."""
        attributes: list[str] = []
        for each in self.attributes:
            levels = [*each.levels, "missing"] if each.has_missing else list(each.levels)
            attributes += [f"{each.name}_{level}" for level in levels]
        return (
            *BEHAVIOUR,
            *column_names("x_share_", self.categories),
            *EXPOSURE_HISTORY,
            *column_names("x_user_", attributes),
            *column_names("x_campaign_", [c.campaign for c in self.campaigns[1:]]),
        )

    def schema(self) -> pa.Schema:
        """Arrow schema of the panel."""
        text = [(name, pa.string()) for name in ("unit_id", "user_key", "campaign")]
        outcomes = [(f"y_{name}", pa.float64()) for name in self.outcomes]
        covariates = [(name, pa.float64()) for name in self.covariates()]
        return pa.schema(
            [*text, ("treated", pa.int32()), *outcomes, *covariates, ("bucket", pa.int32())]
        )


def column_names(prefix: str, values: Sequence[str]) -> list[str]:
    """Distinct column names for arbitrary text: lower case, digits and underscores."""
    names: list[str] = []
    for value in values:
        plain = value.lower().replace("+", " plus ").replace("<", " under ").replace(">", " over ")
        base = prefix + (re.sub(r"[^a-z0-9]+", "_", plain).strip("_") or "other")
        name, count = base, 2
        while name in names:
            name, count = f"{base}_{count}", count + 1
        names.append(name)
    return names


def build_panel(
    history: History, exposures: Exposures, attributes: Sequence[np.ndarray], design: PanelDesign
) -> pa.Table:
    """Units of one bucket.

    Parameters
    ----------
    history : History
    exposures : Exposures
    attributes : sequence of np.ndarray, each of shape (users,)
        The design's attribute columns.
    design : PanelDesign

    Returns
    -------
    pa.Table
        The columns of ``design.schema()`` but for ``bucket``, by campaign and user.
    """
    schema = design.schema().remove(design.schema().get_field_index("bucket"))
    parts = [
        _units_of(place, campaign, history, exposures, attributes, design)
        for place, campaign in enumerate(design.campaigns)
    ]
    tables = [pa.table(part, names=schema.names).cast(schema) for part in parts if part]
    return pa.concat_tables(tables) if tables else schema.empty_table()


def _units_of(
    place: int,
    campaign: Campaign,
    history: History,
    exposures: Exposures,
    attributes: Sequence[np.ndarray],
    design: PanelDesign,
) -> list[pa.Array | np.ndarray]:
    line = history.events.timeline
    if not line.users:
        return []
    first = line.times[line.offsets[:-1]]
    latest = campaign.start - design.min_history_days * MICROSECONDS_PER_DAY
    # A unit needs an event strictly before the start, also where no history is asked for.
    unit = np.flatnonzero((first <= latest) & (first < campaign.start))
    lookback = design.lookback_days * MICROSECONDS_PER_DAY
    behaviour, shares = behaviour_before(history, campaign.start, lookback)
    outcomes = outcomes_within(history, campaign.start, campaign.end, design.outcomes)
    received = exposures.before(campaign.start)
    numbers = [
        *outcomes.values(),
        *(behaviour[name] for name in BEHAVIOUR),
        *shares,
        *(received[name] for name in EXPOSURE_HISTORY),
        *attributes,
    ]
    indicators = [
        np.full(len(unit), float(other == place)) for other in range(1, len(design.campaigns))
    ]
    users = history.events.users.take(pa.array(unit))
    names = pa.array([f"{campaign.campaign}:{user}" for user in users.to_pylist()], pa.string())
    campaigns = pa.array([campaign.campaign] * len(unit), pa.string())
    treated = exposures.received(place)[unit]
    return [names, users, campaigns, treated, *(n[unit] for n in numbers), *indicators]


@dataclass(frozen=True)
class PanelKernel:
    """``build_panel`` on a bucket's ``events``, ``sessions``, ``users`` and ``exposures``."""

    design: PanelDesign
    catalogue: LookupSource | None

    def __call__(self, bucket: int, tables: dict[str, pa.Table]) -> pa.Table:
        events = BucketEvents.of(tables["events"])
        history = self._history(events, tables["sessions"])
        exposures = self._exposures(events.users, tables["exposures"])
        owner = codes_among(tables["users"]["user_key"], events.users)
        attributes = attribute_indicators(
            whole(tables["users"]["attributes"]), owner, len(events.users), self.design.attributes
        )
        return with_bucket(build_panel(history, exposures, attributes, self.design), bucket)

    def _history(self, events: BucketEvents, sessions: pa.Table) -> History:
        categories = np.full(len(events.user), -1)
        if self.design.categories and self.catalogue is not None:
            names = categories_of_items(events.items, self.catalogue.load())
            code = codes_among(names, pa.array(self.design.categories, pa.string()))
            categories = np.append(code, -1)[events.item]
        return History(
            events,
            session_timeline(sessions, events.users),
            categories,
            len(self.design.categories),
            events.first_of_item(),
        )

    def _exposures(self, users: pa.Array, rows: pa.Table) -> Exposures:
        user = codes_among(rows["user_key"], users)
        known = user >= 0
        ids = pa.array([c.campaign for c in self.design.campaigns], pa.string())
        answered = whole(rows["responses"])
        answer_user = np.repeat(user, np.diff(answered.offsets.to_numpy()))
        answer_time = answered.flatten().to_numpy(zero_copy_only=False).astype(np.int64)
        answer_time, answer_user = answer_time[answer_user >= 0], answer_user[answer_user >= 0]
        order = np.lexsort((answer_time, answer_user))
        return Exposures(
            user[known],
            codes_among(rows["campaign"], ids)[known],
            microseconds(rows["start"])[known],
            microseconds(rows["end"])[known],
            Timeline.of(answer_user[order], answer_time[order], len(users)),
        )
