"""Limits beyond which a quantity or a value is an outlier."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from truelift.command_line import command
from truelift.tools import tool_job

if TYPE_CHECKING:
    from truelift.settings import Settings


@command("truelift fit_limits --dataset mine.yaml --set clean.amounts.outlier_mads=8")
def fit_limits(settings: Settings) -> Any:
    """Take the items' robust limits anew (clean.amounts.outlier_mads)."""
    from truelift.logs import outliers

    with tool_job("fit_limits", settings, "clean", summary=fit_limits.summary) as job:
        return outliers.fit_limits(job)
