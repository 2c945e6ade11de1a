"""A verdict on one estimand of one arm, and what all of them say together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

#: How a verdict begins where the data do not support an effect.
NOT_SUPPORTED = "not supported by the data"
#: The estimands that a verdict on the whole is about; the ATO is what is left where they fail.
_DECISIVE, _LAST = ("ATE", "ATT"), "ATO"


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


def decisive(found: Sequence[Support], asked: Sequence[str] = ()) -> list[Support]:
    """The verdicts that one on the whole is about.

    Those on the ATE and the ATT, as far as they were asked for; where neither was, those on what was (the
    ATO, the effect by an instrument).

    Parameters
    ----------
    found : sequence of Support
        Of all arms; see :func:`~truelift.effects.support.verdict.support`.
    asked : sequence of str
        Estimands that the estimates are judged as; none stands for all.
    """
    names = [name for name in _DECISIVE if name in asked]
    names = names or [name for name in asked if name]
    return [s for s in found if s.estimand in (names or _DECISIVE)]


def any_supported(found: Sequence[Support], asked: Sequence[str] = ()) -> bool:
    """Whether the data support what is decisive of any arm; see :func:`decisive`."""
    return any(s.supported for s in decisive(found, asked))


def verdict(found: Sequence[Support], asked: Sequence[str] = ()) -> str:
    """One sentence on what is decisive.

    Parameters
    ----------
    found : sequence of Support
    asked : sequence of str
        As for :func:`decisive`.
    """
    judged = decisive(found, asked)
    if not judged:
        return NOT_SUPPORTED
    last = [s for s in found if s.estimand == _LAST and s.supported and s not in judged]
    last = last if _LAST in asked else []
    if len({s.text for s in judged}) == 1:
        return f"{judged[0].text}{'' if judged[0].supported else _left(last)}"
    good = [s for s in judged if s.supported]
    bad = [s for s in judged if not s.supported]
    if not good:
        return f"{NOT_SUPPORTED}. {' '.join(f'{s.name}: {s.reason}' for s in bad)}{_left(last)}"
    if not bad:
        return max(good, key=lambda s: s.careful).text
    first = bad[0]
    if len(judged) > 2 or first.estimand == good[0].estimand:
        listed = ", ".join(s.name for s in good)
        refused = ", ".join(s.name for s in bad)
        return f"supported for {listed}. Not so {refused}; {first.name}: {first.reason}"
    if first.estimand == "ATT":
        alone = "The ATE and the ATO are supported." if last else "The ATE alone is supported."
        return f"{NOT_SUPPORTED} for the ATT: {first.reason} {alone}"
    which = "the ATT and the ATO" if last else "the ATT only"
    return f"supported for {which}. The ATE is {NOT_SUPPORTED}: {first.reason}"


def _left(last: Sequence[Support]) -> str:
    """That something is left where what is decisive is refused."""
    return f" Supported is the {' and the '.join(s.name for s in last)}." if last else ""
