"""Put the figures of the validation scripts into docs/validation.md.

    python benchmarks/validation_tables.py [--results benchmarks/results]

Reads coverage.json, agreement.json, truth.json and effects_gate.json and replaces what stands between the marks
`<!-- NAME -->` and `<!-- end of NAME -->`; the text around them is written by hand.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "validation.md"
ANYTIME = "anytime-100-looks"
Figures = dict[str, dict[str, dict[str, float]]]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--results", default="benchmarks/results")
    folder = Path(parser.parse_args().results)
    page = PAGE.read_text()
    for name, table in TABLES.items():
        file = folder / f"{name.split(', ')[0]}.json"
        if not file.exists():
            print(f"{file} is not there; {name} stays as it is")
            continue
        page = replaced(page, name, table(json.loads(file.read_text())))
    PAGE.write_text(page)


def replaced(page: str, name: str, table: str) -> str:
    """The page with one block renewed."""
    head, mark, rest = page.partition(f"<!-- {name} -->\n")
    _, end, tail = rest.partition(f"<!-- end of {name} -->")
    if not mark or not end:
        raise SystemExit(f"docs/validation.md has no block {name!r}")
    return f"{head}{mark}\n{table}\n\n{end}{tail}"


def markdown(head: list[str], rows: list[list[str]]) -> str:
    """A table; numbers to the right."""
    lines = ["| " + " | ".join(head) + " |", "|---|" + "---:|" * (len(head) - 1)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def coverage(result: dict) -> str:
    """A row a cell and estimand."""
    rows = []
    for cell, lines in result["figures"].items():
        if cell == ANYTIME:
            continue
        for estimand, found in lines.items():
            miss = "" if 0.94 <= found["coverage"] <= 0.96 else " \\*"
            label = estimand if found["promised"] else f"({estimand})"
            rows.append(
                [
                    f"{cell}: {label}",
                    f"{found['repetitions']:.0f}",
                    f"{found['coverage']:.3f} ± {found['coverage_error']:.3f}{miss}",
                    *(
                        f"{found[key]:.{digits}f}" if key in found else ""
                        for key, digits in (
                            ("all", 3), ("as_if_independent", 3), ("width", 3), ("se_by_sd", 2),
                            ("bias_by_sd", 2), ("not_zero", 3), ("supported", 2),
                        )
                    ),
                ]
            )  # fmt: skip
    head = ["cell: estimand", "repetitions", "coverage", "all at once", "as if independent",
            "width / bound", "se / sd", "bias / sd", "not zero", "supported"]  # fmt: skip
    return markdown(head, rows)


def anytime(result: dict) -> str:
    """Who claims an effect where there is none."""
    rows = [
        [name, f"{f['repetitions']:.0f}", f"{f['anytime_valid_any_look']:.3f}",
         f"{f['fixed_any_look']:.3f}", f"{f['fixed_last_look']:.3f}"]
        for name, f in result["figures"].get(ANYTIME, {}).items()
    ]  # fmt: skip
    head = ["estimate", "repetitions", "anytime-valid, any of 100 looks", "95%, any of 100 looks",
            "95%, the last look"]  # fmt: skip
    return markdown(head, rows)


def agreement(result: dict) -> str:
    """The largest difference by peer and kind of number."""
    rows = []
    for peer, numbers in result["figures"].items():
        if peer == "econml":
            continue
        kinds: dict[str, list[float]] = {}
        for name, (_, _, difference) in numbers.items():
            kinds.setdefault(_kind(name), []).append(difference)
        rows += [
            [f"{peer} {result['versions'][peer]}: {kind}", f"{len(found)}", f"{max(found):.1e}"]
            for kind, found in kinds.items()
        ]
    return markdown(["peer: numbers", "how many", "largest difference"], rows)


def _kind(name: str) -> str:
    base = name.removesuffix(", standard error").removeprefix("clustered ").removeprefix("three arms ")  # fmt: skip
    for word in ("robustness value", "lower bound", "upper bound"):
        if word in base:
            return word.replace("lower ", "omitted-variable ").replace(
                "upper ", "omitted-variable "
            )
    clustered = ", clustered" if name.startswith("clustered") else ""
    arms = ", three arms" if name.startswith("three arms") else ""
    return base.split(" 1 against")[0].split(" 2 against")[0].rstrip(" 012") + clustered + arms


def truth(result: dict) -> str:
    """A table a benchmark."""
    parts = []
    for title, lines in result["figures"].items():
        measures = list(dict.fromkeys(m for found in lines.values() for m in found))
        rows = [
            [learner, *(f"{found[m]:.4g}" if m in found else "" for m in measures)]
            for learner, found in lines.items()
        ]
        head = [title, *(m.replace("_", " ") for m in measures)]
        parts.append(markdown(head, rows))
    return "\n\n".join(parts)


def gate(result: dict) -> str:
    """A row a verdict, of the gate as it is and of one that looks at differences alone."""
    rows = [
        [f"{title}: {verdict}", f"{f['draws']}", f"{f['share']:.2f}", f"{f['error']:.2f}", f"{f['coverage']:.2f}"]
        for title, lines in result["figures"].items()
        for verdict, f in lines.items()
    ]  # fmt: skip
    head = ["learner, estimand: verdict", "draws", "share", "error / se", "coverage"]
    return markdown(head, rows)


TABLES: dict[str, Callable[[dict], str]] = {
    "coverage": coverage,
    "coverage, looks": anytime,
    "agreement": agreement,
    "truth": truth,
    "effects_gate": gate,
}

if __name__ == "__main__":
    main()
