"""How results name what they are about."""

from __future__ import annotations

from truelift.effects.telling.names import is_code


def of(estimand: str, outcome: str, contrast: str) -> str:
    """``'ATE on y_sales (arm 1 against arm 0)'``, as far as there are names."""
    text = estimand or "Effect"
    if outcome:
        text += f" on {outcome}"
    return text + (f" ({contrast_of(contrast)})" if contrast else "")


def contrast_of(contrast: str) -> str:
    """Two arms; a bare code is said to be one: ``'1 against 0'`` is ``'arm 1 against arm 0'``."""
    arm, against, versus = contrast.partition(" against ")
    return f"{_arm(arm)}{against}{_arm(versus)}"


def _arm(label: str) -> str:
    return f"arm {label}" if is_code(label) else label


def level_of(group: str, level: str) -> str:
    """A level with the column that it is of: ``'week 6'``, for ``6`` alone says nothing."""
    return level if level.startswith(group) else f"{group} {level}"
