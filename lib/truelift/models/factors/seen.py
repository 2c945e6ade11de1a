"""What was seen by whom, apart from what was thought of it: chances of being seen, and axes of likeness.

Who labels what is information: people look at kinds of items that they like, and items that the same people
look at are alike. Correspondence analysis of the table of seen cells (Benzecri 1973; Greenacre 1984) gives each
user and item a place, ``O_ui / sqrt(n_u n_i) - sqrt(n_u n_i) / n = sum_k s_k a_uk b_ik``. As features of users and items
the places carry the information to labels only as far as labels bear them out; and by its formula of
reconstitution ``n_u n_i / n + sqrt(n_u n_i) sum_k s_k a_uk b_ik`` is the chance that a cell was seen.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.sparse import linalg

from truelift.errors import ConfigError

EXPOSURES = ("popularity", "factors")
_LEAST_CHANCE = 1e-6
# Cells of a table that is decomposed whole; of larger ones the first axes are searched for.
DENSE_CELLS = 1_000_000


@dataclass(frozen=True, eq=False)
class SeenModel:
    """Numbers of rows, and places on the axes (none by popularity).

    Parameters
    ----------
    of_user, of_item : ndarray
        Rows of each.
    left, right : ndarray, users x k and items x k
        ``a`` and ``s b``.
    """

    of_user: np.ndarray
    of_item: np.ndarray
    left: np.ndarray
    right: np.ndarray

    def chances(self, users: np.ndarray, items: np.ndarray) -> np.ndarray:
        """Chances that cells are seen, at least a twentieth of what popularity alone says."""
        both = self.of_user[users] * self.of_item[items]
        usual = both / max(float(self.of_user.sum()), 1.0)
        moved = np.sqrt(both) * np.einsum("nk,nk->n", self.left[users], self.right[items])
        return np.clip(np.maximum(usual + moved, 0.05 * usual), _LEAST_CHANCE, 1.0)

    def features(self) -> tuple[np.ndarray, np.ndarray]:
        """Places of users and of items, and how much is seen, in units of their spread."""
        sides = ((self.left, self.of_user), (self.right, self.of_item))
        first, second = (
            standard(np.column_stack([side, np.log1p(count)])) for side, count in sides
        )
        return first, second


def seen_model(
    users: np.ndarray, items: np.ndarray, shape: tuple[int, int], axes: int = 0
) -> SeenModel:
    """Count what was seen, and find so many axes.

    Parameters
    ----------
    users, items : ndarray of int, n
        Cells that were seen, each once.
    shape : (int, int)
    axes : int
        At most; a small table has fewer.
    """
    of_user = np.bincount(users, minlength=shape[0]).astype(float)
    of_item = np.bincount(items, minlength=shape[1]).astype(float)
    wanted = min(axes, min(shape) - 2)
    if wanted < 1:
        return SeenModel(of_user, of_item, np.zeros((shape[0], 0)), np.zeros((shape[1], 0)))
    root_user, root_item = np.sqrt(of_user), np.sqrt(of_item)
    share = sparse.csr_matrix((1 / (root_user[users] * root_item[items]), (users, items)), shape)
    usual = root_user / np.sqrt(len(users)), root_item / np.sqrt(len(users))
    if shape[0] * shape[1] <= DENSE_CELLS:
        left, size, right = np.linalg.svd(share.toarray() - np.outer(*usual), full_matrices=False)
        left, size, right = left[:, :wanted], size[:wanted], right[:wanted]
    else:
        residual = linalg.LinearOperator(
            shape,
            matvec=lambda v: share @ v.ravel() - usual[0] * (usual[1] @ v.ravel()),
            rmatvec=lambda v: share.T @ v.ravel() - usual[1] * (usual[0] @ v.ravel()),
        )
        start = np.random.default_rng(1).normal(size=min(shape))
        left, size, right = linalg.svds(residual, k=wanted, v0=start)
    kept = size > 1e-9
    return SeenModel(of_user, of_item, left[:, kept], (size[:, None] * right)[kept].T)


def axes_of(how: str, axes: int) -> int:
    """How many axes a kind of chances has.

    Raises
    ------
    ConfigError
        For a kind that is not known.
    """
    if how not in EXPOSURES:
        raise ConfigError(f"exposure: found {how!r}, expected one of {', '.join(EXPOSURES)}.")
    return axes if how == "factors" else 0


def standard(columns: np.ndarray) -> np.ndarray:
    """Columns about 0 in units of their spread; those that do not vary are left out."""
    spread = columns.std(axis=0)
    kept = spread > 1e-9
    return np.asarray((columns[:, kept] - columns[:, kept].mean(axis=0)) / spread[kept])
