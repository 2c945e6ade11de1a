"""HTML elements as nested calls; text is escaped unless it is already :class:`Html`.

>>> element("p", "a < b, ", element("em", "really"), class_="note")
'<p class="note">a &lt; b, <em>really</em></p>'
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from typing import TypeAlias


class Html(str):
    """Text that is markup already; only :func:`element` and :func:`svg` modules make it."""

    __slots__ = ()


Child: TypeAlias = "str | Iterable[Child] | None"

VOID = frozenset({"meta", "br", "hr", "link", "img"})


def escaped(text: object) -> Html:
    """Text with the characters that HTML gives a meaning replaced."""
    return Html(html.escape(str(text), quote=True))


def fragment(*children: Child) -> Html:
    """Children in a row; plain text is escaped, None is nothing."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escaped(child))
        else:
            parts.append(fragment(*child))
    return Html("".join(parts))


def element(name: str, /, *children: Child, **attributes: str | bool | None) -> Html:
    """One element; ``class_`` gives ``class``, ``aria_label`` gives ``aria-label``."""
    written = []
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is None or value is False:
            continue
        written.append(f" {attribute}" if value is True else f' {attribute}="{escaped(value)}"')
    opening = f"<{name}{''.join(written)}>"
    if name in VOID:
        return Html(opening)
    return Html(f"{opening}{fragment(*children)}</{name}>")


def section(anchor: str, heading: str, *children: Child) -> Html:
    """A titled part of the page that the table of contents can point at."""
    return element(
        "section",
        element("h2", heading, id=f"{anchor}-heading"),
        *children,
        id=anchor,
        aria_labelledby=f"{anchor}-heading",
    )


def bullets(items: Iterable[Child], **attributes: str) -> Html:
    """An unordered list."""
    return element("ul", *(element("li", item) for item in items), **attributes)


def note(kind: str, heading: str, *children: Child, id_: str | None = None) -> Html:
    """A box that stands out: ``kind`` is ``good``, ``warning`` or ``missing``."""
    return element(
        "div",
        element("p", element("strong", heading), class_="note-title"),
        *children,
        class_=f"note note-{kind}",
        role="note",
        id_=id_,
    )


def missing(what: str, why: str) -> Html:
    """A part that the run did not produce, said in words."""
    return note("missing", f"{what}: not part of this run.", element("p", why))


def table(
    caption: str,
    header: Sequence[str],
    rows: Iterable[Sequence[Child]],
    numeric: frozenset[int] = frozenset(),
) -> Html:
    """A table in a container of its own that scrolls sideways on a narrow screen.

    Parameters
    ----------
    caption : str
        What the table shows; read out by screen readers as well.
    header : sequence of str
        Column names.
    rows : iterable of sequences
        Cells; the first of each row is its heading.
    numeric : frozenset of int
        Positions of the columns that are set flush right.
    """

    def kind(position: int) -> str | None:
        return "number" if position in numeric else None

    head = element(
        "tr",
        *(element("th", name, scope="col", class_=kind(i)) for i, name in enumerate(header)),
    )
    body = [
        element(
            "tr",
            *(
                element("th", cell, scope="row", class_=kind(i))
                if i == 0
                else element("td", cell, class_=kind(i))
                for i, cell in enumerate(row)
            ),
        )
        for row in rows
    ]
    return element(
        "div",
        element(
            "table",
            element("caption", element("span", caption)),
            element("thead", head),
            element("tbody", *body),
        ),
        class_="table-scroll",
        role="region",
        aria_label=caption,
        tabindex="0",
    )


def definitions(pairs: Iterable[tuple[str, Child]], **attributes: str) -> Html:
    """Names and values, set as key figures."""
    return element(
        "dl",
        *(element("div", element("dt", name), element("dd", value)) for name, value in pairs),
        **attributes,
    )
