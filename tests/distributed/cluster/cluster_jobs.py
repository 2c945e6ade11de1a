"""Jobs one after another in one application, each called as its script in ``jobs/`` calls it.

``cluster_jobs.py JOB[,JOB...] [OPTION ...]``: submitted to the cluster, or run as it is.
"""

from __future__ import annotations

import sys

from truelift.cli import main

if __name__ == "__main__":
    for job in sys.argv[1].split(","):
        code = main([job, *sys.argv[2:]])
        if code:
            sys.exit(code)
