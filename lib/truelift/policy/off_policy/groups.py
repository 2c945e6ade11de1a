"""Weights of groups of actions: what is left of a weight where an action counts by its group alone.

The weight of the logged action's group, ``w(g) = pi_e(g|x) / pi_b(g|x)`` with ``pi(g|x)`` the chance of
any action of the group, varies far less than that of the action where there are thousands of them. Its
mean with the reward is the policy's value where an action acts through its group alone (Saito & Joachims
2022, MIPS); with a model of rewards, where the model knows what differs within a group (Saito, Ren &
Joachims 2023, OffCEM).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from truelift.effects.panel.columns import number_column
from truelift.errors import DataError
from truelift.policy.off_policy.chances import Chances, chances_of
from truelift.policy.off_policy.embedding import groups_of_actions
from truelift.policy.off_policy.group_weights import LearnedWeights
from truelift.policy.off_policy.reading import Reader, Rows
from truelift.policy.off_policy.spec import GroupTable


@dataclass(frozen=True, eq=False)
class ActionGroups:
    """Which group each action is of, and chances of groups.

    Parameters
    ----------
    of_action : ndarray of int, K
    propensities : Chances, optional
        The log's, where they do not stand in a column.
    tables : mapping of str to Chances
        Of policies that stand in a table.
    learned : LearnedWeights, optional
        In place of chances of groups, where nobody knows these; once they are fitted.
    """

    of_action: np.ndarray
    propensities: Chances | None
    tables: dict[str, Chances]
    learned: LearnedWeights | None = None

    @property
    def count(self) -> int:
        """Groups."""
        return int(self.of_action.max()) + 1

    def of_rows(self, rows: Rows) -> np.ndarray:
        """The group of each row's action (n)."""
        return np.asarray(self.of_action[np.maximum(rows.action, 0)])

    @classmethod
    def read(cls, table: GroupTable, reader: Reader) -> ActionGroups:
        """The groups in a table, checked.

        Raises
        ------
        TableError, DataError
            For columns that are missing, actions without a group and those that have several.
        """
        of_action = groups_of_actions(table, reader.actions)
        known = reader.propensities
        propensities = None if known is None else _grouped(known, of_action)
        tables = {name: _grouped(one, of_action) for name, one in reader.tables.items()}
        return cls(of_action, propensities, tables)

    def weights(self, reader: Reader, rows: Rows, fold: int) -> np.ndarray:
        """Of the groups of the logged actions, under every policy (n x P); NaN where nobody knows.

        Raises
        ------
        DataError
            For chances of a group that are missing, or smaller than that of the logged action.
        """
        group = self.of_rows(rows)
        if self.learned is not None:
            found = self.learned.weights(rows.features, group, fold)
            # The log's own policy has weights of one, which nobody needs to learn.
            found[:, [policy.logging for policy in reader.spec.policies.values()]] = 1.0
            return found
        if self.propensities is not None:
            hashes, _ = self.propensities.cells_of(rows.batch)
            propensity = self.propensities.of_actions(hashes, group)
        else:
            propensity = self._logged(reader, rows)
        found = np.empty((len(group), len(reader.spec.policies)))
        shares = np.bincount(self.of_action) / len(self.of_action)
        for p, (name, policy) in enumerate(reader.spec.policies.items()):
            if policy.logging:
                found[:, p] = 1.0
                continue
            if policy.logged_chance:
                chance = np.full(len(group), np.nan)
            elif policy.uniform:
                chance = shares[group]
            elif policy.action or policy.always:
                taken = reader.taken(policy, rows.batch)
                chance = ((self.of_action[np.maximum(taken, 0)] == group) & (taken >= 0)) * 1.0
            elif policy.chances or policy.learned:
                chance = np.zeros(len(group))
                for code, own in reader.action_chances(policy, rows.batch):
                    chance += (self.of_action[code] == group) * own
            else:
                hashes, _ = self.tables[name].cells_of(rows.batch)
                chance = self.tables[name].of_actions(hashes, group)
            chance = (1 - policy.explore) * chance + policy.explore * shares[group]
            found[:, p] = chance / propensity
        return found

    def _logged(self, reader: Reader, rows: Rows) -> np.ndarray:
        groups = reader.spec.groups
        assert groups is not None and groups.propensity is not None
        propensity = number_column(rows.batch, groups.propensity)
        bad = ~((propensity > 0) & (propensity <= 1 + 1e-9))
        bad |= propensity < rows.propensity * (1 - 1e-6)
        if np.any(bad):
            raise DataError(
                f"groups.propensity, column {groups.propensity!r}: found {propensity[bad][0]:g} where the "
                f"logged action has {rows.propensity[bad][0]:g}; expected the chance of any action of "
                "its group, at least that of the action and at most 1."
            )
        return np.asarray(propensity)


def _grouped(chances: Chances, of_action: np.ndarray) -> Chances:
    """Chances of the groups, cell by cell."""
    count = int(of_action.max()) + 1
    place = chances.cell.astype(np.int64) * count + of_action[chances.action]
    kept, inverse = np.unique(place, return_inverse=True)
    summed = np.bincount(inverse, chances.chance)
    return chances_of(chances.by, chances.cells[kept // count], kept % count, summed)
