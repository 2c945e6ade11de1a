"""Lines of arrows: ``a -> b``, ``a <- b``, ``a <-> b``, in chains and with several names a place."""

from __future__ import annotations

import re
from collections.abc import Iterable

from truelift.errors import ConfigError

#: A quoted name, an arrow (the longest first), a comma, or a name as it stands.
_PART = re.compile(r"""("(?:[^"]|"")*"|'[^']*')|(<->|->|<-)|(,)|((?:(?!<->|->|<-)[^,"'])+|["'])""")


#: What a name may be made of to stand in a line without quotes.
_PLAIN = re.compile(r"""[^\s,;#"'<>]+""")
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_SIGNS = re.compile(r'"(?:[^"\n]|"")*"|#[^\n]*|[\n;]|[^"#;\n]+|"')


def quoted(name: str) -> str:
    """A name as a line can have it: one with blanks or signs of lines in quotes, its own quotes doubled."""
    if _PLAIN.fullmatch(name):
        return name
    inside = name.replace('"', '""')
    return f'"{inside}"'


def unquoted(text: str) -> str:
    """The reverse of :func:`quoted`."""
    return text[1:-1].replace('""', '"') if _QUOTED.fullmatch(text) else text


def parted(text: str) -> list[str]:
    """Lines of a text, parted by line breaks and semicolons outside of quotes, without comments."""
    lines = [""]
    for part in _SIGNS.findall(text):
        if part in ("\n", ";"):
            lines.append("")
        elif not part.startswith("#"):
            lines[-1] += part
    return [line.strip() for line in lines]


def arrows_of(
    lines: Iterable[str], where: str
) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Arrows and hidden common causes that lines state.

    Parameters
    ----------
    lines : iterable of str
        ``age, region -> campaign -> sales`` is four arrows; ``campaign <-> sales`` says that something
        which nobody recorded moves both.
    where : str
        For messages.

    Returns
    -------
    arrows, confounded : list of (str, str)

    Raises
    ------
    ConfigError
        For a line that is none.
    """
    arrows: list[tuple[str, str]] = []
    confounded: list[tuple[str, str]] = []
    for line in lines:
        groups, signs = _parted(str(line))
        if not signs or not all(groups):
            raise ConfigError(
                f"{where}: found {line!r}, expected names with arrows between them, such as "
                "'age -> campaign -> sales' or 'campaign <-> sales'."
            )
        for left, sign, right in zip(groups, signs, groups[1:], strict=False):
            pairs = [(a, b) for a in left for b in right]
            if sign == "<->":
                confounded += pairs
            else:
                arrows += pairs if sign == "->" else [(b, a) for a, b in pairs]
    return arrows, confounded


def effect_of(text: str) -> tuple[str, str]:
    """Treatment and outcome of ``campaign -> sales``.

    Raises
    ------
    ConfigError
        For anything else than one arrow.
    """
    arrows, confounded = arrows_of([text], "--effect")
    if len(arrows) != 1 or confounded:
        raise ConfigError(
            f"--effect: found {text!r}, expected one treatment and one outcome, such as "
            "'campaign -> sales'."
        )
    return arrows[0]


def _parted(line: str) -> tuple[list[list[str]], list[str]]:
    """Names between the arrows of a line, and the arrows."""
    groups: list[list[str]] = [[]]
    signs = []
    for held, sign, comma, bare in _PART.findall(line):
        if sign:
            signs.append(sign)
            groups.append([])
        elif not comma and (name := _held(held) or bare.strip()):
            groups[-1].append(name)
    return groups, signs


def _held(text: str) -> str:
    return text[1:-1] if text.startswith("'") else unquoted(text)
