"""What a step's outcome depends on: code, settings and pinned inputs; and what of it has changed.

A step that finished under the same identity, and whose tables and files still stand, need not run.
Nothing here starts Spark: versions come from Delta's logs, code from its sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cache, cached_property
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any

from truelift.errors import TableError
from truelift.fingerprints import fingerprint_of
from truelift.imported_code import PACKAGE, code_of, digest_of
from truelift.lake.log import recent_commits
from truelift.lake.tables import table_spec
from truelift.step_graph import STEPS, Step, resolved, step_named
from truelift.steps import StepRecord, StepStore
from truelift.typed import to_plain

if TYPE_CHECKING:
    from truelift.lake import Lake
    from truelift.settings import Settings


@dataclass(frozen=True)
class StepIdentity:
    """What tells one execution of a step from another.

    Attributes
    ----------
    step : str
    code : dict of str to str
        Modules and data files that the step runs, each with its hash.
    settings : dict
        The sections of the settings that it uses.
    inputs : dict of str to int
        Delta versions of the tables that it reads.
    foreign : dict of str to str
        What pins its inputs outside of these tables.
    after : dict of str to str
        Fingerprints of the steps whose results go in.
    """

    step: str
    code: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, int] = field(default_factory=dict)
    foreign: Mapping[str, str] = field(default_factory=dict)
    after: Mapping[str, str | None] = field(default_factory=dict)

    @cached_property
    def fingerprint(self) -> str:
        """A short hash of all of it."""
        parts = {f.name: getattr(self, f.name) for f in fields(self)}
        return fingerprint_of(**{**parts, "code": digest_of(self.code)})

    def recorded(self) -> dict[str, Any]:
        """It in plain values, without secrets, for the step's record."""
        from truelift.config import without_secrets

        return {**to_plain(self), "settings": without_secrets(to_plain(self.settings))}


def identity_of(step: Step, settings: Settings, lake: Lake, store: StepStore) -> StepIdentity:
    """The identity that a step would have if it ran now.

    Raises
    ------
    TableError
        If a required table does not exist.
    TrueliftError
        If an input outside of the tables cannot be found.
    """
    held = {name: settings.section(name) for name in step.sections}
    classes = [type(section) for section in held.values() if is_dataclass(section)]
    before = {n: store.read(n, step_named(n).panel(settings)) for n in step.after}
    return StepIdentity(
        step.name,
        code_of([step.module], classes),
        to_plain(held),
        pin_inputs(step, lake),
        _foreign(step, settings),
        {name: record.fingerprint if record else None for name, record in before.items()},
    )


def _foreign(step: Step, settings: Settings) -> dict[str, str]:
    """What pins the inputs outside of the tables, and packages that add rows to our registries."""
    found = {name: text for path in step.foreign for name, text in resolved(path)(settings).items()}
    return found | _packages_that_add_rows()


@cache
def _packages_that_add_rows() -> dict[str, str]:
    groups = [group for group in entry_points().groups if group.startswith(f"{PACKAGE}.")]
    adding = (point.dist for group in groups for point in entry_points(group=group))
    return {f"the package {dist.name}": dist.version for dist in adding if dist is not None}


def pin_inputs(step: Step, lake: Lake) -> dict[str, int]:
    """Versions of the tables that a step reads, as they are now.

    Raises
    ------
    TableError
        For a required table that does not exist, naming the job that writes it.
    """
    inputs = {}
    for read in step.reads:
        name = read.rstrip("?")
        version = lake.version(name)
        if version is not None:
            inputs[name] = version
        elif not read.endswith("?"):
            writer = next((s.name for s in STEPS if name in s.writes), None)
            hint = f" Run '{writer}' first, or the whole pipeline." if writer else ""
            raise TableError(f"{step.name} reads {name}, which {lake.root} does not have.{hint}")
    return inputs


def lost(record: StepRecord, lake: Lake) -> tuple[str, ...]:
    """What a finished step has left that does not stand any more, in words."""
    found = []
    for name, version in sorted(record.outputs.items()):
        now = lake.version(name)
        if now != version and not _others_wrote(record, name, lake):
            is_now = "gone" if now is None else f"at version {now}"
            found.append(f"{name} is {is_now}; the step left version {version}")
    found += [f"{file} is gone" for file in record.files if not Path(file).is_file()]
    return tuple(found)


def _others_wrote(record: StepRecord, name: str, lake: Lake) -> bool:
    """Whether all that a table has got since is of other panels, beside which this one's rows stay."""
    since, now = record.outputs[name], lake.version(name)
    if table_spec(name).partition_by[:1] != ("panel",) or now is None or now < since:
        return False
    own = record.panel or "gold.panel"
    later = [c for c in recent_commits(lake.uri(name), now - since) if c.version > since]
    return all(commit.part not in (None, own) for commit in later)
