"""What labels by lot say of rankers, beside what the log would have said."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class LotFigure:
    """A figure of a ranker, with 95% intervals over users.

    Parameters
    ----------
    model, measure : str
    value, lower, upper : float
        On the rows by lot.
    logs, logs_lower, logs_upper : float, optional
        As the log has it, by inverse chances; None where it cannot say.
    """

    model: str
    measure: str
    value: float
    lower: float
    upper: float
    logs: float | None = None
    logs_lower: float | None = None
    logs_upper: float | None = None


@dataclass(frozen=True)
class LotEvaluation:
    """Rankers on a table of labels that were drawn by lot.

    Parameters
    ----------
    table : str
        Its address.
    rows, users : int
        That judged.
    known : int
        Rows of an item that the user's history has: the models were fitted on them.
    repeated, contradicted : int
        Rows that came again, and those of one user and item that disagree.
    strangers : int
        Rows of users without a history before the evaluated part, or without user, item or label.
    unknown_items : int
        Rows, of those that judged, with an item that the catalogue does not have; it is ranked last.
    logged_users : int
        Users of the log that its own figures are of.
    figures : tuple of LotFigure
    """

    table: str
    rows: int
    users: int
    known: int
    repeated: int
    contradicted: int
    strangers: int
    unknown_items: int
    logged_users: int
    figures: tuple[LotFigure, ...]

    def figure(self, model: str, measure: str) -> LotFigure | None:
        """One figure; None if absent."""
        return next((f for f in self.figures if (f.model, f.measure) == (model, measure)), None)

    @property
    def models(self) -> tuple[str, ...]:
        """The rankers."""
        return tuple(dict.fromkeys(f.model for f in self.figures))

    def metrics(self) -> dict[str, float]:
        """Figures by flat names, for MLflow."""
        found = {f"by_lot.{f.measure}.{f.model}": f.value for f in self.figures}
        return found | {
            f"from_logs.{f.measure}.{f.model}": f.logs for f in self.figures if f.logs is not None
        }

    def left_out(self) -> str:
        """A sentence on the rows that judge nothing; empty if there are none."""
        told = {
            "of an item that the user had": self.known, "that come again": self.repeated,
            "that contradict one another": self.contradicted,
            "of users without a history, or without a value": self.strangers,
        }  # fmt: skip
        parts = [f"{count:,} {what}" for what, count in told.items() if count]
        return f"Rows left out: {', '.join(parts)}." if parts else ""

    def to_pandas(self) -> pd.DataFrame:
        """A row a figure."""
        import pandas as pd

        return pd.DataFrame([asdict(f) for f in self.figures])

    def summary(self) -> str:
        """A line a ranker."""
        lines = [
            f"labels by lot: {self.rows:,} rows of {self.users:,} users ({self.table}); the log is of {self.logged_users:,}"
        ]
        for model in self.models:
            told = []
            for f in (f for f in self.figures if f.model == model):
                logs = ""
                if f.logs is not None:
                    logs = (
                        f"; log by weights {f.logs:.4f}, {f.logs_lower:.4f} to {f.logs_upper:.4f}"
                    )
                told.append(f"{f.measure} {f.value:.4f} ({f.lower:.4f} to {f.upper:.4f}{logs})")
            lines.append(f"  {model}: {', '.join(told)}")
        return "\n".join([*lines, *([self.left_out()] if self.left_out() else [])])

    def __repr__(self) -> str:
        return f"LotEvaluation({self.summary()})"
