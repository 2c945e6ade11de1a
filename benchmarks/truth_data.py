"""Data whose effects are known, as arrays: IHDP, ACIC 2016, RealCause, LaLonde."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

VARIABLE = "TRUELIFT_SHARED_DATA"
EXPERIMENT = 1794.34  # LaLonde's experiment: difference in mean earnings of 1978, dollars
HELD_OUT = 0.1
REALCAUSE = ("twins_0.csv.gz", "lalonde_cps_0.csv.gz", "lalonde_psid_0.csv")


@dataclass(frozen=True, eq=False)
class Draw:
    """One table and the truth about it.

    Parameters
    ----------
    benchmark, name : str
    x : pandas.DataFrame
        Covariates, all numbers.
    t, y : ndarray, n
    effect : ndarray, n, or None
        Each unit's true effect: of the means (``exact``), or of two realised outcomes.
    exact : bool
    held_out : ndarray of bool, n
        Units that no model sees, where effects of units are forecast.
    att : float, optional
        Where only the experiment's answer is known.
    """

    benchmark: str
    name: str
    x: pd.DataFrame
    t: np.ndarray
    y: np.ndarray
    effect: np.ndarray | None
    exact: bool
    held_out: np.ndarray
    att: float | None = None

    def truths(self) -> tuple[float | None, float]:
        """ATE and ATT over the units that models see."""
        if self.effect is None:
            return None, float(self.att or np.nan)
        seen, treated = ~self.held_out, self.t == 1
        return float(self.effect[seen].mean()), float(self.effect[seen & treated].mean())


def data_folder(given: str | None) -> Path | None:
    """The folder ``causal``, or None where there is none."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    place = Path(given or os.environ.get(VARIABLE) or default)
    for folder in (place / "causal", place):
        if (folder / "ihdp_npci_1.csv").exists():
            return folder
    return None


def draws(folder: Path, only: str | None = None) -> Iterator[Draw]:
    """All draws, or those of one benchmark."""
    makers = {"IHDP": _ihdp, "ACIC 2016": _acic, "RealCause": _realcause, "LaLonde": _lalonde}
    for name, maker in makers.items():
        if only is None or only == name:
            yield from maker(folder)


def _ihdp(folder: Path) -> Iterator[Draw]:
    for number in range(1, 10):
        table = pd.read_csv(folder / f"ihdp_npci_{number}.csv", header=None)
        x = table.iloc[:, 5:].astype(float)
        x.columns = [f"x_{j + 1}" for j in range(x.shape[1])]
        effect = (table[4] - table[3]).to_numpy()
        out = _held_out(len(x), number)
        t, y = table[0].to_numpy(), table[1].to_numpy()
        yield Draw("IHDP", f"{number}", x, t, y, effect, True, out)


def _acic(folder: Path) -> Iterator[Draw]:
    x = pd.get_dummies(pd.read_csv(folder / "acic2016_x.csv")).astype(float)
    for number in range(1, 4):
        table = pd.read_csv(folder / f"acic2016_zymu_{number}.csv")
        t = table["z"].to_numpy()
        y = np.where(t == 1, table["y1"], table["y0"])
        effect = (table["mu1"] - table["mu0"]).to_numpy()
        yield Draw("ACIC 2016", f"{number}", x, t, y, effect, True, _held_out(len(x), number))


def _realcause(folder: Path) -> Iterator[Draw]:
    for file in REALCAUSE:
        table = pd.read_csv(folder / f"realcause_{file}")
        x = table.drop(columns=["t", "y", "y0", "y1", "ite"]).astype(float)
        t, y = table["t"].to_numpy().astype(int), table["y"].to_numpy()
        effect = table["ite"].to_numpy()
        nobody = np.zeros(len(x), dtype=bool)
        yield Draw("RealCause", file.partition("_0")[0], x, t, y, effect, False, nobody)


def _lalonde(folder: Path) -> Iterator[Draw]:
    experiment = pd.read_stata(folder / "nsw_mixtape.dta")
    others = pd.read_stata(folder / "cps_mixtape.dta")
    names = ["age", "educ", "black", "hisp", "marr", "nodegree", "re74", "re75"]
    both = pd.concat([experiment[experiment["treat"] == 1], others])
    for name, table in (("experiment", experiment), ("CPS controls", both)):
        x = table[names].astype(float).reset_index(drop=True)
        x["no earnings 74"], x["no earnings 75"] = (x["re74"] == 0) * 1.0, (x["re75"] == 0) * 1.0
        t, y = table["treat"].to_numpy().astype(int), table["re78"].to_numpy().astype(float)
        nobody = np.zeros(len(x), dtype=bool)
        yield Draw("LaLonde", name, x, t, y, None, False, nobody, EXPERIMENT)


def _held_out(units: int, seed: int) -> np.ndarray:
    random = np.random.default_rng([2016, seed])
    chosen = np.zeros(units, dtype=bool)
    chosen[random.permutation(units)[: round(HELD_OUT * units)]] = True
    return chosen


def measured(
    draw: Draw, ate: tuple[float, float] | None, att: tuple[float, float] | None,
    forecasts: dict[str, np.ndarray], seconds: float,
) -> dict[str, float]:  # fmt: skip
    """Errors of one learner on one draw.

    Parameters
    ----------
    draw : Draw
    ate, att : (float, float), optional
        Estimate and standard error over the units seen.
    forecasts : dict of str to ndarray, n
        Effects of all units, held-out ones with models that have not seen them.
    seconds : float
    """
    true_ate, true_att = draw.truths()
    found = {"seconds": seconds}
    for name, estimate, truth in (("ate", ate, true_ate), ("att", att, true_att)):
        if estimate is not None and truth is not None:
            found[name] = estimate[0]
            found[f"{name}_error"] = abs(estimate[0] - truth)
            found[f"{name}_covers"] = float(abs(estimate[0] - truth) <= 1.96 * estimate[1])
            found[f"{name}_standard_error"] = estimate[1]
    if draw.effect is not None and draw.exact:
        for name, forecast in forecasts.items():
            wrong = forecast - draw.effect
            found[f"pehe_in_{name}"] = float(np.sqrt(np.mean(wrong[~draw.held_out] ** 2)))
            found[f"pehe_out_{name}"] = float(np.sqrt(np.mean(wrong[draw.held_out] ** 2)))
            found[f"ate_error_out_{name}"] = float(abs(np.mean(wrong[draw.held_out])))
    return found
