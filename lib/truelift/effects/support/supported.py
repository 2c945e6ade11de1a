"""A verdict on one estimand of one arm, and what all of them say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: How a verdict begins where the data do not support an effect.
NOT_SUPPORTED = "not supported by the data"
#: The estimands that a verdict on the whole is about; the ATO is what is left where they fail.
_DECISIVE = ("ATE", "ATT")


@dataclass(frozen=True)
class Support:
    """Whether the data support an estimand.

    Parameters
    ----------
    estimand : str
        Its name, such as ``'ATE'``.
    arm : str
        The arm that it is of; empty where there is only one beside the control.
    supported : bool
    reasons : tuple of str
        Whole sentences: what stands against it, or why it is supported.
    careful : bool
        Of one that is supported: whether something is to be kept in mind.
    """

    estimand: str
    arm: str
    supported: bool
    reasons: tuple[str, ...] = ()
    careful: bool = False

    @property
    def name(self) -> str:
        """``'ATE'``, or with several arms ``'ATE of mail'``."""
        return f"{self.estimand} of {self.arm}" if self.arm else self.estimand

    @property
    def reason(self) -> str:
        """All reasons, one after the other."""
        return " ".join(self.reasons)

    @property
    def text(self) -> str:
        """``'supported: ...'``, ``'supported, with care: ...'`` or ``'not supported ...: ...'``."""
        said = "supported, with care" if self.careful else "supported"
        said = said if self.supported else NOT_SUPPORTED
        return f"{said}: {self.reason}" if self.reasons else said

    def concerns(self, estimand: str, arms: Sequence[str] = ()) -> bool:
        """Whether it is about this estimand of one of the arms; without arms, of any."""
        return self.estimand == estimand and (not arms or not self.arm or self.arm in arms)

    def stopped(self, reasons: Sequence[str]) -> Support:
        """The same with reasons that take the support away, after those that did so already."""
        before = () if self.supported else self.reasons
        new = tuple(text for text in reasons if not any(text in known for known in before))
        return replace(self, supported=False, careful=False, reasons=(*before, *new))


def any_supported(found: Sequence[Support]) -> bool:
    """Whether the data support the ATE or the ATT of any arm."""
    return any(s.supported for s in found if s.estimand in _DECISIVE)


def verdict(found: Sequence[Support]) -> str:
    """One sentence on the ATE and the ATT.

    Parameters
    ----------
    found : sequence of Support
        Of all arms; see :func:`~truelift.effects.verdict.support`.
    """
    asked = [s for s in found if s.estimand in _DECISIVE]
    if not asked:
        return NOT_SUPPORTED
    if len({s.text for s in asked}) == 1:
        return asked[0].text
    good = [s for s in asked if s.supported]
    bad = [s for s in asked if not s.supported]
    if not good:
        return f"{NOT_SUPPORTED}. {' '.join(f'{s.name}: {s.reason}' for s in bad)}"
    if not bad:
        return max(good, key=lambda s: s.careful).text
    first = bad[0]
    if len(asked) > 2:
        listed = ", ".join(s.name for s in good)
        refused = ", ".join(s.name for s in bad)
        return f"supported for {listed}. Not so {refused}; {first.name}: {first.reason}"
    if first.estimand == "ATT":
        return f"{NOT_SUPPORTED} for the ATT: {first.reason} The ATE alone is supported."
    return f"supported for the ATT only. The ATE is {NOT_SUPPORTED}: {first.reason}"
