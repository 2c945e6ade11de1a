"""Values of policies from a log at hand, in one call."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from truelift.errors import ConfigError
from truelift.extras import naming_extras
from truelift.policy.applying import with_packages
from truelift.policy.off_policy.evaluate import evaluate
from truelift.policy.off_policy.log import memory_log
from truelift.policy.off_policy.results import PoliciesResult
from truelift.policy.off_policy.spec import BanditSpec
from truelift.progress import Tell
from truelift.public.tables import is_spark_frame, opened
from truelift.settings import Settings
from truelift.typed import from_plain

Names = str | Iterable[str]
_LISTS = frozenset({"context", "estimators", "actions", "propensity_by"})


def evaluate_policies(
    log: Any,
    *,
    action: str,
    rewards: Names,
    policies: Mapping[str, Mapping[str, Any]],
    user: str | None = None,
    propensity: str | None = None,
    buckets: int | None = None,
    progress: Tell = lambda text: None,
    **options: Any,
) -> PoliciesResult:
    """What other policies would earn, from the log of the one that ran, with clustered intervals.

    Parameters
    ----------
    log : DataFrame, Arrow table, str or path
        A pandas, Polars or Arrow table, or where one lies (CSV, Parquet, Delta): a row a decision. It
        is read into this process.
    action : str
        The column of the action that was taken.
    rewards : str or list of str
        Numeric columns; higher is better.
    policies : mapping of str to mapping
        By name, what the policy does: ``{"action": column}``, ``{"always": "A"}``,
        ``{"uniform": True}``, ``{"logging": True}``, ``{"chances": {"A": column, ...}}``,
        ``{"table": {...}}``, ``{"logged_chance": column}`` or ``{"model": "models:/NAME@ALIAS"}``.
    user : str, optional
        Rows that share it may be dependent; without it every row stands for itself.
    propensity : str, optional
        The column of the chance with which the logged action was taken.
    buckets : int, optional
        Of users; folds are made of them. By default 40, as the job has it.
    progress : callable, optional
        Told what is being done, a line a pass.
    **options
        Any other key of a specification (docs/policies.md).

    Returns
    -------
    PoliciesResult
        Prints sentences and every estimate, and has ``to_pandas()``.

    Raises
    ------
    TrueliftError
        For a log, a policy or an option that cannot be used: what was found and what to do.

    Examples
    --------
    >>> import truelift as tl
    >>> tl.evaluate_policies(log, action="item", rewards="click", propensity="p", user="visitor",
    ...                      policies={"new": {"action": "proposed"}})  # doctest: +SKIP
    """
    given = {
        "action": action, "rewards": _listed(rewards), "policies": policies, "user": user,
        "propensity": propensity,
    } | {k: _listed(v) if k in _LISTS else v for k, v in options.items()}  # fmt: skip
    spec = from_plain(BanditSpec, {k: _plain(v) for k, v in given.items() if v is not None})
    if is_spark_frame(log):
        raise ConfigError(
            "log: found a DataFrame of Spark, expected a table in memory or an address. Write it, and "
            "use the command: truelift evaluate_policies --log URI --spec FILE."
        )
    with naming_extras():
        count = Settings.buckets if buckets is None else buckets
        if count < spec.folds:
            raise ConfigError(
                f"buckets: found {count}, expected at least folds ({spec.folds}), for folds are made "
                "of buckets."
            )
        with tempfile.TemporaryDirectory(prefix="truelift-policies-") as folder:
            spec = with_packages(spec, Path(folder))
        return evaluate(memory_log(opened(log), spec, count), spec, progress)


def _listed(value: Any) -> Any:
    """A lone name stands for a list of one."""
    return [value] if isinstance(value, str) else value


def _plain(value: Any) -> Any:
    """What YAML would have given."""
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, Iterable) and not isinstance(value, str):
        return [_plain(v) for v in value]
    return value
