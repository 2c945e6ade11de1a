"""What a command is: a decorated function, with click's options, that is given the settings.

:mod:`truelift.commands` has a file for each. The function's docstring begins with its summary; it
takes the settings and those of its options that it names. Options that are short for keys of the
settings (:func:`setting`) or name a layer of them (:func:`layer`) are dealt with here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

import click

F = TypeVar("F", bound=Callable[..., Any])


@dataclass(frozen=True)
class Asked:
    """A command line that was understood.

    Attributes
    ----------
    command : JobCommand
    given : dict
        Values of all options by name, those that were left out too.
    """

    command: JobCommand
    given: dict[str, Any]

    @property
    def name(self) -> str:
        """Of the command."""
        return self.command.name or ""

    def overrides(self) -> list[str]:
        """What short options stand for, then what was set by key: ``key=value``."""
        short = (p for p in self.command.params if isinstance(p, Setting))
        found = [(p, self.given[str(p.name)]) for p in short]
        stated = [item for p, value in found if value is not None for item in p.stands_for(value)]
        return [*stated, *self.given.get("set", ())]

    def layers(self) -> dict[str, Any]:
        """Arguments of :func:`~truelift.config.load_settings`, besides overrides."""
        names = [str(p.name) for p in self.command.params if isinstance(p, Layer)]
        return {name: self.given[name] for name in names}

    def run(self) -> int:
        """Do it; what it gives is printed, a number is the exit code."""
        taken = inspect.signature(self.command.function).parameters
        own = {name: value for name, value in self.given.items() if name in taken}
        if self.command.with_settings:
            from truelift.config import load_settings
            from truelift.console import heading

            own["settings"] = load_settings(overrides=self.overrides(), **self.layers())
            print(heading(own["settings"]), flush=True)
        result = self.command.function(**own)
        if isinstance(result, int):
            return result
        if result is not None:
            print(result, flush=True)
        return 0


class Setting(click.Option):
    """An option that is short for keys of the settings."""

    def __init__(self, *args: Any, stands_for: Callable[[Any], Iterable[str]], **rest: Any):
        super().__init__(*args, **rest)
        self.stands_for = stands_for


class Layer(click.Option):
    """An option that names a layer of the settings."""


class JobCommand(click.Command):
    """A command whose parsing gives :class:`Asked`; nothing is run yet."""

    def __init__(self, name: str, function: Callable[..., Any], with_settings: bool, **rest: Any):
        super().__init__(name, callback=lambda **given: Asked(self, given), **rest)
        self.function, self.with_settings = function, with_settings

    @property
    def summary(self) -> str:
        """What it does, in a sentence."""
        return self.short_help or ""


def command(
    *examples: str, name: str | None = None, with_settings: bool = True
) -> Callable[[Callable[..., Any]], JobCommand]:
    """Make a command of a function; its own options are decorators below this one.

    Parameters
    ----------
    *examples : str
        Commands that are shown below its help.
    name : str, optional
        Where it is not the function's.
    with_settings : bool
        Whether it goes by the settings, and has the options that choose them.
    """

    def decorate(function: Callable[..., Any]) -> JobCommand:
        title = name or function.__name__
        summary = (inspect.getdoc(function) or "").partition("\n\n")[0].replace("\n", " ")
        params = list(reversed(getattr(function, "__click_params__", [])))
        lines = [*examples]
        if with_settings:
            params += _common_options()
            script = title.replace("-", "_")
            lines.append(f"spark-submit jobs/{script}.py --env prod --lake s3a://bucket/lake")
        shown = "\n".join(f"  {line}" for line in lines)
        return JobCommand(
            title, function, with_settings, params=params, help=summary, short_help=summary,
            epilog=f"\b\nExamples:\n{shown}",
        )  # fmt: skip

    return decorate


def setting(
    *names: str, stands_for: Callable[[Any], Iterable[str]], **rest: Any
) -> Callable[[F], F]:
    """An option that is short for keys of the settings: ``stands_for`` gives ``key=value`` items."""
    return click.option(*names, cls=Setting, stands_for=stands_for, **rest)


def layer(*names: str, **rest: Any) -> Callable[[F], F]:
    """An option that names a layer of the settings."""
    return click.option(*names, cls=Layer, **rest)


def _common_options() -> list[click.Parameter]:
    """What chooses the settings, in every command that goes by them."""
    return [
        Layer(
            ["--env"], envvar="TRUELIFT_ENV", default="local", metavar="NAME",
            help="local, staging or prod",
        ),
        Layer(["--dataset"], metavar="NAME", help="a data set of conf/, or a YAML file"),
        click.Option(
            ["--set"], multiple=True, metavar="KEY=VALUE", help="override one setting; repeatable"
        ),
        Layer(["--lake"], metavar="URI", help="where the tables lie"),
    ]  # fmt: skip
