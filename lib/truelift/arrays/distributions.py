"""``scipy.stats``, loaded when a distribution is first asked for.

It takes half of the time in which all that estimates an effect is imported, and a first estimate asks
for none: quantiles of the normal and of Student's t are in ``scipy.special``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from scipy import stats
else:

    class _Later:
        def __getattr__(self, name: str) -> Any:
            from scipy import stats as found

            return getattr(found, name)

    stats = _Later()

__all__ = ["stats"]
