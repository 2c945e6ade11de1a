"""Sequence models of the registry, as packages that can be evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from truelift.errors import DataError, TableError, TrueliftError
from truelift.evaluation.champion import Champion
from truelift.model_store import CHALLENGER, CHAMPION, ModelStore
from truelift.models.sequence import registry
from truelift.models.sequence.package import FILE, ModelPackage

if TYPE_CHECKING:
    from truelift.job import Job
    from truelift.settings import Settings


def registered_name(settings: Settings) -> str:
    """Name in the registry: a classifier, which cannot stand against rankers, has its own.

    ``truelift-shop-sequence`` ranks items, ``truelift-shop-next-action`` foretells actions.
    """
    name, model = settings.tracking.model_name, settings.sequence.model
    if registry.entry(model).task == registry.CLASSIFICATION:
        return f"{name.removesuffix('-sequence')}-{model.replace('_', '-')}"
    return name


def read_package(folder: Path) -> ModelPackage:
    """The package inside a downloaded model.

    Raises
    ------
    DataError
        If the folder is not such a model.
    """
    path = folder / "artifacts" / FILE
    if not path.is_file():
        raise DataError(
            f"The registered model has no {path.name}, expected one that train_sequence logged; "
            "run train_sequence again."
        )
    return ModelPackage.from_bytes(path.read_bytes())


def load_package(job: Job, name: str, version: str) -> ModelPackage:
    """The package of a registered version.

    Raises
    ------
    TableError
        If there is no such version.
    DataError
        If it is no sequence model.
    """
    place = ModelStore().download(
        f"models:/{name}/{version}",
        job.workdir / f"model-{version}",
        f"model {name} with version or alias {version!r}",
        "Run train_sequence.",
    )
    return read_package(place)


def current_champion(job: Job, name: str) -> Champion | None:
    """The champion under a registered name; None if there is none."""
    version = ModelStore().version(name, CHAMPION)
    if version is None:
        return None
    try:
        return Champion(version, load_package(job, name, version))
    except (TrueliftError, OSError, KeyError, TypeError, ValueError):
        return Champion(version, None)


def load_models(job: Job, models: Sequence[str]) -> dict[str, ModelPackage]:
    """Packages of registered versions by ``NAME VERSION``, in the order asked for.

    Parameters
    ----------
    job : Job
    models : sequence of str
        Versions or aliases; without any, the challenger and the champion, as far as there are.

    Raises
    ------
    TableError
        If there is no such version or alias.
    """
    name, store = registered_name(job.settings), ModelStore()
    found: dict[str, ModelPackage] = {}
    for asked in models or (CHALLENGER, CHAMPION):
        version = asked if asked.isdigit() else store.version(name, asked)
        if version is None:
            if not models:
                continue
            raise TableError(
                f"The registry has no model {name} with version or alias {asked!r}. "
                "Run train_sequence."
            )
        label = f"{'version' if asked.isdigit() else asked} {version}"
        if not any(known.endswith(f" {version}") for known in found):
            found[label] = load_package(job, name, version)
    if not found:
        raise TableError(f"The registry has no model {name} to evaluate. Run train_sequence.")
    return found
