"""A rule on rows that another package brings: asked for by its name, run, explained."""

from __future__ import annotations

from truelift.logs.explain import meanings
from truelift.logs.rules import RuleContext, labels_text, reasons_text
from truelift.logs.sources.columns import CORRUPT
from truelift.settings import CleanOptions
from truelift.settings.clean import RULES

DEAR = """
from pyspark.sql import functions as F
from truelift.logs.added_rules import RowRule

DEAR = RowRule("too_dear", "The value is above a million.", lambda context: F.col("value") > 1e6)
"""


def test_a_rule_of_another_package_does_to_a_row_what_the_settings_say(spark, bring):
    bring("truelift.row_rules", DEAR, too_dear="DEAR")
    schema = f"value double, {CORRUPT} string"
    frame = spark.createDataFrame([(2e6, None), (3.0, None), (2e6, "x,y")], schema)
    ours = dict.fromkeys(RULES, "ignore")
    asked = {
        action: RuleContext(CleanOptions(actions={**ours, "too_dear": action}))
        for action in ("reject", "label")
    }
    silent = RuleContext(CleanOptions(actions=ours))
    columns = [
        reasons_text(asked["reject"]), labels_text(asked["label"]), reasons_text(silent),
    ]  # fmt: skip
    assert [tuple(row) for row in frame.select(*columns).collect()] == [
        ("too_dear", "too_dear", ""),
        ("", "", ""),
        ("corrupt_row", "too_dear", "corrupt_row"),
    ]
    assert meanings()["too_dear"] == "The value is above a million."
