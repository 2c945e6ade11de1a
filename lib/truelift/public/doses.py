"""Values of policies of doses from a log at hand, in one call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from truelift.extras import naming_extras
from truelift.policy.doses.evaluate import check_dose_columns
from truelift.policy.doses.evaluate import evaluate_doses as evaluated
from truelift.policy.doses.results import DosesResult
from truelift.policy.doses.spec import DoseSpec
from truelift.policy.off_policy.log import cut_log
from truelift.progress import Tell
from truelift.public.tables import opened
from truelift.settings import Settings
from truelift.typed import from_plain


def evaluate_doses(
    log: Any,
    *,
    dose: str,
    rewards: str | Iterable[str],
    policies: Mapping[str, Mapping[str, Any]],
    density: str | None = None,
    user: str | None = None,
    context: str | Iterable[str] = (),
    buckets: int | None = None,
    progress: Tell = lambda text: None,
    **options: Any,
) -> DosesResult:
    """What policies that give other doses (prices, discounts, minutes) would earn, with clustered intervals.

    Parameters
    ----------
    log : DataFrame, Arrow table, str or path
        A row a decision.
    dose : str
        The column of the dose that was given.
    rewards : str or list of str
        Numeric columns; higher is better.
    policies : mapping of str to mapping
        By name ``{"dose": column}`` or ``{"always": 9.9}``.
    density : str, optional
        The column of the density with which that dose was given; without it ``density_model="location-scale"``.
    user : str, optional
        Rows that share it may be dependent.
    context : str or list of str
        Numeric columns that the reward model may use.
    buckets : int, optional
    progress : callable, optional
    **options
        Any other key of a specification (docs/policies.md).

    Returns
    -------
    DosesResult
        Prints sentences and the sweep over bandwidths, and has ``to_pandas()``.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.evaluate_doses(log, dose="discount", density="p", rewards="margin", user="customer",
    ...                   policies={"half": {"always": 0.5}})  # doctest: +SKIP
    """
    listed = {
        "rewards": [rewards] if isinstance(rewards, str) else list(rewards),
        "context": [context] if isinstance(context, str) else list(context),
    }
    held = {name: dict(policy) for name, policy in policies.items()}
    given = {"dose": dose, "density": density, "policies": held, "user": user, **listed, **options}
    spec = from_plain(DoseSpec, {k: v for k, v in given.items() if v is not None})
    with naming_extras():
        table = opened(log)
        check_dose_columns(table, spec)
        count = Settings.buckets if buckets is None else buckets
        return evaluated(cut_log(table, spec.columns(), spec.user, count), spec, progress)
