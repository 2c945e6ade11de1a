"""Java classes kept as Java likes them: an embedded Spark starts in two thirds of the time.

Starting Spark and writing a first Delta table loads and verifies some 20,000 classes. Java can
keep what it made of them (a dynamic class-data archive, JEP 350) and map it into the next process.
An archive belongs to one Java, one class path and one Spark, which its file's name tells; where
there is none, or Java does not like it, Spark starts as it always did. Set-up makes it
(``docs/decisions/0007-cost-of-a-start.md``).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import shutil
import sys
import tempfile
from pathlib import Path


def archive_options() -> str:
    """The Java options with which a process uses the archive; empty where there is none."""
    kept = archive_path()
    # Java would also say on standard output why it does without an archive that does not fit.
    return f"-XX:SharedArchiveFile={kept} -Xshare:auto -Xlog:cds=off" if kept.exists() else ""


def archive_path() -> Path:
    """Where the archive of this environment's Python, Spark and Java lies, if it was made."""
    home = os.environ.get("JAVA_HOME")
    java = Path(home) / "bin" / "java" if home else Path(shutil.which("java") or "java")
    found = importlib.util.find_spec("pyspark")
    places = (found and found.submodule_search_locations) or [""]
    spark = f"{importlib.metadata.version('pyspark')} {Path(places[0]).resolve()}"
    key = hashlib.sha256(f"{java.resolve()} {spark}".encode()).hexdigest()[:12]
    return Path(sys.prefix) / f"truelift-classes-{key}.jsa"


def make_archive() -> Path:
    """Start Spark, let it do a little of what jobs do, and keep its classes when it ends."""
    from truelift.lake.session import java_options, start_session, stop_and_wait
    from truelift.settings import SparkOptions

    kept = archive_path()
    for other in kept.parent.glob("truelift-classes-*.jsa"):
        other.unlink()
    with tempfile.TemporaryDirectory(dir=kept.parent, prefix="truelift-classes-") as folder:
        made = Path(folder) / kept.name
        # Not through the environment, where the small Java that starts Spark's would take it too.
        java = f"{java_options()} -XX:ArchiveClassesAtExit={made} -Xlog:cds=off"
        conf = {"spark.driver.extraJavaOptions": java}
        session = start_session(SparkOptions("local[2]", "1g", 2, conf), "truelift-classes")
        uri = f"{folder}/table"
        rows = session.range(100).selectExpr("id", "id % 3 AS bucket", "string(id) AS name")
        rows.write.format("delta").partitionBy("bucket").save(uri)
        session.read.format("delta").load(uri).groupBy("bucket").count().collect()
        session.sql(
            f"MERGE INTO delta.`{uri}` AS t USING (SELECT 1 AS id) AS s ON t.id = s.id "
            "WHEN MATCHED THEN UPDATE SET name = 'one'"
        ).collect()
        rows.mapInArrow(lambda batches: batches, rows.schema).collect()
        stop_and_wait(session)
        made.replace(kept)
    return kept
