"""Needs behind behaviour from a table at hand, in one call."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from truelift.effects.panel.any_table import cut_table
from truelift.errors import ConfigError, TableError
from truelift.extras import naming_extras
from truelift.graph.need.fit import FittedNeeds, fitted_needs
from truelift.graph.need.posteriors import PosteriorKernel
from truelift.graph.need.results import NeedsResult
from truelift.graph.need.source import HeldSteps
from truelift.graph.need.spec import NeedSpec
from truelift.progress import Tell
from truelift.public.tables import is_spark_frame, opened
from truelift.settings import Settings
from truelift.typed import from_plain

if TYPE_CHECKING:
    import pandas as pd

Names = str | Iterable[str]
_LISTS = frozenset({"behaviour", "outcomes", "inputs"})


@dataclass(frozen=True, eq=False)
class Needs:
    """Needs that were learned: prints sentences, and tells every user's needs.

    Parameters
    ----------
    fitted : FittedNeeds
    held : HeldSteps
    """

    fitted: FittedNeeds
    held: HeldSteps

    @property
    def result(self) -> NeedsResult:
        """How many needs, what shows them, what acting changes."""
        return self.fitted.result

    def __str__(self) -> str:
        return self.result.summary()

    __repr__ = __str__

    def to_pandas(self) -> pd.DataFrame:
        """The effects, a row each."""
        return self.result.to_pandas()

    def posteriors(self) -> pd.DataFrame:
        """A row a user, step and need: the filter with its interval, and the smoother."""
        kernel = PosteriorKernel(
            self.fitted.coding, self.fitted.model, tuple(self.fitted.drawn()), self.held.name,
            self.result.version,
        )  # fmt: skip
        tables = [kernel(b, {"rows": t}) for b, t in sorted(self.held.tables.items())]
        return pa.concat_tables(tables).to_pandas()

    def features(self) -> pd.DataFrame:
        """A row a user, under the column of users: the filter of each need at the user's last step.

        What each user needs now, for models that rank: ``user_features`` of :func:`~truelift.fit_preferences`. A ranking that is judged
        on later rows may know no more than the steps before them, so learn needs from a table that ends there.
        """
        rows = self.posteriors()
        last = rows[rows.step == rows.groupby("user_key").step.transform("max")]
        found = last.pivot(index="user_key", columns="need", values="filtered")
        found.columns.name = None
        return found.rename_axis(self.fitted.coding.spec.user).reset_index()


def fit_needs(
    table: Any, *, user: str, time: str, behaviour: Names, outcomes: Names = (), inputs: Names = (),
    buckets: int | None = None, progress: Tell = lambda text: None, **options: Any,
) -> Needs:  # fmt: skip
    """The needs behind what users do, as far as behaviour shows them, and what acting changes.

    Parameters
    ----------
    table : DataFrame, Arrow table, str or path
        A row a step of a user; read into this process.
    user, time : str
        Columns of who and when.
    behaviour, outcomes : str or list of str
        Columns of what the user did, and of what one wants of it: needs make both.
    inputs : str or list of str
        Columns of what was shown before the step, which may move needs.
    buckets : int, optional
        Of users, in which sums are added up.
    progress : callable, optional
        Told what is being done.
    **options
        Any other key of a specification (docs/needs.md).

    Returns
    -------
    Needs
        Prints sentences; ``posteriors()`` has every user's needs, ``to_pandas()`` the effects.

    Raises
    ------
    TrueliftError
        For columns that cannot be used, or where the data do not say which needs there are.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.fit_needs(visits, user="customer", time="week", inputs="mailed", behaviour=["section", "pages"],
    ...              outcomes="bought")  # doctest: +SKIP
    """
    given = {
        "user": user, "time": time, "behaviour": behaviour, "outcomes": outcomes, "inputs": inputs, **options,
    }  # fmt: skip
    if isinstance(given.get("needs"), int):
        given["needs"] = [given["needs"]]
    plain = {
        k: ([v] if isinstance(v, str) else list(v)) if k in _LISTS or k == "needs" else v
        for k, v in given.items()
    }
    spec = from_plain(NeedSpec, plain)
    if is_spark_frame(table):
        raise ConfigError(
            "table: found a DataFrame of Spark, expected a table in memory or an address. Write it, and use "
            "the command: truelift fit_needs --table URI --spec FILE."
        )
    with naming_extras():
        found = opened(table)
        for key in spec.columns:
            if key not in found.schema.names:
                raise TableError(
                    f"{found.name} has no column {key!r}; its columns are {', '.join(found.schema.names)}."
                )
        count = Settings.buckets if buckets is None else buckets
        panel = cut_table(found, found.here(spec.columns), spec.user, count)
        held = HeldSteps(panel.buckets, found.name)
        return Needs(fitted_needs(held, spec, found.version, progress), held)
