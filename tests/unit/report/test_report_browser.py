"""In a real browser the page fits a phone and prints. Skipped where Chromium is not on PATH."""

from __future__ import annotations

import html
import re
import shutil
import subprocess

import pytest

from truelift.report.page import render_page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CHROMIUM = next((path for name in NAMES if (path := shutil.which(name))), None)
QUIET = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
)  # fmt: skip

pytestmark = pytest.mark.skipif(
    CHROMIUM is None, reason=f"no browser: none of {', '.join(NAMES)} is on PATH"
)

# A frame is as narrow as one asks, which a headless window is not.
MEASURE = """<!DOCTYPE html><body><iframe id="phone" style="border:0;width:{width}px;height:800px"
srcdoc="{page}"></iframe><pre id="found"></pre><script>
document.getElementById("phone").onload = event => {{
  const page = event.target.contentDocument, root = page.documentElement;
  const wide = [...page.body.querySelectorAll("*")].filter(element =>
    !element.closest(".table-scroll, pre, .skip") && element.checkVisibility() &&
    element.getBoundingClientRect().right > root.clientWidth + 1);
  const shown = [...page.querySelectorAll("svg")].filter(svg => svg.checkVisibility());
  const hidden = [...page.querySelectorAll("th[scope=col]")].filter(cell =>
    ["Supported", "Over the best baseline"].includes(cell.textContent) &&
    cell.getBoundingClientRect().right > cell.closest(".table-scroll").getBoundingClientRect().right);
  document.getElementById("found").textContent = "RESULT " + [root.clientWidth, root.scrollWidth,
    wide.length, shown.length, hidden.length, wide.slice(0, 5).map(e => e.tagName + "." + e.className)].join(" ");
}};</script></body>"""


def chromium(profile, *arguments: str) -> str:
    done = subprocess.run(
        [str(CHROMIUM), *QUIET, f"--user-data-dir={profile}", *arguments],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


@pytest.fixture(scope="module")
def page(whole) -> str:
    return render_page(whole)


@pytest.mark.parametrize("width", [360, 375, 1200, 1280])
def test_the_page_does_not_scroll_sideways_and_shows_the_decisive_columns(width, page, tmp_path):
    frame = tmp_path / "frame.html"
    frame.write_text(MEASURE.format(width=width, page=html.escape(page)), encoding="utf-8")
    dom = chromium(tmp_path / "profile", "--virtual-time-budget=5000", "--dump-dom", frame.as_uri())
    found = re.search(r"RESULT (\d+) (\d+) (\d+) (\d+) (\d+) ?(.*?)<", dom)
    assert found, dom[-500:]
    visible, needed, too_wide, plots, hidden = (int(found.group(i)) for i in range(1, 6))
    assert width - 20 <= visible <= width  # less a scroll bar
    assert needed <= visible
    assert too_wide == 0, found.group(6)
    assert hidden == 0 or width < 1200
    assert plots == 14  # of each pair, the one for this width


def test_the_page_prints(page, tmp_path):
    (tmp_path / "index.html").write_text(page, encoding="utf-8")
    target = tmp_path / "page.pdf"
    chromium(tmp_path / "profile", f"--print-to-pdf={target}", (tmp_path / "index.html").as_uri())
    data = target.read_bytes()
    assert data.startswith(b"%PDF")
    assert 3 <= len(re.findall(rb"/Type\s*/Page\b", data)) <= 16
