"""What an evaluation of doses leaves behind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from truelift.policy.off_policy.support import UNSUPPORTED

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class DoseEstimate:
    """One estimate of the sweep: an estimator at a bandwidth, with an interval that has no bias in it."""

    policy: str
    reward: str
    estimator: str
    bandwidth: float
    estimate: float
    standard_error: float
    ci_lower: float
    ci_upper: float


@dataclass(frozen=True)
class DoseValue:
    """What decides on a policy: kernel DR at the chosen bandwidth, less its bias.

    Parameters
    ----------
    policy, reward : str
    bandwidth : float
        Two below the one that SLOPE++ chooses along the sweep of kernel DR: half of it on the rule's grid.
    value, standard_error, ci_lower, ci_upper : float
        Without the part of the bias that goes with the square of the bandwidth.
    bias, bias_error : float
        That part, as it is estimated, of the plain estimate at this bandwidth.
    difference, difference_error, band_lower : float
        Against the policy that wrote the log, and its lower bound for all policies together.
    effective_rows : float
        What the weighted rows are worth.
    verdict, support : str
        Of the log, with the reason.
    ships : bool
    reason : str
    present : float
        What the policy that wrote the log earned a row.
    """

    policy: str
    reward: str
    bandwidth: float
    value: float
    standard_error: float
    ci_lower: float
    ci_upper: float
    bias: float
    bias_error: float
    difference: float
    difference_error: float
    band_lower: float
    effective_rows: float
    verdict: str
    support: str
    ships: bool
    reason: str
    present: float


@dataclass(frozen=True, repr=False)
class DosesResult:
    """Values of policies of doses, and the whole sweep of estimates.

    ``densities`` says how they were come by where the log has none.
    """

    table: str
    table_version: int
    rows: int
    users: int
    estimates: tuple[DoseEstimate, ...]
    values: tuple[DoseValue, ...]
    confidence: float
    margin: float
    run_id: str = ""
    densities: str = ""

    @property
    def exit_code(self) -> int:
        """3 where the log supports no policy."""
        return 0 if any(v.verdict != UNSUPPORTED for v in self.values) else 3

    def value(self, policy: str, reward: str) -> DoseValue:
        """What decides on a policy."""
        return next(v for v in self.values if (v.policy, v.reward) == (policy, reward))

    def to_pandas(self) -> pd.DataFrame:
        """One row an estimate of the sweep."""
        import pandas as pd

        return pd.DataFrame([vars(e) for e in self.estimates])

    def summary(self) -> str:
        """Each policy in sentences, then its sweep."""
        lines = [
            f"{self.rows:,} rows of {self.users:,} users in {self.table}; densities {self.densities or 'logged'}."
        ]
        for v in self.values:
            lines += ["", judged(v), *_support(v)]
            names = ("kernel IPS", "kernel SNIPS", "kernel DR")
            lines.append(f"  {'bandwidth':>11}" + "".join(f"{name:>24}" for name in names))
            own = [e for e in self.estimates if (e.policy, e.reward) == (v.policy, v.reward)]
            for width in dict.fromkeys(e.bandwidth for e in own):
                mark = "*" if width == v.bandwidth else " "
                here = {
                    e.estimator: f"{e.estimate:.5g} ±{e.standard_error:.2g}" for e in own if e.bandwidth == width
                }  # fmt: skip
                told = "".join(f"{here.get(name, 'no dose so near'):>24}" for name in names)
                lines.append(f" {mark}{width:>11.4g}{told}")
        lines.append(
            "* below the bandwidth that SLOPE++ chooses (half of it on the rule's grid); the sweep's errors have no bias "
            "in them, the value's interval has it taken out."
        )
        return "\n".join(lines)

    def __repr__(self) -> str:
        return self.summary()


def judged(v: DoseValue) -> str:
    """A policy in a sentence."""
    if v.verdict == UNSUPPORTED:
        return f"{v.policy}: not supported by the log: {v.support}."
    return (
        f"{v.policy} earns {v.value:.5g} {v.reward} a row [{v.ci_lower:.5g}, {v.ci_upper:.5g}] by kernel DR at "
        f"the bandwidth {v.bandwidth:.4g}; {v.difference:+.5g} ± {v.difference_error:.2g} against the present policy's {v.present:.5g}. "
        f"{'Ships' if v.ships else 'Does not ship'}: {v.reason}."
    )


def _support(v: DoseValue) -> list[str]:
    if v.verdict == UNSUPPORTED:
        return []
    return [
        f"  support: {v.verdict} ({v.support}); smoothing moves the plain estimate by {v.bias:+.3g} ± "
        f"{v.bias_error:.2g}, which is taken out"
    ]
