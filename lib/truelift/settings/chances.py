"""Known chances of a treatment's arms: each between zero and one, and all of them adding up to one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING

from truelift.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np

#: How far from one the chances of all arms may add up. Six digits of a third are 1e-6 away; columns
#: of single precision 1e-7.
CHANCES_TOLERANCE = 2e-6


def are_chances(chances: Collection[float] | np.ndarray) -> bool:
    """Whether every number lies strictly between zero and one, and all of them add up to one."""
    fine = all(0 < chance < 1 for chance in chances)
    return fine and abs(float(sum(chances)) - 1.0) <= CHANCES_TOLERANCE


def check_chances(key: str, stated: Mapping[str, str | float], arms: Collection[str] = ()) -> None:
    """Refuse numbers that cannot be the chances of a treatment's arms.

    Parameters
    ----------
    key : str
        Of the settings, for the message.
    stated : mapping
        By arm a number, or the name of a column, whose rows are checked when they are read.
    arms : collection of str
        All arms where they are known. The one arm that has no chance stated gets what is left.

    Raises
    ------
    ConfigError
        For a number outside (0, 1), or numbers that do not add up to one.
    """
    numbers = {arm: number for arm, text in stated.items() if (number := _number(text)) is not None}
    for arm, number in numbers.items():
        if not 0.0 < number < 1.0:
            raise ConfigError(
                f"{key}: the chance of arm {arm!r} is {stated[arm]!r}, expected a number above 0 "
                "and below 1. An arm that nobody can have, or that everybody has, has no effect "
                "to estimate: filter these rows out."
            )
    total = float(sum(numbers.values()))
    listed = " + ".join(str(stated[arm]) for arm in numbers)
    # By their number: labels may be written in other ways, and arms that are left out be stated.
    complete = len(numbers) == len(stated) > 1 and len(set(arms)) <= len(stated)
    if complete and abs(total - 1.0) > CHANCES_TOLERANCE:
        raise ConfigError(
            f"{key}: the chances of the arms add up to {total:.6g} ({listed}), expected 1. Give "
            "each arm its own chance, with six digits (0.333333) or more where it is no round "
            "number; of two arms one may be left out."
        )
    if not complete and len(numbers) > 0 and total >= 1.0 - CHANCES_TOLERANCE:
        raise ConfigError(
            f"{key}: the chances {listed} add up to {total:.6g} and leave nothing for the other "
            "arms; expected less than 1."
        )


def _number(value: str | float) -> float | None:
    try:
        return float(value)
    except ValueError:
        return None
