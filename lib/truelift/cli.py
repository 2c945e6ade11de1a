"""``truelift COMMAND``: the command line of every job and of the pipeline."""

from __future__ import annotations

import difflib
import os
import pkgutil
import sys
import traceback
import warnings
from collections.abc import Sequence
from importlib import import_module

import click

from truelift import __version__, commands
from truelift.command_line import Asked, JobCommand
from truelift.errors import ConfigError, TrueliftError
from truelift.faults import fault_of
from truelift.older_names import OlderName
from truelift.step_commands import command_of
from truelift.step_graph import STEPS

#: Where another package adds commands: an entry point is a :func:`~.command_line.command`. It is
#: found by its name, and not listed.
GROUP = "truelift.commands"
_FIRST = (*(step.name for step in STEPS), "run_pipeline", "plan")


class Commands(click.Group):
    """Commands by name, each loaded when it is asked for: a file of :mod:`truelift.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        """Steps in their order, then the pipeline, then what looks at a lake or tends it."""
        names = {_title(m.name) for m in pkgutil.iter_modules(commands.__path__)} | set(_FIRST)
        return [*_FIRST, *sorted(names - set(_FIRST))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of a name; None where there is none."""
        files = {_title(m.name): m.name for m in pkgutil.iter_modules(commands.__path__)}
        if file := files.get(cmd_name):
            found: JobCommand = getattr(import_module(f"{commands.__name__}.{file}"), file)
            return found
        if cmd_name in _FIRST:
            return command_of(next(step for step in STEPS if step.name == cmd_name))
        return _added(cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the first word names.

        Raises
        ------
        ConfigError
            With the nearest name.
        """
        if not args[0].startswith("-") and self.get_command(ctx, args[0]) is None:
            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1, cutoff=0.55)
            hint = f" Did you mean {near[0]!r}?" if near else ""
            raise ConfigError(
                f"there is no command {args[0]!r}.{hint} 'truelift --help' lists all of them."
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """All commands with their whole summaries."""
        found = [(name, self.get_command(ctx, name)) for name in self.list_commands(ctx)]
        with formatter.section("Commands"):
            formatter.write_dl([(name, c.short_help or "") for name, c in found if c is not None])


@click.group(
    cls=Commands,
    invoke_without_command=True,
    epilog="\b\nExamples:\n  truelift run_pipeline --set sample=0.05\n  truelift sessionize --help",
)
@click.version_option(__version__, message="truelift %(version)s")
@click.pass_context
def truelift(context: click.Context) -> int | None:
    """From raw behaviour logs to effects with honest uncertainty."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
        return 0
    return None


def parsed(arguments: Sequence[str] | None = None) -> Asked | None:
    """A command line, understood but not run; None where help or the version was all it asked for.

    Parameters
    ----------
    arguments : sequence of str, optional
        By default those of the process.

    Raises
    ------
    ConfigError
        For a command, option or value that cannot be.
    """
    given = None if arguments is None else list(arguments)
    try:
        asked = truelift.main(given, prog_name="truelift", standalone_mode=False)
    except click.UsageError as error:
        where = error.ctx.command_path if error.ctx is not None else "truelift"
        raise ConfigError(
            f"{error.format_message()} '{where} --help' shows all options and an example."
        ) from None
    return asked if isinstance(asked, Asked) else None


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
    try:
        asked = parsed(arguments)
        with warnings.catch_warnings():
            _tell_plainly()
            return 0 if asked is None else asked.run()
    except TrueliftError as error:
        print(f"truelift: {error}", file=sys.stderr)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
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


def _tell_plainly() -> None:
    """Say an older name as a message, without the line of ours that noticed it."""
    as_before = warnings.showwarning

    def show(message, category, *place, **rest) -> None:  # type: ignore[no-untyped-def]
        if issubclass(category, OlderName):
            print(f"truelift: {message}", file=sys.stderr, flush=True)
        else:
            as_before(message, category, *place, **rest)

    warnings.showwarning = show
    warnings.simplefilter("always", OlderName)


def _title(module: str) -> str:
    """What the command of a file is called."""
    return "explain-quarantine" if module == "explain_quarantine" else module


def _added(name: str) -> click.Command | None:
    # Help does without: to look at the metadata of every package takes as long as all of it.
    from importlib.metadata import entry_points

    points = entry_points(group=GROUP, name=name)
    return next(iter(points)).load() if points else None


if __name__ == "__main__":
    sys.exit(main())
