"""A file of interactions through the steps: every line is in ``gold.sequences``, in its order."""

import pytest

from truelift.features.results import FeaturesResult
from truelift.pipeline import step_named
from truelift.typed import from_plain

TIMED = [
    # Twice the same, then others in the same second: only the lines say which came first.
    *[f"ann {item} 0" for item in ("x", "x", "null", "y", "x", "z")],
    *[f"ann {item} 7" for item in ("y", "x")],
    # More in a minute, and more evenly, than a person can.
    *[f"bot i{n % 70} {1_000_000_000 + n}" for n in range(140)],
    # Years later, and later than the file itself.
    "ann x 950000000", "cem Ä 978300760.0", "cem ä 978300760.0", "ann x 4000000000",
]  # fmt: skip
PLAIN = ["ann x", "bob y", "ann x", "bob x", "ann y", "ann z"]
STEPS = ("ingest", "clean", "sessionize", "build_features", "build_panel", "estimate_effects")


@pytest.mark.parametrize("lines", [TIMED, PLAIN], ids=["with times", "without times"])
def test_every_line_is_in_the_sequences_in_the_files_order(
    lines, tmp_path, make_settings, make_job
):
    (tmp_path / "ratings.txt").write_text("\n".join(lines) + "\n", encoding="utf-8")
    settings = make_settings(
        f"source.path={tmp_path}/ratings.txt", "buckets=5", dataset="interactions"
    )
    jobs, reports = {}, {}
    for name in STEPS:
        jobs[name] = make_job(name, settings)
        reports[name] = step_named(name).run(jobs[name])
    wanted: dict[str, list[str]] = {}
    for line in lines:
        user, item = line.split()[:2]
        wanted.setdefault(user, []).append(item)
    lake = jobs["clean"].lake
    keys = {row.item_index: row.item_key for row in lake.read("gold.items").collect()}
    found = {
        row.user_key: [keys[index] for index in row.item_index]
        for row in lake.read("gold.sequences").collect()
    }
    assert found == wanted
    features = from_plain(FeaturesResult, jobs["build_features"].results["FeaturesResult"])
    assert features.sequence_events == len(lines)
    assert "no exposures" in reports["build_panel"].headline["skipped"]
    assert reports["estimate_effects"].headline["skipped"]
    assert lake.version("gold.panel") is None and lake.version("gold.effects") is None
