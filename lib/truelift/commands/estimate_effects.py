"""The step ``estimate_effects``: its result is read out, and says how the command ends."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.command_line import command
from truelift.step_commands import dry_run_option, run_alone, spec_option, table_option

if TYPE_CHECKING:
    from truelift.settings import Settings


UNSUPPORTED = 3


@command(
    "truelift estimate_effects --dataset complete_journey --set sample=0.05",
    "truelift estimate_effects --table s3a://shop/experiments@12 --spec mail.yaml",
)
@table_option
@spec_option
@dry_run_option
def estimate_effects(settings: Settings, dry_run: bool) -> int:
    """Cross-fitted doubly robust effects with clustered intervals."""
    outcome = run_alone("estimate_effects", settings, dry_run)
    if outcome is None:
        return 0
    from truelift.effects.results import EffectsResult

    result = outcome.record.result(EffectsResult)
    if result is None:
        return 0
    print(result.summary(), flush=True)
    if settings.effects.table:  # a table of one's own gets a page of its own
        run_alone("report", settings, dry_run=False)
    return 0 if result.supported else UNSUPPORTED
