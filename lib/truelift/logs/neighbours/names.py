"""Names and meanings of the rules on neighbours, and what they do to a row."""

from __future__ import annotations

from truelift.logs.bots import DAY_SIGNS
from truelift.settings.clean import NEIGHBOUR_RULES

DUPLICATE = "duplicate"
REPEATED = "repeated_event_id"
DOUBLE_CLICK, MISCLICK = "double_click", "misclick"
RETURN, ORPHAN = "return_of_purchase", "return_without_purchase"
COPIES = {
    DUPLICATE: "The row repeats an earlier one, value for value.",
    REPEATED: "The event id came before, within clean.repeats.repeat_window_seconds.",
}
SLIPS = {
    DOUBLE_CLICK: "The user did the same with the item within clean.repeats.double_click_seconds.",
    MISCLICK: "The user left for another item within clean.repeats.misclick_seconds.",
}
RETURNS = {
    RETURN: "A return; the context names the purchase (purchase_event_id).",
    ORPHAN: "A return without a purchase within clean.repeats.return_days before it.",
}
LINK = "purchase_event_id"


def default_action(name: str) -> str:
    """What a neighbour rule does unless ``clean.actions`` says otherwise."""
    return "reject" if name in COPIES or name in SLIPS else "label"


def neighbour_labels() -> tuple[str, ...]:
    """Names that these rules may put on a row, in their order; every cleaning takes them anew."""
    ours = (*COPIES, *SLIPS, *RETURNS, *DAY_SIGNS)
    return (*ours, *(n for n in NEIGHBOUR_RULES.names if n not in NEIGHBOUR_RULES.own))
