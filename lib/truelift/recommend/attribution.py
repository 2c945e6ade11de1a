"""What a recommendation rests on: the history with one interaction left out at a time.

The attribution of an interaction is how much the log-probability of the item (softmax over all
items) falls without it. This is occlusion (Zeiler & Fergus 2014; "leave one out" in Li, Monroe &
Jurafsky 2016): it asks nothing of a model but scores, so it is the same for all of them, and
unlike a gradient it is right where the model is not linear. ``exp`` of it reads "so many times
as likely because of this".
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from truelift.models.sequence.histories import Histories, joined


@dataclass(frozen=True)
class Attribution:
    """One user's recommendation.

    Parameters
    ----------
    user_key : str
    item : int
        Index of the recommended item.
    recent : numpy.ndarray of int32
        Item indices of the latest interactions, the most recent first.
    gains : numpy.ndarray of float
        Log-probability of ``item`` less that without the interaction, as ``recent``.
    """

    user_key: str
    item: int
    recent: np.ndarray
    gains: np.ndarray


def attributions(
    ranker: Any, histories: Histories, items: Sequence[int], latest: int
) -> list[Attribution]:
    """Attribute one recommended item of each user to the user's latest interactions.

    Parameters
    ----------
    ranker : object
        Gives ``scores(histories)``, shape (n, items + 1).
    histories : Histories
    items : sequence of int
        The item to explain, one a user.
    latest : int
        Interactions to look at; the scorer is asked for one history more a user.
    """
    return [
        _attribution(ranker, histories.slice(user, user + 1), int(item), latest)
        for user, item in enumerate(items)
    ]


def _attribution(ranker: Any, history: Histories, item: int, latest: int) -> Attribution:
    events = len(history.items)
    places = np.arange(events)[::-1][:latest]
    without = [history.keep(np.arange(events) != place) for place in places]
    scores = np.asarray(ranker.scores(joined([history, *without])))[:, 1:].astype(np.float64)
    peak = scores.max(axis=1)
    log_chance = scores[:, item - 1] - peak - np.log(np.exp(scores - peak[:, None]).sum(axis=1))
    return Attribution(
        str(history.users[0]), item, history.items[places], log_chance[0] - log_chance[1:]
    )


def attribution_figure(found: Sequence[Attribution], names: Sequence[str]) -> Any:
    """One panel a user: a bar an interaction, the most recent at the top, on one scale.

    Parameters
    ----------
    found : sequence of Attribution
    names : sequence of str
        Name of item index ``i`` at place ``i``.
    """
    from matplotlib.figure import Figure

    most = max((len(a.recent) for a in found), default=1)
    figure = Figure(figsize=(5 * max(len(found), 1), 1.6 + 0.3 * most), layout="constrained")
    panels = figure.subplots(1, max(len(found), 1), squeeze=False, sharex=True)[0]
    figure.suptitle(
        "What the first recommendation rests on: each item left out in turn", fontsize=11
    )
    for panel, one in zip(panels, found, strict=False):
        place = np.arange(len(one.recent))
        panel.barh(place, one.gains, color=np.where(one.gains >= 0, "C0", "C1"))
        panel.set_yticks(place, [_cut(names[i], 28) for i in one.recent])
        panel.invert_yaxis()
        panel.axvline(0, color="0.5", linewidth=1)
        title = f"{_cut(names[one.item], 26)}\nfor user {_cut(one.user_key, 24)}"
        panel.set_title(title, fontsize=10)
        panel.set_xlabel("log-probability lost (nats)")
        panel.spines[["top", "right"]].set_visible(False)
    return figure


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
