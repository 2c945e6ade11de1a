"""How results name what they are about."""

from __future__ import annotations


def of(estimand: str, outcome: str, contrast: str) -> str:
    """``'ATE on y_spend (arm 1 against control)'``, as far as there are names."""
    text = estimand or "Effect"
    if outcome:
        text += f" on {outcome}"
    return text + (f" ({contrast})" if contrast else "")
