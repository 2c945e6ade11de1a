"""truelift: from raw behaviour logs to effects with honest uncertainty.

``import truelift as tl`` gives first results on a table at hand (docs/python.md):
``tl.estimate_effects``, ``tl.evaluate_policies``, ``tl.learn_policy``, ``tl.sessions``,
``tl.fit_recommender``, ``tl.fit_preferences``, ``tl.fit_needs``. Each is loaded when it is first asked for, so the import itself costs nothing.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from truelift.errors import TrueliftError
    from truelift.graph.files import write_graph
    from truelift.public.doses import evaluate_doses
    from truelift.public.effects import estimate_effects
    from truelift.public.experiments import (
        analyze_experiment,
        assign_experiment,
        compare_answers,
        design_experiment,
        interleave,
        preferred,
    )
    from truelift.public.graphs import (
        causal_graph,
        discover,
        draw_graph,
        falsify,
        identify,
        learn_network,
        query,
    )
    from truelift.public.needs import fit_needs
    from truelift.public.policies import evaluate_policies
    from truelift.public.policy import learn_policy
    from truelift.public.preferences import fit_preferences
    from truelift.public.recommender import fit_recommender
    from truelift.public.sessions import sessions
    from truelift.public.shown_ranking import rank_by_effect

__version__ = "0.1.0"

# Where each public name lies.
_PUBLIC = {
    "TrueliftError": "truelift.errors",
    "analyze_experiment": "truelift.public.experiments",
    "causal_graph": "truelift.public.graphs",
    "discover": "truelift.public.graphs",
    "draw_graph": "truelift.public.graphs",
    "falsify": "truelift.public.graphs",
    "identify": "truelift.public.graphs",
    "learn_network": "truelift.public.graphs",
    "query": "truelift.public.graphs",
    "assign_experiment": "truelift.public.experiments",
    "compare_answers": "truelift.public.experiments",
    "design_experiment": "truelift.public.experiments",
    "estimate_effects": "truelift.public.effects",
    "evaluate_doses": "truelift.public.doses",
    "evaluate_policies": "truelift.public.policies",
    "fit_needs": "truelift.public.needs",
    "fit_preferences": "truelift.public.preferences",
    "fit_recommender": "truelift.public.recommender",
    "learn_policy": "truelift.public.policy",
    "interleave": "truelift.public.experiments",
    "preferred": "truelift.public.experiments",
    "rank_by_effect": "truelift.public.shown_ranking",
    "sessions": "truelift.public.sessions",
    "write_graph": "truelift.graph.files",
}

__all__ = [
    "TrueliftError",
    "__version__",
    "analyze_experiment",
    "assign_experiment",
    "causal_graph",
    "compare_answers",
    "design_experiment",
    "discover",
    "draw_graph",
    "estimate_effects",
    "evaluate_doses",
    "evaluate_policies",
    "falsify",
    "fit_needs",
    "fit_preferences",
    "fit_recommender",
    "identify",
    "interleave",
    "learn_network",
    "learn_policy",
    "preferred",
    "query",
    "rank_by_effect",
    "sessions",
    "write_graph",
]


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(_PUBLIC[name]), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
