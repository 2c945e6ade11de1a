"""What lists may cost and hold: the section ``recommend.limits``."""

from __future__ import annotations

from dataclasses import dataclass, field

from truelift.settings.checks import needs, require

#: Keys of the section that name files.
LIMIT_FILES = ("costs", "stock", "rules", "groups", "providers")


@dataclass(frozen=True)
class LimitOptions:
    """Limits that hold in every ``gold.recommendations``.

    Parameters
    ----------
    budget, budget_per_user : float, optional
        Most that the items of all lists, and of each user's list, may cost.
    costs : str, optional
        File ``item,cost``; items that it leaves out cost ``recommend.cost``, as all do without it.
    stock : str, optional
        File ``item,units``: no item stands on more lists than it has units.
    rules : str, optional
        File ``rule,group,category,item`` (``allow`` or ``deny``; a blank means any).
    groups : str, optional
        File ``user,group``, for rules.
    providers : str, optional
        File ``item,provider``, for floors; an item's category without it.
    floors : dict of str to float
        Least share of each list's items, by provider.
    """

    budget: float | None = None
    budget_per_user: float | None = None
    costs: str | None = None
    stock: str | None = None
    rules: str | None = None
    groups: str | None = None
    providers: str | None = None
    floors: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        need = needs("recommend.limits", self)
        for name in ("budget", "budget_per_user"):
            value = getattr(self, name)
            need(name, value is None or 0 <= value <= 1e15, "0 to 1e15")
        shares = self.floors.values()
        need("floors", all(0 < s <= 1 for s in shares), "shares above 0 and at most 1")
        need("floors", sum(shares) <= 1 + 1e-9, "shares of at most 1 together")
        wanted = "recommend.limits.rules, which says what a group may get"
        require(self.groups is None or self.rules is not None, wanted, None, "a file with groups")
        wanted = "recommend.limits.floors, which says what is kept for a provider"
        require(self.providers is None or bool(self.floors), wanted, {}, "shares with providers")

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return bool(
            self.stock or self.rules or self.floors
            or self.budget is not None or self.budget_per_user is not None
        )  # fmt: skip
