"""The step ``train_sequence``, with its short options."""

from __future__ import annotations

from typing import TYPE_CHECKING

from truelift.command_line import command, layer, setting
from truelift.step_commands import dry_run_option, interaction_options, run_alone, test_option

if TYPE_CHECKING:
    from truelift.settings import Settings


@command(
    "truelift train_sequence --dataset complete_journey --set sample=0.05",
    "truelift train_sequence --interactions ratings.txt --recipe sasrec",
)
@layer("--recipe", metavar="NAME", help="a recipe of conf/models, or a YAML file")
@interaction_options
@setting(
    "--np", type=int, metavar="N", help="Horovod processes",
    stands_for=lambda count: [f"sequence.ranks.processes={count}"],
)  # fmt: skip
@test_option
@setting(
    "--warm-start", metavar="VERSION|ALIAS",
    help="begin with the weights of a registered model, such as champion",
    stands_for=lambda model: [f"sequence.training.warm_start={model}"],
)  # fmt: skip
@setting(
    "--tune", type=int, metavar="N", help="search among N settings by successive halving",
    stands_for=lambda trials: [f"sequence.training.tune={trials}"],
)  # fmt: skip
@dry_run_option
def train_sequence(
    settings: Settings, dry_run: bool, interactions: str | None, test: str | None
) -> None:
    """The sequence model, trained by Horovod processes from a scan plan."""
    run_alone("train_sequence", settings, dry_run, interactions, test)
