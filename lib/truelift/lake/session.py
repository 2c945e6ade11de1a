"""The Spark session: embedded where there is none, the platform's own where there is one."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from truelift.errors import MachineError
from truelift.lake.class_archive import archive_options
from truelift.lake.workers import KEPT_MEMORY
from truelift.settings import SparkOptions

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

DELTA_VERSION = "4.3.0"
# Java interprets methods of more than 8000 bytes for good, and Spark generates such for wide rows.
_COMPILE_ALL = "-XX:-DontCompileHugeMethods"
# What every start prints, to which nobody can do anything.
_GREETINGS = (
    b"NOTE: Picked up JDK_JAVA_OPTIONS",
    b"WARNING: Using incubator modules",
    b'Setting default log level to "',
    b"To adjust logging level use sc.setLogLevel",
)
# Seconds that a Java which was told to end may take, with its classes to write.
_LAST_WORDS = 300
_LOGGING = Path(__file__).with_name("log4j2.properties")


def jars_directory() -> Path:
    """Where set-up has put the Delta jars: ``TRUELIFT_JARS`` or the user's cache."""
    if chosen := os.environ.get("TRUELIFT_JARS"):
        return Path(chosen)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "truelift" / "jars" / f"delta-{DELTA_VERSION}"


def delta_jars() -> list[str]:
    """The jars that Spark needs for Delta, sorted; empty if set-up has not resolved them."""
    return sorted(str(p) for p in jars_directory().glob("*.jar"))


def check_java() -> str:
    """Version of the Java that Spark will start.

    Raises
    ------
    MachineError
        If there is no Java, or one older than 17.
    """
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    if java is None or not Path(java).exists():
        where = f"JAVA_HOME is {home}, which has no bin/java" if home else "no java on the PATH"
        raise MachineError(
            f"Spark needs Java 17 or newer: {where}. Install it with "
            "'apt-get install openjdk-17-jre-headless' or set JAVA_HOME."
        )
    out = subprocess.run([java, "-version"], capture_output=True, text=True, check=False)
    found = re.search(r'version "(\d+)(?:\.(\d+))?', out.stderr + out.stdout)
    if not found:
        raise MachineError(f"{java} -version answered {out.stderr.strip()!r}, expected a version.")
    major = int(found[2]) if found[1] == "1" and found[2] else int(found[1])
    if major < 17:
        raise MachineError(f"Spark needs Java 17 or newer; {java} is Java {major}.")
    return str(major)


def start_session(options: SparkOptions, name: str = "truelift") -> SparkSession:
    """The active session, or a new one with Delta switched on.

    A session that exists (a notebook) is used as it is. Under ``spark-submit`` the master,
    memory and jars are those of the command; embedded, they come from ``options``.

    Raises
    ------
    MachineError
        If Java or the Delta jars are missing.
    """
    from pyspark.sql import SparkSession

    active = SparkSession.getActiveSession()
    if active is not None:
        return active
    submitted = "PYSPARK_GATEWAY_PORT" in os.environ or "SPARK_REMOTE" in os.environ
    conf = {**_common(options), **options.conf}
    if not submitted:
        check_java()
        conf = {**_embedded(options), **conf}
        start_java(conf)
    builder = SparkSession.builder.appName(name)
    for key, value in conf.items():
        builder = builder.config(key, value)
    session = builder.getOrCreate()
    if submitted:
        _send_wheel(session)
    if hasattr(session, "sparkContext") and not submitted:
        session.sparkContext.setLogLevel("ERROR")
    return session


def _send_wheel(session: SparkSession) -> None:
    """Put the wheel that this code came from on the executors' path.

    ``spark-submit --py-files`` takes a wheel to the executors, where Python looks into files
    that end in ``.zip`` only.
    """
    wheel = next((p for p in Path(__file__).parents if p.suffix == ".whl"), None)
    if wheel is None or not hasattr(session, "sparkContext"):
        return
    zipped = Path(tempfile.mkdtemp(prefix="truelift-wheel-")) / f"{wheel.stem}.zip"
    shutil.copy(wheel, zipped)
    session.sparkContext.addPyFile(str(zipped))


def _common(options: SparkOptions) -> dict[str, str]:
    return {
        "spark.sql.extensions": "io.delta.sql.DeltaSparkSessionExtension",
        "spark.sql.catalog.spark_catalog": "org.apache.spark.sql.delta.catalog.DeltaCatalog",
        "spark.sql.session.timeZone": "UTC",
        "spark.sql.shuffle.partitions": str(options.shuffle_partitions),
        "spark.sql.parquet.outputTimestampType": "TIMESTAMP_MICROS",
        "spark.sql.execution.arrow.maxRecordsPerBatch": "20000",
        # With a limit in bytes Spark adds up the sizes of all buffers after every row, which takes
        # several times as long as the rows' own work; this value switches that off.
        "spark.sql.execution.arrow.maxBytesPerBatch": str(2**31 - 1),
        "spark.ui.showConsoleProgress": "false",
        # Spark would look up for every expression which line of Python made it, to name the line in
        # an error of its own: that takes longer than making the expression.
        "spark.python.sql.dataFrameDebugging.enabled": "false",
        **{f"spark.executorEnv.{name}": value for name, value in KEPT_MEMORY.items()},
    }


def java_options() -> str:
    """The Java options with which an embedded session is quiet, and starts as fast as it can."""
    return f"-Dlog4j2.configurationFile={_LOGGING.as_uri()} {archive_options()}".rstrip()


def start_java(conf: Mapping[str, str]) -> None:
    """Start the Java of an embedded session, without the notes that it greets everybody with.

    Everything else that Java, Spark or a Python worker writes to standard error comes through.
    """
    from pyspark import SparkConf, SparkContext
    from pyspark.java_gateway import launch_gateway

    if SparkContext._gateway is not None:
        return
    gateway: Any = launch_gateway(
        SparkConf(loadDefaults=False).setAll(list(conf.items())), {"stderr": subprocess.PIPE}
    )
    reader = threading.Thread(target=_pass_on, args=(gateway.proc.stderr,), daemon=True)
    reader.start()
    SparkContext._ensure_initialized(gateway=gateway)


def _pass_on(lines: IO[bytes]) -> None:
    """Write what a process says to our own standard error, but for greetings."""
    for line in lines:
        if not line.startswith(_GREETINGS):
            # Where nobody takes it, Java must be able to go on.
            with contextlib.suppress(OSError):
                os.write(2, line)


def stop_and_wait(session: SparkSession) -> None:
    """Stop an embedded session and its Java, and wait until it has ended."""
    from pyspark import SparkContext

    gateway: Any = SparkContext._gateway
    session.stop()
    gateway.shutdown()
    gateway.proc.terminate()  # Java ends in good order, and keeps its classes where asked to
    try:
        gateway.proc.wait(_LAST_WORDS)
    except subprocess.TimeoutExpired:
        gateway.proc.kill()
        raise
    SparkContext._gateway = SparkContext._jvm = None


def _embedded(options: SparkOptions) -> dict[str, str]:
    jars = delta_jars()
    if not jars:
        raise MachineError(
            f"The Delta jars are not in {jars_directory()}. Run 'make setup' once (it resolves "
            "them), or set TRUELIFT_JARS to the folder that holds them."
        )
    os.environ.setdefault("PYSPARK_PYTHON", sys.executable)
    os.environ.setdefault("PYSPARK_DRIVER_PYTHON", sys.executable)
    conf = {
        "spark.jars": ",".join(jars),
        "spark.driver.memory": options.driver_memory,
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": f"{_COMPILE_ALL} {java_options()}",
        "spark.executor.extraJavaOptions": _COMPILE_ALL,
        # The defaults of both are made for large clusters and cost seconds on small tables.
        "spark.databricks.delta.snapshotPartitions": "2",
        "spark.sql.sources.parallelPartitionDiscovery.parallelism": "8",
        # Delta would list the files of a table that does not exist yet, by a query, to keep the list
        # beside each commit, where nothing but the next commit reads it.
        "spark.databricks.delta.allFilesInCrc.enabled": "false",
    }
    if options.master:
        conf["spark.master"] = options.master
        if options.master.startswith("local"):
            os.environ.setdefault("SPARK_LOCAL_IP", "127.0.0.1")
            conf["spark.driver.host"] = "127.0.0.1"
    return conf
