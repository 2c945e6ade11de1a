"""Commands beside the pipeline's steps: they look at a lake, tend it, or take something out."""

from __future__ import annotations

import argparse
import datetime
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.settings import Settings

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.lake import Lake

_READS = ("bronze.events", "bronze.identities", "silver.events", "silver.quarantine")


@dataclass(frozen=True)
class Tool:
    """A command: its summary, an example, its own options, and what it does."""

    summary: str
    example: str
    run: Callable[[Settings, argparse.Namespace], Any]
    options: Callable[[argparse.ArgumentParser], None] = lambda parser: None


@contextmanager
def tool_job(name: str, settings: Settings, *sections: str) -> Iterator[Job]:
    """A job outside of the pipeline, with an MLflow run of its own.

    Parameters
    ----------
    name : str
    settings : Settings
    sections : str
        Sections of the settings that it uses.
    """
    from truelift.fingerprints import fingerprint_of
    from truelift.job import Job
    from truelift.progress import Progress
    from truelift.run_notes import step_note
    from truelift.steps import code_version
    from truelift.tracking import job_run

    lake = _lake(settings)
    versions = {table: lake.version(table) for table in _READS}
    inputs = {table: version for table, version in versions.items() if version is not None}
    now = datetime.datetime.now(datetime.timezone.utc).isoformat()
    fingerprint = fingerprint_of(tool=name, inputs=inputs, at=now)
    progress = Progress(name)
    tags = {"truelift.code_version": code_version()}
    with (
        tempfile.TemporaryDirectory(prefix=f"truelift-{name}-") as folder,
        job_run(
            settings, name, tags, sections=sections, about=step_note(TOOLS[name].summary, settings)
        ) as run,
    ):
        try:
            yield Job(name, settings, lake, inputs, fingerprint, run, Path(folder), progress)
        finally:
            progress.close()


def _lake(settings: Settings) -> Lake:
    # Help and shell completion list these commands, and need nothing of this.
    from truelift.lake import Lake

    return Lake.open(settings)


def _explain(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.logs.explain import explain_quarantine

    return explain_quarantine(_lake(settings), args.examples)


def _maintain(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.lake.maintenance import maintain

    return maintain(_lake(settings), args.retain_hours, args.force)


def _forget(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.logs.forget import forget_user

    with tool_job("forget_user", settings) as job:
        return forget_user(job, args.user)


def _fit_limits(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.logs.outliers import fit_limits

    with tool_job("fit_limits", settings, "clean") as job:
        return fit_limits(job)


def _evaluate_sequence(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.training.evaluate import evaluate_sequence

    with tool_job("evaluate_sequence", settings, "sequence") as job:
        return evaluate_sequence(job, args.model or (), args.items, args.users).summary()


def _train_causal(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.effects.neural.job import train_causal
    from truelift.effects.panel.any_table import TableAddress, panel_plan
    from truelift.effects.panel.lake_panel import LakePanel

    options, tracking = settings.effects, settings.tracking
    named = replace(tracking, model_name=f"{tracking.model_name.removesuffix('-sequence')}-causal")
    with tool_job("train_causal", replace(settings, tracking=named), "effects") as job:
        if options.table is None:
            plan = job.lake.plan("gold.panel")
        else:
            job.progress.update("bringing the table into buckets")
            address = TableAddress.parse(options.table)
            plan = panel_plan(job.lake, address, options, settings.buckets)
        job.run.log_table(plan.table, plan.uri, plan.version, "input")
        return train_causal(job, LakePanel(job.lake, plan))


def _build_panel(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.config import load_panel_spec
    from truelift.features.panels.build import build_panel

    spec = load_panel_spec(args.panel)
    with tool_job("build_panel", settings, "panel") as job:
        return build_panel(job, spec, args.out)


def _learn_policy(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.config import load_spec
    from truelift.policy.job import learn_policy
    from truelift.policy.options import LearnOptions

    options = load_spec(LearnOptions, "policies", "policy", args.policy)
    named = f"{settings.tracking.model_name.removesuffix('-sequence')}-policy"
    tracking = replace(settings.tracking, model_name=named)
    with tool_job("learn_policy", replace(settings, tracking=tracking)) as job:
        return learn_policy(job, args.scored_panel, options)


def _allocate(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.config import load_spec
    from truelift.policy.allocating import allocate_budget
    from truelift.policy.allocation_options import AllocateOptions

    options = load_spec(AllocateOptions, "policies", "allocation", args.policy)
    with tool_job("allocate", settings) as job:
        return allocate_budget(job, args.scored_panel, options)


def _policy_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--panel", dest="scored_panel", required=True, metavar="URI",
        help="whose scores: gold.panel, gold.panel_<name>, or a table that estimate_effects read",
    )  # fmt: skip
    parser.add_argument(
        "--spec", dest="policy", required=True, metavar="NAME",
        help="of conf/policies, or a YAML file: the keys of docs/policy-learning.md",
    )  # fmt: skip


def _design_experiment(settings: Settings, args: argparse.Namespace) -> Any:
    from truelift.config import load_spec
    from truelift.experiments.planning import planned
    from truelift.experiments.spec import ExperimentSpec
    from truelift.lake.address import TableAddress
    from truelift.lake.foreign import open_foreign
    from truelift.report.files import save_figure
    from truelift.report.plots.experiments import power_curve

    spec = load_spec(ExperimentSpec, "experiments", "experiment", args.experiment)
    past = open_foreign(TableAddress.parse(args.past)) if args.past else None
    design = planned(spec, past)
    plot = save_figure(settings, f"{spec.name}-power.png", power_curve(design), args.plot)
    return f"{design!r}\n\npower curve  {plot}"


def _design_options(parser: argparse.ArgumentParser) -> None:
    _experiment_option(parser)
    parser.add_argument(
        "--table", dest="past", metavar="URI[@VERSION]",
        help="past outcomes: moments that the spec does not state, and experiments drawn from them",
    )  # fmt: skip
    parser.add_argument(
        "--plot", metavar="FILE", help="where the power curve goes (default: beside the report)"
    )


def _experiment_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spec", dest="experiment", required=True, metavar="NAME",
        help="an experiment of conf/experiments, or a YAML file: the keys of docs/experiments.md",
    )  # fmt: skip


def _panel_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--spec", dest="panel", required=True, metavar="NAME",
        help="a panel of conf/panels, or a YAML file: the keys of docs/panels.md",
    )  # fmt: skip
    parser.add_argument("--out", metavar="URI", help="where it goes (default: gold/panel_<name>)")


def _table_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--table", metavar="URI[@VERSION]", help="a table of your own")
    parser.add_argument(
        "--spec", metavar="NAME", help="of conf/effects, or YAML: see docs/effects.md"
    )


def _explain_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--examples", type=int, default=3, help="rows shown for each reason")


def _maintain_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--retain-hours", type=float, default=168.0, help="keep what younger versions need"
    )
    parser.add_argument(
        "--force", action="store_true", help="allow less than a week; no job may be running"
    )


def _evaluate_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--model",
        action="append",
        metavar="VERSION|ALIAS",
        help="a registered version or alias; repeatable (default: challenger and champion)",
    )
    parser.add_argument(
        "--interactions", metavar="FILE", help="the file that the models were trained on"
    )
    parser.add_argument("--columns", metavar="NAMES", help="as the training had them")
    parser.add_argument("--min-rating", type=float, metavar="R", help="as the training had it")
    parser.add_argument("--test", metavar="FILE", help="interactions that are the test part")
    parser.add_argument("--items", metavar="FILE", help="ids, one a line: only these compete")
    parser.add_argument("--users", metavar="FILE", help="ids, one a line: only these are tested")


def _forget_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--user", required=True, help="the person as the source names them")


TOOLS: dict[str, Tool] = {
    "explain-quarantine": Tool(
        "why rows were removed: reasons, counts, examples",
        "truelift explain-quarantine --dataset complete_journey --examples 5",
        _explain,
        _explain_options,
    ),
    "maintain": Tool(
        "compact the tables and delete files that no version needs",
        "truelift maintain --lake s3a://bucket/lake --retain-hours 336",
        _maintain,
        _maintain_options,
    ),
    "forget_user": Tool(
        "remove a person from every table, and prove it",
        "truelift forget_user --user 1234 --lake s3a://bucket/lake",
        _forget,
        _forget_options,
    ),
    "build_panel": Tool(
        "a panel by a specification: units, treatment, outcomes, covariates known before it",
        "truelift build_panel --spec campaigns --lake s3a://bucket/lake",
        _build_panel,
        _panel_options,
    ),
    "design_experiment": Tool(
        "how many units an experiment takes, what it can find, how long it lasts",
        "truelift design_experiment --spec checkout --table s3a://bucket/past_orders",
        _design_experiment,
        _design_options,
    ),
    "learn_policy": Tool(
        "whom to treat how: a rule from the scores, valued on units that did not choose it",
        "truelift learn_policy --panel gold.panel --spec campaigns --lake s3a://bucket/lake",
        _learn_policy,
        _policy_options,
    ),
    "allocate": Tool(
        "what to do under a budget: the path of spend and gain, and who gets what",
        "truelift allocate --panel gold.panel --spec campaign_budget --lake s3a://bucket/lake",
        _allocate,
        _policy_options,
    ),
    "train_causal": Tool(
        "networks for the effects' nuisances, trained by Horovod processes and registered",
        "truelift train_causal --table s3a://bucket/panel --spec effects.yaml",
        _train_causal,
        _table_options,
    ),
    "evaluate_sequence": Tool(
        "registered sequence models beside the baselines, on Spark",
        "truelift evaluate_sequence --model challenger --model champion",
        _evaluate_sequence,
        _evaluate_options,
    ),
    "fit_limits": Tool(
        "take the items' robust limits anew (clean.outlier_mads)",
        "truelift fit_limits --dataset mine.yaml --set clean.outlier_mads=8",
        _fit_limits,
    ),
}
