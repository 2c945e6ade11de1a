"""Which learner, with options of its own: a union whose tag is the learner's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from truelift.errors import ConfigError

EXPECTED = "the name of a learner, or a mapping with its name and options, such as {name: boosting, depth: 4}"


@dataclass(frozen=True)
class LearnerChoice:
    """A learner's name, and the options that stand beside it.

    Which options there are, and of which type, the learner's row in the registry says
    (:data:`~truelift.registries.LEARNERS`).
    """

    name: str = "linear"
    own: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Any, key: str = "learner") -> LearnerChoice:
        """A choice as it is written: a name, or a mapping with a name.

        Raises
        ------
        ConfigError
        """
        if isinstance(value, LearnerChoice):
            return value
        if isinstance(value, str):
            return cls(value)
        if isinstance(value, Mapping) and isinstance(value.get("name"), str):
            return cls(value["name"], {k: v for k, v in value.items() if k != "name"})
        raise ConfigError(f"{key}: found {value!r}, expected {EXPECTED}.")

    def as_written(self) -> Any:
        """As it is written."""
        return {"name": self.name, **self.own} if self.own else self.name

    def older(self) -> str:
        """What stood in its place before it had options: the name."""
        return self.name

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Callable[[Any], Any]) -> Any:
        """For pydantic: whatever :meth:`of` takes."""
        from pydantic_core import PydanticCustomError, core_schema

        def read(value: Any) -> LearnerChoice:
            try:
                return cls.of(value)
            except ConfigError:
                raise PydanticCustomError("learner", EXPECTED) from None

        return core_schema.no_info_plain_validator_function(read)
