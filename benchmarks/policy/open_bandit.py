"""The Open Bandit samples in both directions, every estimator beside obp's on the same numbers.

    pip download --no-deps obp==0.4.1 && unzip obp-0.4.1-*.whl -d obp-unpacked
    python benchmarks/policy/open_bandit.py --obp obp-unpacked [--campaign all] [--simulations 100000]

ZOZOTOWN showed 10,000 items at random and 10,000 by Thompson sampling. From the random log follows what
Thompson sampling earns, and from its log what chance earns; what the *other* log's mean was is the
truth, itself known to a standard error of a seventh only. Thompson sampling's chances by place are drawn
from the published priors. Each of obp's estimates is made from the predictions of our reward model, so
that both have to be equal; errors against the truth stand beside them, all tuning values included.
Prints tables and, as last line, one JSON object.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import types
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as pv
import pyarrow.parquet as pq
import yaml

from truelift.policy.off_policy.evaluate import evaluate, reader_of, reward_models
from truelift.policy.off_policy.log import memory_log
from truelift.policy.off_policy.results import PolicyEstimate
from truelift.policy.off_policy.reward_model import RewardModel
from truelift.policy.off_policy.spec import BanditSpec
from truelift.public.tables import opened
from truelift.typed import from_plain

LOGS = {"random": "bts", "bts": "random"}
PLACES, BUCKETS = 3, 40
CONTEXT = [f"user_feature_{i}" for i in range(4)]


def obp_estimators(folder: Path, module: str = "estimators") -> Any:
    """obp's estimators alone: its packages import what draws and trains, too."""
    if find_spec("torch") is None:
        torch = types.ModuleType("torch")  # of which the estimators name types
        torch.Tensor = torch.tensor = object  # type: ignore[attr-defined]
        sys.modules["torch"] = torch
    for name in ("obp", "obp.ope"):
        package = types.ModuleType(name)
        package.__path__ = [str(folder / name.replace(".", "/"))]
        sys.modules[name] = package
    return import_module(f"obp.ope.{module}")


def thompson(folder: Path, campaign: str, simulations: int) -> pa.Table:
    """Chances of the items in each place, from draws of the published priors."""
    prior = yaml.safe_load((folder / "policy/conf/prior_bts.yaml").read_text())[campaign]
    alpha, beta = np.array(prior["alpha"]), np.array(prior["beta"])
    rng = np.random.default_rng(0)
    counts = np.zeros((PLACES, len(alpha)))
    for _ in range(simulations // 1000):
        draws = rng.beta(alpha, beta, size=(1000, len(alpha)))
        best = np.argsort(-draws, axis=1)[:, :PLACES]
        for place in range(PLACES):
            counts[place] += np.bincount(best[:, place], minlength=len(alpha))
    places, item = np.nonzero(counts)
    share = counts[places, item] / counts.sum(axis=1)[places]
    return pa.table({"position": places + 1, "item_id": item, "share": share})


def obp_values(obp: Any, rows: dict[str, np.ndarray]) -> dict[tuple[str, float | None], float]:
    """obp's estimates by estimator and tuning value."""
    n = len(rows["action"])
    common = {
        "reward": rows["reward"], "action": rows["action"], "pscore": rows["propensity"],
        "position": np.zeros(n, int), "action_dist": rows["chances"][:, :, None],
    }  # fmt: skip
    plain = common | {"estimated_rewards_by_reg_model": rows["q"][:, :, None]}
    robust = common | {"estimated_rewards_by_reg_model": rows["robust"][:, :, None]}
    values: dict[tuple[str, float | None], float] = {
        ("IPS", None): obp.InverseProbabilityWeighting().estimate_policy_value(**common),
        ("SNIPS", None): obp.SelfNormalizedInverseProbabilityWeighting().estimate_policy_value(
            **common
        ),
        ("DM", None): obp.DirectMethod().estimate_policy_value(**plain),
        ("DR", None): obp.DoublyRobust().estimate_policy_value(**plain),
        ("SNDR", None): obp.SelfNormalizedDoublyRobust().estimate_policy_value(**plain),
        ("MRDR", None): obp.DoublyRobust().estimate_policy_value(**robust),
    }
    for tuning in (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0):
        switch = obp.SwitchDoublyRobust(tau=tuning)
        values["switch-DR", tuning] = switch.estimate_policy_value(**plain)
        shrunk = obp.DoublyRobustWithShrinkage(lambda_=tuning)
        values["DRos", tuning] = shrunk.estimate_policy_value(**plain)
    return values


def arrays(spec: BanditSpec, log: Any, chances: np.ndarray | None) -> dict[str, np.ndarray]:
    """What obp takes: rows in the order of the buckets, predictions for all items."""
    reader = reader_of(log, spec)
    count = len(reader.actions)
    models, robust, _ = reward_models(log, reader, spec.layout(), lambda text: None)
    found: dict[str, list[np.ndarray]] = {}

    def all_of(model: RewardModel, features: np.ndarray) -> np.ndarray:
        return np.column_stack([model.of_one(features, a) for a in range(count)])

    code = {int(name): i for i, name in enumerate(reader.actions.to_pylist())}
    ranked = None if chances is None else chances[:, sorted(code, key=lambda item: code[item])]
    for bucket, table in sorted(log.panel.buckets.items()):
        batch = table.combine_chunks().to_batches()[0]
        rows = reader.rows(batch, 0, bucket)
        place = batch.column(batch.schema.get_field_index("position")).to_numpy() - 1
        own = np.full((len(place), count), 1 / count) if ranked is None else ranked[place]
        fold = bucket % spec.folds
        for key, value in (
            ("action", rows.action), ("reward", rows.rewards[:, 0]), ("propensity", rows.propensity),
            ("chances", own), ("q", all_of(models[0][fold], rows.features)),
            ("robust", all_of(robust[0][0][fold], rows.features)),
        ):  # fmt: skip
            found.setdefault(key, []).append(value)
    return {key: np.concatenate(parts) for key, parts in found.items()}


def direction(
    obp: Any, folder: Path, campaign: str, log_of: str, share: pa.Table, place: Path
) -> dict[str, Any]:
    """One log, the other's policy: our sweep, obp's, and how far both are from the other's mean."""
    lies = folder / "dataset/obd" / log_of / campaign / f"{campaign}.csv"
    other = folder / "dataset/obd" / LOGS[log_of] / campaign / f"{campaign}.csv"
    clicks = pv.read_csv(other)["click"].to_numpy().astype(float)
    truth, error = clicks.mean(), clicks.std() / np.sqrt(len(clicks))
    chances = None
    policy: dict[str, Any] = {"uniform": True}
    if log_of == "random":
        table = {"table": str(place), "by": ["position"], "action": "item_id", "chance": "share"}
        policy = {"table": table}
        items = int(np.max(share["item_id"].to_numpy())) + 1
        chances = np.zeros((PLACES, items))
        chances[share["position"].to_numpy() - 1, share["item_id"].to_numpy()] = share[
            "share"
        ].to_numpy()
    spec = from_plain(
        BanditSpec,
        {"action": "item_id", "rewards": ["click"], "propensity": "propensity_score",
         "position": "position", "context": CONTEXT, "policies": {LOGS[log_of]: policy}},
    )  # fmt: skip
    log = memory_log(opened(str(lies)), spec, BUCKETS)
    result = evaluate(log, spec)
    rows = arrays(spec, log, chances)
    if chances is not None and rows["chances"].shape != rows["q"].shape:
        raise SystemExit("The log lacks an item that Thompson sampling has; give another campaign.")
    peers = obp_values(obp, rows)
    print(f"\n{log_of} log, policy {LOGS[log_of]}: truth {truth:.5f} ± {error:.5f}")
    print(f"  support: {result.support[0].verdict}: {result.support[0].reason}")
    apart, lines = 0.0, []
    for e in result.estimates:
        peer = peers.get((e.estimator, e.tuning))
        if peer is not None:
            apart = max(apart, abs(e.estimate - peer) / abs(peer))
        print(_line(e, peer, truth))
        lines.append(
            {"estimator": e.estimator, "tuning": e.tuning, "ours": e.estimate, "obp": peer,
             "lower": e.ci_lower, "upper": e.ci_upper, "selected": e.selected,
             "error": abs(e.estimate / truth - 1)}
        )  # fmt: skip
    return {
        "truth": truth, "truth_error": error, "support": result.support[0].verdict,
        "largest relative difference": apart, "compared": len(peers), "estimates": lines,
    }  # fmt: skip


def _line(e: PolicyEstimate, peer: float | None, truth: float) -> str:
    tuning = "" if e.tuning is None else f"{e.tuning:g}"
    theirs = "" if peer is None else f"{peer:.8f}"
    return (
        f"  {'*' if e.selected else ' '} {e.estimator:<16}{tuning:>6} {e.estimate:.8f} "
        f"[{e.ci_lower:.5f}, {e.ci_upper:.5f}]  obp {theirs:<11} error {abs(e.estimate / truth - 1):.3f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--obp", type=Path, required=True, help="where the package was unpacked")
    parser.add_argument("--campaign", default="all", choices=("all", "men", "women"))
    parser.add_argument("--simulations", type=int, default=100_000)
    options = parser.parse_args()
    obp = obp_estimators(options.obp)
    folder = options.obp / "obp"
    share = thompson(folder, options.campaign, options.simulations)
    with tempfile.TemporaryDirectory() as kept:
        place = Path(kept) / "thompson.parquet"
        pq.write_table(share, place)
        figures = {
            name: direction(obp, folder, options.campaign, name, share, place) for name in LOGS
        }
    apart = max(f["largest relative difference"] for f in figures.values())
    print(f"\nlargest relative difference to obp: {apart:.1e}")
    print(json.dumps({"benchmark": "open_bandit", "figures": figures, "ratios": {}}))


if __name__ == "__main__":
    main()
