"""The registry of models: what versions there are, their files, and how a new one comes in.

A registered model has the alias ``challenger`` at its newest version, and ``champion`` at the one
that passed the gate.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from truelift.errors import TableError

CHALLENGER = "challenger"
CHAMPION = "champion"
GATE = "truelift.gate"


@dataclass(frozen=True)
class RegisteredModel:
    """A model version in the registry."""

    name: str
    version: str
    uri: str


class ModelStore:
    """MLflow's registry; runs point MLflow at its store (:func:`~truelift.tracking.connect`).

    Parameters
    ----------
    origin : mapping of str to str, optional
        Tags of every version that is registered: of which data it is.
    """

    def __init__(self, origin: Mapping[str, str] | None = None) -> None:
        import mlflow

        self._mlflow, self._origin = mlflow, dict(origin or {})

    def version(self, name: str, alias: str) -> str | None:
        """The version of a registered model that has an alias; None if there is none."""
        try:
            return str(self._client.get_model_version_by_alias(name, alias).version)
        except self._mlflow.exceptions.MlflowException as error:
            if error.error_code in ("RESOURCE_DOES_NOT_EXIST", "INVALID_PARAMETER_VALUE"):
                return None
            raise

    def download(self, uri: str, folder: Path, what: str, otherwise: str) -> Path:
        """Where a version's files lie after this.

        Parameters
        ----------
        uri : str
            Such as ``models:/name/3``.
        folder : Path
            Where to.
        what, otherwise : str
            For the message: what the registry lacks, and what to do then.

        Raises
        ------
        TableError
            If there is no such version.
        """
        try:
            return Path(self._mlflow.artifacts.download_artifacts(uri, dst_path=str(folder)))
        except self._mlflow.exceptions.MlflowException as error:
            raise TableError(f"The registry has no {what} ({error}). {otherwise}") from error

    def versions(self) -> Iterator[tuple[str, str, str | None]]:
        """Name, version and run of all registered versions."""
        for model in self._client.search_registered_models():
            for found in self._client.search_model_versions(f"name='{model.name}'"):
                yield model.name, str(found.version), found.run_id

    def register(
        self,
        name: str,
        python_model: Any,
        artifacts: Mapping[str, str],
        signature: Any,
        input_example: Any,
        requirements: list[str],
        tags: Mapping[str, str] | None = None,
        about: str = "",
        about_version: str = "",
    ) -> RegisteredModel:
        """Log a pyfunc model to the open run, register it, alias it `challenger`.

        ``about`` describes the registered model, whatever the version, and ``about_version`` this
        one.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            info = self._mlflow.pyfunc.log_model(
                name="model",
                python_model=python_model,
                artifacts=dict(artifacts),
                signature=signature,
                input_example=input_example,
                pip_requirements=requirements,
                registered_model_name=name,
            )
        version = str(info.registered_model_version)
        self._client.set_registered_model_alias(name, CHALLENGER, version)
        for key, value in {**self._origin, **(tags or {})}.items():
            self._client.set_model_version_tag(name, version, key, value)
        if about:
            self._client.update_registered_model(name, about)
        if about_version:
            self._client.update_model_version(name, version, about_version)
        return RegisteredModel(name, version, f"models:/{name}/{version}")

    def close_gate(self, model: RegisteredModel, promoted: bool, reason: str) -> None:
        """Tag a version, and the run, with why it became `champion` or did not; move the alias."""
        client = self._client
        said = client.get_model_version(model.name, model.version).description
        client.update_model_version(
            model.name, model.version, "\n\n".join(filter(None, [said, f"Gate: {reason}."]))
        )
        client.set_model_version_tag(model.name, model.version, GATE, reason)
        self._mlflow.set_tag(GATE, reason)
        if promoted:
            client.set_registered_model_alias(model.name, CHAMPION, model.version)

    @property
    def _client(self) -> Any:
        return self._mlflow.MlflowClient()
