"""Cross-fitted linear AIPW: ours beside EconML (and DoubleML where it is installed).

    python benchmarks/effects_linear.py [--rows 1000000] [--repeats 3] [--peer-python PATH]

All read the same Parquet files (one Delta table, 20 covariates, binary treatment, one outcome);
reading is timed, process start and imports are not. Ours gives user-clustered standard errors,
EconML's LinearDRLearner has none. Without --peer-python the script makes an environment for the
peers with uv, in the user's cache. The last line is one JSON object; ratios are ours divided
by the peer's.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

FOLDS = 5
PEERS = ("econml", "doubleml")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--covariates", type=int, default=20)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--cores", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--tolerance", type=float, default=1e-5)
    parser.add_argument("--peer-python", help="an interpreter that can import econml")
    parser.add_argument("--no-peers", action="store_true")
    parser.add_argument("--out", default="benchmarks/results/effects_linear.json")
    parser.add_argument("--measure", help=argparse.SUPPRESS)
    parser.add_argument("--table", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        run = run_ours(options) if options.measure == "truelift" else run_peer(options)
        print(json.dumps(timed(run, options.repeats)))
        return
    place = tempfile.mkdtemp(prefix="truelift-linear-")
    try:
        figures = compare(options, f"{place}/panel")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    ours = figures["truelift"]["seconds"]
    result = {
        "benchmark": "effects_linear",
        "rows": options.rows,
        "figures": figures,
        "ratios": {n: round(ours / f["seconds"], 3) for n, f in figures.items() if n != "truelift"},
    }
    out = Path(options.out)
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print(json.dumps(result))


def compare(options: argparse.Namespace, table: str) -> dict[str, dict[str, float]]:
    from simulated_table import write_panel

    truth = write_panel(table, options.rows, options.covariates, 40)
    runs = {"truelift": sys.executable}
    if not options.no_peers:
        peer = options.peer_python or peer_environment()
        runs |= {name: peer for name in PEERS if importable(peer, name)}
    figures = {}
    for name, python in runs.items():
        figures[name] = in_process(python, name, table, options)
        print(
            f"{name}: {figures[name]['seconds']:.2f} s (median of {options.repeats}), "
            f"{figures[name]['driver_mib']:,.0f} MiB in its Python process, estimate "
            f"{figures[name]['estimate']:.4f} +- {figures[name]['standard_error']:.4f}, "
            f"truth {truth:.4f}",
            flush=True,
        )
    return figures


def in_process(python: str, name: str, table: str, options: argparse.Namespace) -> dict[str, float]:
    command = [python, __file__, "--measure", name, "--table", table]
    command += ["--repeats", str(options.repeats), "--cores", str(options.cores)]
    command += ["--tolerance", str(options.tolerance), "--covariates", str(options.covariates)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def timed(run: Callable[[], tuple[float, float]], repeats: int) -> dict[str, float]:
    """Median seconds of the repeats, after one that warms up."""
    run()
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        estimate, error = run()
        seconds.append(time.perf_counter() - began)
    return {
        "seconds": round(statistics.median(seconds), 3),
        "fastest": round(min(seconds), 3),
        "estimate": float(estimate),
        "standard_error": float(error),
        "driver_mib": peak_mib(),
    }


def peak_mib() -> float:
    # Not getrusage: its peak begins with that of the process that started this one.
    status = Path("/proc/self/status").read_text()
    return round(int(status.split("VmHWM:")[1].split()[0]) / 1024, 1)


def run_ours(options: argparse.Namespace) -> Callable[[], tuple[float, float]]:
    from truelift.effects.job import estimate_effects_from
    from truelift.lake import Lake
    from truelift.settings import EffectOptions, Settings, SparkOptions

    spark = SparkOptions(master=f"local[{options.cores}]", driver_memory="1g")
    lake = Lake.open(Settings(lake=str(Path(options.table).parent / "lake"), spark=spark))
    lake.spark.range(1).count()
    chosen = EffectOptions(outcomes=("y_spend",), folds=FOLDS, tolerance=options.tolerance)

    def run() -> tuple[float, float]:
        ate = estimate_effects_from(lake, options.table, chosen).estimates[0]
        return ate.estimate, ate.standard_error

    return run


def run_peer(options: argparse.Namespace) -> Callable[[], tuple[float, float]]:
    import pyarrow.dataset as ds
    from sklearn.linear_model import LinearRegression, LogisticRegression

    names = [f"x_{j + 1}" for j in range(options.covariates)]

    def read():  # type: ignore[no-untyped-def]
        data = ds.dataset(options.table, format="parquet", exclude_invalid_files=True)
        return data.to_table(columns=["y_spend", "treated", *names]).to_pandas()

    def econml() -> tuple[float, float]:
        from econml.dr import LinearDRLearner

        frame = read()
        x = frame[names].to_numpy()
        learner = LinearDRLearner(
            model_propensity=LogisticRegression(C=1e6),
            model_regression=LinearRegression(),
            cv=FOLDS,
        )
        # The final model is a constant, as ours is; covariates go to the nuisances.
        learner.fit(frame["y_spend"].to_numpy(), frame["treated"].to_numpy(), X=None, W=x)
        inference = learner.ate_inference()
        return float(inference.mean_point), float(inference.stderr_mean)

    def doubleml() -> tuple[float, float]:
        import doubleml as dml

        data = dml.DoubleMLData(read(), y_col="y_spend", d_cols="treated", x_cols=names)
        model = dml.DoubleMLIRM(
            data, LinearRegression(), LogisticRegression(C=1e6), n_folds=FOLDS, score="ATE"
        )
        model.fit()
        return float(model.coef[0]), float(model.se[0])

    return {"econml": econml, "doubleml": doubleml}[options.measure]


def peer_environment() -> str:
    """An interpreter with the peers, made with uv once and kept in the user's cache."""
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    place = cache / "truelift" / "peers-effects"
    python = place / "bin" / "python"
    if not importable(str(python), "econml"):
        print(f"installing EconML and DoubleML in {place}", flush=True)
        uv = shutil.which("uv") or str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--python", sys.executable, str(place)], check=True)
        packages = ["econml", "doubleml", "pyarrow"]
        install = [uv, "pip", "install", "--quiet", "--python", str(python), *packages]
        subprocess.run(install, check=True)
    return str(python)


def importable(python: str, module: str) -> bool:
    if not Path(python).exists():
        return False
    done = subprocess.run([python, "-c", f"import {module}"], capture_output=True, check=False)
    return done.returncode == 0


if __name__ == "__main__":
    main()
