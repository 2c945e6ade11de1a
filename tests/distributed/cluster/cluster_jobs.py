"""Runs the jobs of the cluster test in this process, for comparison: the local run."""

from __future__ import annotations

import sys

from truelift.cli import main

JOBS = ("ingest", "clean", "sessionize", "build_features", "estimate_effects")

if __name__ == "__main__":
    for job in JOBS:
        code = main([job, *sys.argv[1:]])
        if code:
            sys.exit(code)
