"""What diff-diff says of a panel; run in its own environment by ``differences.py``."""

from __future__ import annotations

import json
import sys
from typing import Any

import pandas as pd
from diff_diff import CallawaySantAnna


def as_peer(file: str, whom: str, columns: dict[str, str]) -> dict[str, Any]:
    """Effects by cohort and period with their errors, and the overall one."""
    made = CallawaySantAnna(control_group=whom, estimation_method="reg", cluster=columns["cluster"])
    names = {name: columns[name] for name in ("outcome", "unit", "time", "first_treat")}
    found = made.fit(pd.read_csv(file), aggregate="simple", **names)
    cells = {
        f"{int(g)} {int(t)}": [float(e["effect"]), float(e["se"])]
        for (g, t), e in found.group_time_effects.items()
    }
    return {"cells": cells, "overall": [float(found.overall_att), float(found.overall_se)]}


if __name__ == "__main__":
    print(json.dumps(as_peer(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))))
