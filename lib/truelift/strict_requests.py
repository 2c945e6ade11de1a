"""Requests that name something a served model does not know are refused.

MLflow drops parameters that the signature does not name, and columns too, with a line in the
server's own log: whoever writes ``cout`` for ``count`` gets 200 and ten items. A model never sees
what was dropped, so MLflow's check is wrapped when one of ours is loaded, for ours alone.
"""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Collection
from typing import Any

from mlflow.exceptions import MlflowException

_MARK = "_truelift_parameters"
_ARGUMENTS = ("data", "params", "input_schema", "params_schema")


def refuse_unknown(columns: Collection[str], parameters: Collection[str]) -> None:
    """From now on, in this process, models with exactly this signature take nothing else.

    Parameters
    ----------
    columns, parameters : collection of str
        Names in the signature.
    """
    from mlflow import pyfunc

    signature = (frozenset(columns), frozenset(parameters))
    module: Any = pyfunc
    real = module._validate_prediction_input
    known: set[tuple[frozenset[str], frozenset[str]]] | None = getattr(real, _MARK, None)
    if known is not None:
        known.add(signature)
        return
    ours = {signature}

    bind = inspect.signature(real).bind

    def checked(*args: Any, **named: Any) -> Any:
        # MLflow calls it by position where it predicts and by name where it checks an example.
        call = bind(*args, **named).arguments
        data, params, inputs, taken = (call[name] for name in _ARGUMENTS)
        names = frozenset(inputs.input_names() if inputs is not None else ())
        expected = frozenset(p.name for p in taken.params) if taken is not None else frozenset()
        if (names, expected) in ours:
            check_parameters(params, expected)
            check_columns(list(getattr(data, "columns", ())), inputs.input_names())
        return real(*args, **named)

    setattr(checked, _MARK, ours)
    module._validate_prediction_input = checked


def check_parameters(given: Any, names: Collection[str]) -> None:
    """Refuse parameters that are not among the names.

    Raises
    ------
    MlflowException
        ``INVALID_PARAMETER_VALUE``, which a scoring server answers with 400.
    """
    unknown = [str(name) for name in given if name not in names] if given else []
    if unknown:
        raise MlflowException.invalid_parameter_value(
            f"params: found {_quoted(unknown)}, expected {_quoted(sorted(names)) or 'none'}."
            f"{_nearest(unknown[0], names)}"
        )


def check_columns(given: Collection[Any], names: Collection[str]) -> None:
    """Refuse columns that are nearly one of the names; others may be the caller's own, as ids are.

    Raises
    ------
    MlflowException
        ``INVALID_PARAMETER_VALUE``.
    """
    for column in given:
        if column not in names and (hint := _nearest(str(column), names)):
            raise MlflowException.invalid_parameter_value(
                f"Found the column {str(column)!r}, expected {_quoted(names)}.{hint}"
            )


def _nearest(name: str, names: Collection[str]) -> str:
    lower = {known.lower(): known for known in names}
    found = difflib.get_close_matches(name.lower(), lower, n=1, cutoff=0.75)
    return f" Did you mean {lower[found[0]]!r}?" if found else ""


def _quoted(names: Collection[str]) -> str:
    return ", ".join(repr(name) for name in names)
