"""``truelift JOB``: the command line of every job and of the pipeline."""

from __future__ import annotations

import argparse
import json
import os
import sys
import traceback
from collections.abc import Sequence

from truelift import __version__
from truelift.config import ENVIRONMENTS, load_settings
from truelift.errors import TrueliftError
from truelift.faults import fault_of
from truelift.settings import Settings
from truelift.simulate.traffic import job as traffic

UNSUPPORTED = 3


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Returns
    -------
    int
        0 when all went well, 2 for the user's mistake, 1 for a failure, 3 where
        ``estimate_effects`` finds that the data support no effect.
    """
    # TensorFlow's own start-up notes, here and in the processes that are started from here.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    parser = _parser()
    args = parser.parse_args(arguments)
    if args.job == "jars":
        from truelift.lake.session import delta_jars

        print(",".join(delta_jars()))
        return 0
    try:
        if args.job == "simulate_logs":
            traffic.run(args, load_settings().spark)
            return 0
        spec, table = getattr(args, "spec", None), getattr(args, "table", None)
        settings = load_settings(
            args.env, args.dataset, _overrides(args), args.lake, spec=spec, table=table,
            recipe=getattr(args, "recipe", None),
            interactions=getattr(args, "interactions", None),
        )  # fmt: skip
        return _run(args, settings)
    except TrueliftError as error:
        print(f"truelift: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("truelift: interrupted; the tables are as the last finished commit left them.",
              file=sys.stderr)  # fmt: skip
        return 1
    except Exception as error:
        if fault := fault_of(error):
            print(f"truelift: {fault}", file=sys.stderr)
            return fault.exit_code
        traceback.print_exc()
        print(
            "truelift: the job failed in a way that truelift did not foresee (see above). Tables "
            "hold their last finished commit; running again resumes.",
            file=sys.stderr,
        )
        return 1


def _run(args: argparse.Namespace, settings) -> int:  # type: ignore[no-untyped-def]
    from truelift.console import closing_table, heading, step_line
    from truelift.pipeline import run_pipeline, run_step
    from truelift.tools import TOOLS

    print(heading(settings), flush=True)
    if args.job == "plan" or getattr(args, "dry_run", False):
        return _show_plan(args, settings)
    if args.job in TOOLS:
        print(TOOLS[args.job].run(settings, args), flush=True)
        return 0
    if getattr(args, "test", None):
        # Before the steps that it waits for.
        from truelift.recommend.given_test import check_file

        check_file(settings)
    if getattr(args, "interactions", None) and args.job != "run_pipeline":
        _until(settings, args.job)
    if args.job == "run_pipeline":
        outcomes = run_pipeline(
            settings,
            start=args.start,
            only=args.only,
            announce=lambda outcome: print(step_line(outcome), flush=True),
        )
        print(closing_table(outcomes, settings), flush=True)
        return 0
    outcome = run_step(args.job, settings)
    print(step_line(outcome), flush=True)
    return _tell_effects(settings, outcome) if args.job == "estimate_effects" else 0


def _show_plan(args: argparse.Namespace, settings: Settings) -> int:
    """Say what a run would do; a step asked for by name would run in any case."""
    from truelift.console import planned_lines
    from truelift.lake import Lake
    from truelift.plan import plan

    whole = args.job in ("plan", "run_pipeline")
    only = args.only if whole else args.job
    planned = plan(settings, Lake.open(settings), args.start if whole else None, only)
    print(planned_lines(planned), flush=True)
    return 0


def _overrides(args: argparse.Namespace) -> list[str]:
    """What the short options stand for, then what was set by key."""
    keys = {"processes": "np", "tune": "tune", "warm_start": "warm_start"}
    given = {key: getattr(args, option, None) for key, option in keys.items()}
    short = [f"sequence.{key}={value}" for key, value in given.items() if value is not None]
    if test := getattr(args, "test", None):
        short.append(f"sequence.test_file={json.dumps(test)}")
    if args.job == "recommend":
        files = {key: getattr(args, key) for key in ("items", "users") if getattr(args, key)}
        short += [f"recommend.{key}={json.dumps(path)}" for key, path in files.items()]
    if columns := getattr(args, "columns", None):
        # Text in quotes: to YAML a lone '-' would open a list.
        names = ", ".join(json.dumps(name.strip()) for name in columns.split(","))
        short.append(f"source.columns=[{names}]")
    if (least := getattr(args, "min_rating", None)) is not None:
        # How many fall short of a wish says nothing about the file.
        short += [f"clean.min_value={least}", "clean.max_quarantine_share=1.0"]
    return [*short, *(args.set or ())]


def _until(settings, last: str) -> None:  # type: ignore[no-untyped-def]
    """Run the steps that a step needs, where something changed."""
    from truelift.console import step_line
    from truelift.lake import Lake
    from truelift.pipeline import run_steps_before

    lake = Lake.open(settings)
    for outcome in run_steps_before(last, settings, lake):
        print(step_line(outcome), flush=True)


def _tell_effects(settings, outcome) -> int:  # type: ignore[no-untyped-def]
    """Read the estimates out; a table of one's own gets a page of its own too."""
    from truelift.console import step_line
    from truelift.effects.results import EffectsResult
    from truelift.pipeline import run_step

    result = outcome.record.result(EffectsResult)
    if result is None:
        return 0
    print(result.summary(), flush=True)
    if settings.effects.table:
        print(step_line(run_step("report", settings)), flush=True)
    return 0 if result.supported else UNSUPPORTED


def _parser() -> argparse.ArgumentParser:
    from truelift.step_graph import STEPS
    from truelift.tools import TOOLS

    parser = argparse.ArgumentParser(
        prog="truelift",
        description="From raw behaviour logs to effects with honest uncertainty.",
    )
    parser.add_argument("--version", action="version", version=f"truelift {__version__}")
    jobs = parser.add_subparsers(dest="job", required=True, metavar="JOB")
    for name, summary in [(s.name, s.summary) for s in STEPS]:
        step = _job_parser(jobs, name, summary)
        _job_options(step)
        _dry_run(step)
        if name == "estimate_effects":
            step.add_argument(
                "--table", metavar="URI[@VERSION]", help="a Delta, Parquet or CSV table of your own"
            )
            step.add_argument(
                "--spec", metavar="NAME", help="of conf/effects, or YAML: see docs/effects.md"
            )
        if name == "recommend":
            _interaction_options(step)
            step.add_argument("--items", metavar="FILE", help="ids, one a line: offer these alone")
            step.add_argument(
                "--users", metavar="FILE", help="ids, one a line: rank for these alone"
            )
        if name == "train_sequence":
            step.add_argument(
                "--recipe", metavar="NAME", help="a recipe of conf/models, or a YAML file"
            )
            _interaction_options(step)
            step.add_argument("--np", type=int, metavar="N", help="Horovod processes")
            step.add_argument("--test", metavar="FILE", help="interactions that are the test part")
            step.add_argument(
                "--warm-start", metavar="VERSION|ALIAS",
                help="begin with the weights of a registered model, such as champion",
            )  # fmt: skip
            step.add_argument(
                "--tune",
                type=int,
                metavar="N",
                help="search among N settings by successive halving",
            )
    for name, summary in (
        ("run_pipeline", "all jobs in order, resumable"),
        ("plan", "what run_pipeline would run, and why; nothing is run"),
    ):
        pipeline = _job_parser(jobs, name, summary)
        _job_options(pipeline)
        pipeline.add_argument(
            "--from", dest="start", metavar="STEP", help="run again from this step on"
        )
        _interaction_options(pipeline)
        pipeline.add_argument("--only", metavar="STEP", help="run this step alone")
        if name == "run_pipeline":
            _dry_run(pipeline)
    for name, tool in TOOLS.items():
        tool_parser = _job_parser(jobs, name, tool.summary, tool.example)
        _job_options(tool_parser)
        tool.options(tool_parser)
    traffic.add_options(
        jobs.add_parser(
            "simulate_logs", help=traffic.SUMMARY, description=f"simulate_logs: {traffic.SUMMARY}."
        )
    )
    jobs.add_parser("jars", help="the Delta jars, for spark-submit --jars")
    return parser


def _dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would run and why, and run nothing"
    )


def _interaction_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--interactions", metavar="FILE",
        help="lines `user item [seconds]`; the steps before this one run first",
    )  # fmt: skip
    parser.add_argument(
        "--columns", metavar="NAMES",
        help="what the values of a line are, such as user,item,rating,time ('-': leave out)",
    )  # fmt: skip
    parser.add_argument(
        "--min-rating", type=float, metavar="R", help="interactions rated below this do not count"
    )


def _job_parser(  # type: ignore[no-untyped-def]
    jobs, name: str, summary: str, example: str | None = None
) -> argparse.ArgumentParser:
    script = name.replace("-", "_")
    example = example or f"truelift {name} --dataset complete_journey --set sample=0.05"
    submit = f"spark-submit jobs/{script}.py --env prod --lake s3a://bucket/lake"
    parser: argparse.ArgumentParser = jobs.add_parser(
        name,
        help=summary,
        description=f"{name}: {summary}.",
        epilog=f"examples:\n  {example}\n  {submit}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    return parser


def _job_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--env", default=os.environ.get("TRUELIFT_ENV", "local"), help=f"{', '.join(ENVIRONMENTS)}"
    )
    parser.add_argument("--dataset", metavar="NAME", help="a data set of conf/, or a YAML file")
    parser.add_argument(
        "--set", action="append", metavar="KEY=VALUE", help="override one setting; repeatable"
    )
    parser.add_argument("--lake", metavar="URI", help="where the tables lie")


if __name__ == "__main__":
    sys.exit(main())
