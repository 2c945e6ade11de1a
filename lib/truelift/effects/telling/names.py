"""Names as people read them: arms that are codes, the unit that errors are clustered by.

Nouns come from the specification, its labels or its own columns, or they are neutral: a table of
e-mails is not told about flyers, and one of shops not about users.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from truelift.effects.credibility.assessment import Credibility
    from truelift.effects.experiment.results import Experiment
    from truelift.effects.results import EffectsResult

T = TypeVar("T")
Words = Mapping[str, str]

_YES, _NO = ("1", "true", "yes"), ("0", "false", "no")
#: A column's name that says no more than that somebody was treated.
_PLAIN = ("", "treated", "treatment", "is_treated")
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_KEY_ENDINGS = ("_id", "_key", "_uuid", "_number", "_no", "_hash")
# Columns that name no kind of thing, only that rows belong together.
_NO_NOUN = ("id", "key", "uuid", "index", "unit", "row", "cluster", "group")


def is_code(label: str) -> bool:
    """Whether an arm's label is a code that needs its column's name to be understood."""
    return bool(_NUMBER.fullmatch(label)) or label.lower() in ("true", "false", "yes", "no")


def arm_words(labels: list[str], treatment: str = "") -> dict[str, str]:
    """What to call each arm: ``treated`` and ``untreated``, ``mailed = yes``, ``dose 3``, ``mail``.

    Parameters
    ----------
    labels : list of str
        The arms, the control first.
    treatment : str
        The treatment's column; empty where it is not known.
    """
    lower = {label: label.lower() for label in labels}
    yes = [label for label in labels if lower[label] in _YES]
    no = [label for label in labels if lower[label] in _NO]
    if len(labels) == 2 and len(yes) == len(no) == 1:
        plain = treatment.lower() in _PLAIN
        told = ("untreated", "treated") if plain else (f"{treatment} = no", f"{treatment} = yes")
        return {label: told[label in yes] for label in labels}
    column = treatment or "arm"
    words = {label: f"{column} {label}" if is_code(label) else label for label in labels}
    return words if len(set(words.values())) == len(labels) else {label: label for label in labels}


def cluster_noun(column: str) -> str:
    """The plural of what errors are clustered by: ``customer_id`` as ``customers``.

    A column whose name is no noun gives ``clusters``.
    """
    name = column.lower()
    for ending in _KEY_ENDINGS:
        name = name.removesuffix(ending)
    name = name.replace("_", " ").strip()
    if len(name) < 3 or name in _NO_NOUN or not re.fullmatch(r"[a-z ]+", name):
        return "clusters"
    return name if name.endswith("s") else plural_of(name)


def plural_of(noun: str) -> str:
    """The plural of a noun: ``customers``, ``parties``, ``boxes``."""
    if noun.endswith("y") and noun[-2:-1] not in "aeiou":
        return f"{noun[:-1]}ies"
    return f"{noun}es" if noun.endswith(("s", "x", "ch", "sh")) else f"{noun}s"


def with_article(noun: str) -> str:
    """A noun with its indefinite article: ``a user``, ``an offer``."""
    return f"{'an' if noun[:1].lower() in tuple('aeio') else 'a'} {noun}"


def sentence_case(text: str) -> str:
    """A text as it begins a sentence."""
    return text[:1].upper() + text[1:]


@dataclass(frozen=True)
class Nouns:
    """What the specification calls a subject and the treatment, in the singular.

    With both of them and two arms more can be said than numbers: who got one, who did not.
    """

    subject: str
    treatment: str

    @property
    def subjects(self) -> str:
        """The plural of a subject."""
        return plural_of(self.subject)

    @property
    def treatments(self) -> str:
        """The plural of a treatment."""
        return plural_of(self.treatment)

    @property
    def over(self) -> str:
        """What an outcome is counted over."""
        return f"per {self.subject} and {self.treatment}"


def nouns_of(result: EffectsResult) -> Nouns | None:
    """The labels of a result, if its specification gives both."""
    labels = result.design.labels
    subject, treatment = labels.get("subject", ""), labels.get("treatment", "")
    return Nouns(subject, treatment) if subject and treatment else None


def clusters_of(result: EffectsResult) -> str:
    """The plural of what the result's errors are clustered by."""
    return cluster_noun(result.design.cluster)


def counted(value: int, plural: str) -> str:
    """A count with its noun: ``1 customer``, ``2 customers``."""
    one = plural
    if value == 1:
        one = f"{plural[:-3]}y" if plural.endswith("ies") else plural.removesuffix("s")
    return f"{value:,} {one}"


def joined(parts: list[str], last: str = "and") -> str:
    """A list in words: ``a, b and c``."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def in_words(result: EffectsResult) -> EffectsResult:
    """The same result with words in place of codes of arms, wherever it names an arm.

    It is for reading: estimates keep their numbers, and ``supports`` its answers.
    """
    words = arm_words(list(result.arms), result.design.treatment)
    support = tuple(
        replace(
            s,
            arm=words.get(s.arm, s.arm),
            reasons=tuple(_in_text(text, words) for text in s.reasons),
        )
        for s in result.support
    )
    keys = {old.name: new.name for old, new in zip(result.support, support, strict=True)}
    return replace(
        result,
        estimates=tuple(_compared(e, words) for e in result.estimates),
        followed=tuple(_compared(e, words) for e in result.followed),
        arms={words[label]: units for label, units in result.arms.items()},
        overlaps={words.get(label, label): o for label, o in result.overlaps.items()},
        support=support,
        verdict=_in_text(_renamed(result.verdict, keys), words),
        nuisance={_nuisance_name(key, words): v for key, v in result.nuisance.items()},
        tests=tuple(_compared(test, words) for test in result.tests),
        heterogeneity=tuple(_compared(v, words) for v in result.heterogeneity),
        experiment=_experiment(result.experiment, words, clusters_of(result)),
        credibility=_credibility(result.credibility, words),
        not_made={
            _not_made(name, words): _in_text(why, words) for name, why in result.not_made.items()
        },
        cautions=tuple(
            replace(
                c,
                text=_in_text(c.text, words),
                arms=tuple(words.get(arm, arm) for arm in c.arms),
            )
            for c in result.cautions
        ),
        design=replace(
            result.design,
            chances={words.get(a, a): _rounded(told) for a, told in result.design.chances.items()},
        ),
    )


def _rounded(chance: str) -> str:
    """A known chance with four digits; a column's name as it is."""
    try:
        return f"{float(chance):.4g}"
    except ValueError:
        return chance


def _compared(part: T, words: Words) -> T:
    """An estimate, a test or a variation with its arms in words."""
    item: Any = part
    changes = {"arm": words.get(item.arm, item.arm), "versus": words.get(item.versus, item.versus)}
    population = getattr(item, "population", "")
    if population == f"units of arm {item.arm}" and item.arm in words:
        changes["population"] = units_with(words[item.arm])
    renamed: T = replace(item, **changes)
    return renamed


def units_with(arm: str) -> str:
    """The units of an arm that is in words."""
    return f"the {arm} units" if arm in ("treated", "untreated") else f"the units with {arm}"


def _renamed(text: str, names: Words) -> str:
    """A text with names of verdicts replaced, each as a whole."""
    several = {old: new for old, new in names.items() if old != new}
    if not several:
        return text
    longest = sorted(several, key=len, reverse=True)
    pattern = "|".join(rf"\b{re.escape(name)}(?!\w)" for name in longest)
    return re.sub(pattern, lambda found: several[found.group()], text)


def _in_text(text: str, words: Words) -> str:
    """A sentence of a check with its arms in words, where it says that they are arms."""
    changed = {label: word for label, word in words.items() if label != word}
    if not changed:
        return text
    labels = "|".join(re.escape(label) for label in sorted(changed, key=len, reverse=True))
    named = rf"\b((?:effects?|ATE|ATT|ATO) of|(?:of|with) arm) ({labels})(?=[\s.,:;)]|$)"
    text = re.sub(named, lambda m: f"{m[1].removesuffix(' arm')} {changed[m[2]]}", text)
    sizes = rf"(units |weight |\), )({labels})(?= [\d,]+ \([\d,]+ expected\))"
    return re.sub(sizes, lambda m: f"{m[1]}{changed[m[2]]}", text)


def _nuisance_name(key: str, words: Words) -> str:
    label, dot, outcome = key.removeprefix("r2_").partition(".")
    return f"r2_{words[label]}{dot}{outcome}" if key.startswith("r2_") and label in words else key


def _not_made(name: str, words: Words) -> str:
    what, of, rest = name.partition(" of ")
    arm, on, outcome = rest.partition(" on ")
    return f"{what}{of}{words[arm]}{on}{outcome}" if arm in words else name


def _experiment(experiment: Experiment | None, words: Words, noun: str) -> Experiment | None:
    if experiment is None:
        return None
    assigned = noun if experiment.assigned == "clusters" else experiment.assigned
    made = tuple(_compared(e, words) for e in experiment.estimates)
    return replace(experiment, estimates=made, assigned=assigned)


def contrast_in_words(contrast: str, words: Words) -> str:
    """``'1 against 0'`` as ``'treated against untreated'``."""
    arm, against, versus = contrast.partition(" against ")
    return f"{words.get(arm, arm)}{against}{words.get(versus, versus)}"


def _credibility(found: Credibility | None, words: Words) -> Credibility | None:
    if found is None:
        return None
    parts = {name: getattr(found, name) for name in found.__dataclass_fields__}
    return replace(
        found,
        **{
            name: tuple(
                replace(check, contrast=contrast_in_words(check.contrast, words))
                if hasattr(check, "contrast")
                else check
                for check in checks
            )
            for name, checks in parts.items()
        },
    )
