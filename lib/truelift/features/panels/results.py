"""What ``build_panel`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, field, replace


@dataclass(frozen=True)
class PanelBuilt:
    """A panel that was made, and what it was made of; or why there is none.

    Parameters
    ----------
    name, uri : str
    version : int
        Delta version of the panel.
    units : int
        Rows.
    arms : dict of str to int
        Units by arm.
    occasions : int
    excluded : dict of str to str
        Occasions that were left out, with the reason.
    sources : dict of str to str
        ``URI@version`` by source.
    spec_hash : str
        Fingerprint of the specification.
    skipped : bool
        Whether it was there already.
    treatment, occasion, cluster : str
        Their columns.
    control : str
        The arm that others are compared with.
    outcomes : tuple of str
    measured_in : dict of str to str
        By outcome, what its numbers count.
    labels : dict of str to str
        What a subject and a treatment are called, in the singular.
    missing : str
        Why there is no panel; empty where there is one.
    """

    name: str
    uri: str
    version: int
    units: int
    arms: dict[str, int]
    occasions: int
    excluded: dict[str, str]
    sources: dict[str, str]
    spec_hash: str
    skipped: bool = False
    treatment: str = ""
    occasion: str = ""
    cluster: str = ""
    control: str = ""
    outcomes: tuple[str, ...] = ()
    measured_in: dict[str, str] = field(default_factory=dict)
    labels: dict[str, str] = field(default_factory=dict)
    missing: str = ""

    @classmethod
    def none(cls, name: str, why: str) -> PanelBuilt:
        """There is no panel."""
        return cls(name, "", -1, 0, {}, 0, {}, {}, "", missing=why)

    @property
    def treated(self) -> int:
        """Units of all arms but the control."""
        return sum(units for arm, units in self.arms.items() if arm != self.control)

    def again(self, version: int) -> PanelBuilt:
        """The same panel, found in place."""
        return replace(self, version=version, skipped=True)

    def __str__(self) -> str:
        if self.missing:
            return f"There is no panel {self.name}: {self.missing}."
        how = "is there already" if self.skipped else "written"
        arms = ", ".join(f"{name} {n:,}" for name, n in self.arms.items())
        lines = [
            f"{self.name} {how}: {self.units:,} units on {self.occasions:,} occasions ({arms}).",
            *(f"  without {name}: {why}" for name, why in sorted(self.excluded.items())[:12]),
        ]
        if len(self.excluded) > 12:
            lines.append(f"  and {len(self.excluded) - 12} further occasions left out")
        lines.append(f"Estimate on it: truelift estimate_effects --table {self.uri}@{self.version}")
        return "\n".join(lines)
