"""What ``build_panel`` leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class PanelBuilt:
    """A panel that was made, and what it was made of.

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

    def again(self, version: int) -> PanelBuilt:
        """The same panel, found in place."""
        return replace(self, version=version, skipped=True)

    def __str__(self) -> str:
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
