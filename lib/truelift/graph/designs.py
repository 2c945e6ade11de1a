"""What identifies beside adjustment: the front door, instruments, and the way through mediators."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, combinations, islice

from truelift.errors import ConfigError
from truelift.graph.adjustment import Adjustment, spoken
from truelift.graph.separation import ancestors, descendants, open_path, separated, separator

#: Nodes that a front door may have, and that an instrument may be conditioned on, where all sets are tried.
_MOST_DOORS, _MOST_GIVEN = 4, 3
#: Ancestors of the outcome that are all tried as parts of a front door; of more, those on the way.
_MOST_FREE = 12
#: Sets of covariates that are tried for mediators.
_MOST_TRIED = 4096


@dataclass(frozen=True)
class Instrument:
    """A node that moves the outcome through the treatment alone, given some.

    Parameters
    ----------
    name : str
    given : tuple of str
        What has to be adjusted for.
    """

    name: str
    given: tuple[str, ...] = ()


@dataclass(frozen=True)
class Mediation:
    """Whether the share of an effect that goes through mediators is identified.

    Parameters
    ----------
    mediators : tuple of str
    given : tuple of str
        Covariates, none of which the treatment changes.
    reason : str
        Empty where natural effects are identified; else what stands in the way.
    """

    mediators: tuple[str, ...]
    given: tuple[str, ...] = ()
    reason: str = ""


def front_door(sets: Adjustment) -> tuple[str, ...] | None:
    """The smallest set of mediators that satisfies the front-door criterion (Pearl 1995).

    They intercept every directed path (some may lie beside it, as covariates do), nothing open leads to them but the treatment's own arrows, and the
    treatment closes what else leads from them to the outcome.
    """
    if not sets.way:
        return None
    ends = {sets.treatment, sets.outcome}
    free = sorted((ancestors(sets.graph.dag, [sets.outcome]) & set(sets.graph.measured)) - ends)
    if len(free) > _MOST_FREE:
        free = sorted((sets.way & set(free)) - ends)
    for size in range(1, min(len(free), _MOST_DOORS) + 1):
        for chosen in combinations(free, size):
            if _is_front_door(sets, chosen):
                return chosen
    return None


def _is_front_door(sets: Adjustment, chosen: Sequence[str]) -> bool:
    dag, treatment, outcome = sets.graph.dag, sets.treatment, sets.outcome
    without = dag.copy()
    without.remove_nodes_from(chosen)
    if outcome in descendants(without, [treatment]):
        return False
    back = dag.copy()
    back.remove_edges_from(list(dag.out_edges(treatment)))
    if open_path(back, treatment, chosen) is not None:
        return False
    back = dag.copy()
    back.remove_edges_from([edge for name in chosen for edge in dag.out_edges(name)])
    return all(separated(back, name, outcome, [treatment]) for name in chosen)


def instruments(sets: Adjustment) -> tuple[Instrument, ...]:
    """Nodes that are instruments given some (Brito & Pearl 2002), each with few covariates.

    What is conditioned on may not be changed by the treatment. All sets of up to three covariates are tried,
    then the separating set among the ancestors (van der Zander, Textor & Liskiewicz 2015); what else is
    needed to read a number from them (monotone responses, or one effect for all) no graph says.
    """
    found = [_instrument(sets, name) for name in sorted(_free(sets))]
    return tuple(one for one in found if one is not None)


def judged_instrument(sets: Adjustment, name: str) -> Instrument:
    """An instrument that was asked for.

    Raises
    ------
    ConfigError
        If it is none: it is latent, does not move the treatment, or moves the outcome by another way.
    """
    if sets.graph.node(name, "--instrument").latent or name in (sets.treatment, sets.outcome):
        raise ConfigError(
            f"--instrument: found {name}, expected a measured node beside the effect's two."
        )
    found = _instrument(sets, name) if name in _free(sets) else None
    if found is None:
        path = open_path(sets.other_paths, name, [sets.outcome])
        told = (
            f"it reaches {sets.outcome} by {spoken(path)}"
            if path
            else "it does not move the treatment"
        )
        raise ConfigError(
            f"--instrument: {name} is no instrument for {sets.treatment} -> {sets.outcome}: {told}, and no "
            "covariates close that. Name another, or mend the graph."
        )
    return found


def _free(sets: Adjustment) -> set[str]:
    """What may be an instrument or be conditioned on beside one: the treatment changes none of it."""
    return sets.allowed - descendants(sets.graph.dag, [sets.treatment])


def _instrument(sets: Adjustment, name: str) -> Instrument | None:
    free = _free(sets) - {name}
    near = sorted(free & ancestors(sets.graph.dag, [name, sets.outcome, sets.treatment]))
    for given in _candidates(sets, name, near):
        closed = separated(sets.other_paths, name, sets.outcome, given)
        if closed and not separated(sets.graph.dag, name, sets.treatment, given):
            return Instrument(name, tuple(sorted(given)))
    return None


def _candidates(sets: Adjustment, name: str, near: list[str]) -> Iterator[Iterable[str]]:
    for size in range(min(_MOST_GIVEN, len(near)) + 1):
        yield from combinations(near, size)
    found = separator(sets.other_paths, name, sets.outcome, near)
    if found is not None:
        yield found


def mediation(sets: Adjustment, mediators: Iterable[str] = ()) -> Mediation | None:
    """Whether natural direct and indirect effects are identified (Pearl 2001, 2014; VanderWeele 2015).

    The covariates close all back doors from the treatment to mediators and outcome and, with the treatment,
    from the mediators to the outcome; none of them is changed by the treatment.

    Parameters
    ----------
    sets : Adjustment
    mediators : iterable of str
        By default all measured nodes on the way.

    Returns
    -------
    Mediation, or None
        None where there is no mediator.

    Raises
    ------
    ConfigError
        For a mediator that is latent or not on the way.
    """
    chosen = tuple(dict.fromkeys(mediators))
    for name in chosen:
        if sets.graph.node(name, "--mediators").latent or name not in sets.way - {sets.outcome}:
            raise ConfigError(
                f"--mediators: found {name}, expected measured nodes on the way from {sets.treatment} to "
                f"{sets.outcome}."
            )
    chosen = chosen or tuple(sorted((sets.way - {sets.outcome}) & set(sets.graph.measured)))
    if not chosen:
        return None
    dag, free = sets.graph.dag, _free(sets)
    # All of them that precede what is asked; a larger set of what the treatment does not change, if it opens
    # a collider, is tried in part.
    near = sorted(free & ancestors(dag, [sets.treatment, sets.outcome, *chosen]))
    tried = [tuple(near), *islice(_subsets(near), _MOST_TRIED)]
    for given in tried:
        if not _in_the_way(sets, chosen, given):
            return Mediation(chosen, tuple(_pruned(sets, chosen, given)))
    return Mediation(chosen, (), _in_the_way(sets, chosen, near))


def _subsets(names: list[str]) -> Iterator[tuple[str, ...]]:
    return chain.from_iterable(combinations(names, size) for size in range(len(names)))


def _in_the_way(sets: Adjustment, chosen: Sequence[str], given: Iterable[str]) -> str:
    """An open path that covariates leave; empty where there is none."""
    dag, treatment, outcome = sets.graph.dag, sets.treatment, sets.outcome
    back = dag.copy()
    back.remove_edges_from(list(dag.out_edges(treatment)))
    path = open_path(back, treatment, [*chosen, outcome], given)
    if path is None:
        # What the treatment changes beside the mediators and that moves both them and the outcome is on an
        # open path here too: the treatment closes none that does not go through it.
        back = dag.copy()
        back.remove_edges_from([edge for name in chosen for edge in dag.out_edges(name)])
        paths = (open_path(back, name, [outcome], {*given, treatment}) for name in chosen)
        path = next(filter(None, paths), None)
    return f"the path {spoken(path)} stays open" if path else ""


def _pruned(sets: Adjustment, chosen: Sequence[str], given: Iterable[str]) -> list[str]:
    kept = sorted(given)
    for name in sorted(given):
        rest = [n for n in kept if n != name]
        if not _in_the_way(sets, chosen, rest):
            kept = rest
    return kept
