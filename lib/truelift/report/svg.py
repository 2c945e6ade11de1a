"""A matplotlib figure as SVG inside the page: scalable, readable aloud, no outside reference."""

from __future__ import annotations

import io
import re
from collections.abc import Callable

import matplotlib
from matplotlib.figure import Figure

from truelift.report.markup import Html, element, escaped
from truelift.report.plots.canvas import STYLE, Width

FONTS = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
PIXELS_PER_POINT = 4 / 3


def inline_svg(figure: Figure, identifier: str, description: str) -> Html:
    """The figure as an ``<svg>`` element.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    identifier : str
        Prefix that keeps the element ids of several figures apart.
    description : str
        What a reader who cannot see the picture should know.

    Returns
    -------
    Html
        The element; text stays text, so it can be searched and read aloud.
    """
    buffer = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->", "", text, flags=re.DOTALL)
    text = re.sub(r"\sxmlns(:\w+)?=\"[^\"]*\"", "", text)
    text = text.replace("xlink:href", "href")
    text = re.sub(r'\bid="', f'id="{identifier}-', text)
    text = re.sub(r'href="#', f'href="#{identifier}-', text)
    text = re.sub(r"url\(#", f"url(#{identifier}-", text)
    text = text.replace("'DejaVu Sans'", FONTS)
    opening = _opening_tag(text, identifier, description)
    body = re.sub(r">\s*\n\s*<", ">\n<", text[text.index(">") + 1 :]).strip()
    return Html(opening + body)


def _opening_tag(text: str, identifier: str, description: str) -> str:
    found = re.search(r'viewBox="([^"]+)"', text)
    box = found.group(1) if found else "0 0 100 100"
    pixels = round(float(box.split()[2]) * PIXELS_PER_POINT)
    return (
        f'<svg viewBox="{box}" role="img" aria-labelledby="{identifier}-description" '
        f'style="max-width:{pixels}px" class="plot">'
        f'<title id="{identifier}-description">{escaped(description)}</title>'
    )


def figure_block(
    plot: Callable[[Width], Figure], identifier: str, caption: str, description: str
) -> Html:
    """A plot with its caption, drawn twice: for a desktop page and for a phone.

    A stylesheet shows one of the two, so type keeps its size on a narrow screen.

    Parameters
    ----------
    plot : callable
        Takes ``'wide'`` or ``'narrow'`` and returns a figure.
    identifier : str
        Unique name on the page.
    caption : str
        Shown below the plot.
    description : str
        The plot in words, for readers who cannot see it.
    """
    widths: tuple[Width, ...] = ("wide", "narrow")
    drawings = [
        element(
            "div",
            drawing(plot, width, f"{identifier}-{width}", description),
            class_=f"plot-{width}",
        )
        for width in widths
    ]
    return element(
        "figure", *drawings, element("figcaption", caption), id=identifier, class_="plot-figure"
    )


def drawing(
    plot: Callable[[Width], Figure], width: Width, identifier: str, description: str
) -> Html:
    """Call a plot for one width and turn its figure into markup."""
    return inline_svg(plot(width), identifier, description)
