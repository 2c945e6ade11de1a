"""The jobs with models whose step is one event: side features, a classifier, ``recommend``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import mlflow
import numpy as np
import pandas as pd
import pytest

from truelift.config import load_settings
from truelift.errors import TableError
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.on_spark import SparkComparison
from truelift.evaluation.splits import DAY, LeaveOneOut
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.tables import table_spec
from truelift.models.sequence.histories import COLUMNS, Histories
from truelift.models.sequence.sides import gap_buckets
from truelift.pipeline import pin_inputs, step_named
from truelift.recommend.job import recommend
from truelift.recommend.results import RecommendResult
from truelift.steps import StepRecord, StepStore
from truelift.tracking import job_run
from truelift.training.job import train_sequence
from truelift.training.results import TrainingResult
from truelift.typed import from_plain

ITEMS, USERS, EVENTS = 24, 60, 40
KINDS = ("buy", "cart", "view")
EVERYTHING = "u-everything"
FAST = {
    "step": "event", "processes": 1, "epochs": 14, "patience": 14, "batch_size": 4,
    "max_length": 20, "units": 32, "dropout": 0.0, "learning_rate": 0.01, "warmup_steps": 10,
    "validation_days": 4, "test_days": 4, "timeout_seconds": 300,
}  # fmt: skip


def kinds_of(random: bool) -> np.ndarray:
    """Codes of the users' event types: drawn, or one after the other."""
    rng = np.random.default_rng(4)
    if random:
        return rng.integers(1, len(KINDS) + 1, (USERS, EVENTS))
    return 1 + (rng.integers(len(KINDS), size=(USERS, 1)) + np.arange(EVENTS)) % len(KINDS)


def world(kinds: np.ndarray) -> list[dict]:
    """An event a day, two a session; an event's type says how many items on the next one is."""
    rows = []
    starts = np.random.default_rng(5).integers(ITEMS, size=len(kinds))
    times = np.arange(EVENTS) * DAY
    for user, (start, own) in enumerate(zip(starts, kinds, strict=True)):
        items = (start + np.r_[0, np.cumsum(own)[:-1]]) % ITEMS + 1
        rows.append(row(f"u{user:02d}", items, times, own))
    return rows


def row(user: str, items: np.ndarray, times: np.ndarray, kinds: np.ndarray) -> dict:
    """A row of ``gold.sequences``."""
    return {
        "user_key": user,
        "item_index": items.tolist(),
        "event_time": times.tolist(),
        "session_number": (np.arange(len(items)) // 2).tolist(),
        "event_type": kinds.tolist(),
        "category": (1 + items % 4).tolist(),
        "gap_bucket": gap_buckets(times + 1, np.array([0, len(items)])).tolist(),
        "quantity": np.ones(len(items)).tolist(),
        "bucket": int(user[-1], 36) % 3,
    }


def row_a_session(rows: list[dict]) -> Iterator[dict]:
    """The same events as ``features.sequence_of: session`` keeps them."""
    for whole in rows:
        for number in sorted(set(whole["session_number"])):
            own = [i for i, n in enumerate(whole["session_number"]) if n == number]
            yield {k: [v[i] for i in own] if isinstance(v, list) else v for k, v in whole.items()}


def put(lake: Lake, rows: list[dict], label: str) -> None:
    schema = table_spec("gold.sequences").schema()
    tuples = [tuple(r[name] for name in schema.names) for r in rows]
    lake.replace("gold.sequences", lake.spark.createDataFrame(tuples, schema), label)


class Shop:
    """A lake, its settings, and a way to run jobs on it."""

    def __init__(self, spark, place, random: bool, **options):
        self.place = place
        given = {**FAST, **options}
        self.settings = load_settings(
            "local", "complete_journey",
            (
                f"tracking.uri=sqlite:///{place}/mlflow.db",
                f"tracking.artifacts={place}/artifacts",
                "tracking.system_metrics=false",
                *(f"sequence.{key}={value}" for key, value in given.items()),
            ),
            f"{place}/lake",
        )  # fmt: skip
        self.lake = Lake.open(self.settings, spark)
        self.rows = world(kinds_of(random))
        put(self.lake, self.rows, "world")
        items = [(f"item-{i:02d}", i, f"Item {i}", f"c{i % 4}", 1 + i % 4, 1, 1)
                 for i in range(1, ITEMS + 1)]  # fmt: skip
        self.fill("gold.items", items)
        self.fill("gold.vocabularies", [("event_type", c, k) for c, k in enumerate(KINDS, 1)])

    def fill(self, name: str, rows: list[tuple]) -> None:
        schema = table_spec(name).schema()
        self.lake.replace(name, self.lake.spark.createDataFrame(rows, schema), "world")

    def run(self, function, **options) -> tuple[Job, object]:
        """A real job under a real MLflow run; ``options`` are of the section ``recommend``."""
        name = function.__name__
        using = replace(self.settings, recommend=replace(self.settings.recommend, **options))
        inputs = pin_inputs(step_named(name), self.lake)
        store = StepStore(self.lake.root)
        workdir = self.place / f"work-{name}-{len(list(self.place.iterdir()))}"
        workdir.mkdir()
        with job_run(using, name, {}) as tracked:
            label = f"{options}-{sorted(inputs.items())}"
            job = Job(name, using, self.lake, inputs, label, tracked, workdir, store=store)
            done = function(job)
        store.write(
            StepRecord(
                name, job.fingerprint, inputs, job.outputs, done.rows_in, done.rows_out, 1.0,
                done.headline, job.results, tracked.run_id, "test", "now",
            )
        )  # fmt: skip
        return job, done

    def recommended(self) -> dict[str, list[str]]:
        """Items by user, best first."""
        found: dict[str, list[str]] = {}
        table = self.lake.read("gold.recommendations").orderBy("user_key", "rank")
        for r in table.collect():
            found.setdefault(r.user_key, []).append(r.item_key)
        return found


def training_of(job: Job) -> TrainingResult:
    return from_plain(TrainingResult, job.results["TrainingResult"])


@pytest.fixture(scope="module")
def shop(spark, tmp_path_factory):
    """Where only the event type tells the next item, and SASRec reads it."""
    place = tmp_path_factory.mktemp("sasrec")
    sides = "[event_type, category, gap_bucket]"
    options = {
        "layers": 1,
        "epochs": 8,
        "split": "leave_one_out",
        "side_features": sides,
        "mixed_precision": "true",
    }
    return Shop(spark, place, True, model="sasrec", **options)


@pytest.fixture(scope="module")
def trained(shop):
    return shop.run(train_sequence)[0]


@pytest.fixture(scope="module")
def recommended(shop, trained):
    """Everybody's items, among them those of a user who has had every item."""
    items = np.r_[1 : ITEMS + 1]
    kinds = np.full(ITEMS, 3)
    shop.rows.append(row(EVERYTHING, items, np.arange(ITEMS) * DAY, kinds))
    put(shop.lake, shop.rows, "one more user")
    return shop.run(recommend)[0], shop.recommended()


def test_side_features_tell_the_model_what_items_alone_do_not(trained):
    result = training_of(trained)
    # Three items are equally likely for who does not see the type: 0.71 at best.
    assert result.test[0].ndcg > 0.85
    assert max(m.ndcg for m in result.test[1:]) < 0.75


def test_without_a_gpu_mixed_precision_is_noted_as_without_effect(trained):
    import tensorflow as tf

    if tf.config.list_logical_devices("GPU"):
        pytest.skip("a GPU has mixed precision")
    said = [
        n for n in training_of(trained).notes if n.startswith("sequence.training.mixed_precision")
    ]
    assert said == [
        "sequence.training.mixed_precision had no effect: there is no GPU; trained in float32."
    ]
    tags = mlflow.MlflowClient().get_run(trained.run.run_id).data.tags
    assert tags["truelift.precision"] == "float32"


def test_the_registered_model_knows_names_of_event_types(trained):
    served = mlflow.pyfunc.load_model(training_of(trained).model_uri)
    days = [int(d) * 86400 for d in range(3)]
    rows = pd.DataFrame(
        {
            "items": [["item-03", "item-04", "item-06"]] * len(KINDS),
            "times": [days] * len(KINDS),
            "event_types": [["buy", "cart", kind] for kind in KINDS],
        }
    )
    assert [items[0] for items in served.predict(rows)["items"]] == [
        "item-07",
        "item-08",
        "item-09",
    ]


def test_an_event_model_recommends_what_comes_next_for_every_user(shop, recommended):
    job, found = recommended
    assert len(found) == USERS + 1
    assert {len(items) for items in found.values()} == {10}
    expected = {
        r["user_key"]: f"item-{(r['item_index'][-1] - 1 + r['event_type'][-1]) % ITEMS + 1:02d}"
        for r in shop.rows[:USERS]
    }
    hits = [found[user][0] == item for user, item in expected.items()]
    assert np.mean(hits) > 0.8
    result = from_plain(RecommendResult, job.results["RecommendResult"])
    assert all(len(e.times_as_likely) == 5 for e in result.examples)


def test_a_row_a_session_gives_users_the_same_items(shop, recommended):
    put(shop.lake, list(row_a_session(shop.rows)), "by session")
    shop.run(recommend)
    assert shop.recommended() == recommended[1]
    put(shop.lake, shop.rows, "by user again")


def test_only_listed_items_are_offered_and_only_listed_users_ranked_for(
    shop, recommended, tmp_path
):
    (tmp_path / "stock.txt").write_text("item-03\nitem-20\nsold out\n")
    (tmp_path / "users.txt").write_text("u04\nu07\nstranger\n")
    job, done = shop.run(recommend, items=f"{tmp_path}/stock.txt", users=f"{tmp_path}/users.txt")
    found = shop.recommended()
    assert {user: sorted(items) for user, items in found.items()} == {
        user: ["item-03", "item-20"] for user in ("u04", "u07")
    }
    assert done.headline["users"] == 2
    assert from_plain(RecommendResult, job.results["RecommendResult"]).notes == (
        "recommend.items: 1 of 3 items are not in the tables.",
        "recommend.users: 1 of 3 users are not in the tables.",
    )


def test_the_neighbouring_sessions_are_the_same_on_spark(shop, recommended):
    columns = [*COLUMNS, "bucket"]
    split = LeaveOneOut("event")
    given = (split, ITEMS, shop.settings.sequence)
    plan = shop.lake.plan("gold.sequences", columns)
    spread = SparkComparison(shop.lake.spark, plan, shop.lake.buckets, *given)
    whole = Histories.from_arrow(shop.lake.read("gold.sequences").select(*columns).toArrow())
    alone = RankComparison(lambda: iter([whole]), *given)
    past = split.test(whole)[0]
    np.testing.assert_array_equal(
        spread.baselines("test")["session kNN"].scores(past),
        alone.baselines("test")["session kNN"].scores(past),
    )


def test_who_has_had_every_item_gets_none_where_seen_items_are_dropped(shop, recommended):
    _, done = shop.run(recommend, seen_items="drop")
    found = shop.recommended()
    had = {r["user_key"]: {f"item-{i:02d}" for i in r["item_index"]} for r in shop.rows}
    assert EVERYTHING not in found
    assert all(not had[user] & set(items) for user, items in found.items())
    left = {user: ITEMS - len(items) for user, items in had.items()}
    assert {u: len(items) for u, items in found.items()} == {
        u: min(10, n) for u, n in left.items() if n
    }
    assert done.headline["without recommendations"] == sum(n == 0 for n in left.values())


def test_where_everybody_has_had_every_item_the_table_is_empty(shop, recommended):
    put(shop.lake, shop.rows[USERS:], "only one user")
    _, done = shop.run(recommend, seen_items="drop")
    assert shop.recommended() == {}
    assert (done.rows_out, done.headline["without recommendations"]) == (0, 1)


@pytest.fixture(scope="module")
def actions(spark, tmp_path_factory):
    """Where the event types come in a fixed order, and a classifier foretells them."""
    place = tmp_path_factory.mktemp("actions")
    return Shop(spark, place, False, model="next_action", epochs=6, units=16)


@pytest.fixture(scope="module")
def classified(actions):
    return actions.run(train_sequence)


def test_a_classifier_reports_its_accuracy_beside_the_most_frequent_action(classified):
    job, done = classified
    result = training_of(job)
    model, frequent = result.test
    assert model.measure("accuracy").value > 0.9 > 0.6 > frequent.measure("accuracy").value
    assert done.headline["accuracy"] == round(model.measure("accuracy").value, 4)
    metrics = mlflow.MlflowClient().get_run(job.run.run_id).data.metrics
    assert metrics["test.accuracy.next_action"] == pytest.approx(model.measure("accuracy").value)
    assert metrics["validation_accuracy"] > 0.9


def test_the_registered_classifier_foretells_actions_by_name(classified):
    served = mlflow.pyfunc.load_model(training_of(classified[0]).model_uri)
    rows = pd.DataFrame(
        {
            "items": [["item-03", "item-04"]] * 2,
            "sessions": [[0, 0]] * 2,
            "times": [[0, 86400]] * 2,
            "event_types": [["buy", "cart"], ["cart", "view"]],
        }
    )
    answer = served.predict(rows)
    assert [a[0] for a in answer["actions"]] == ["view", "buy"]
    assert [sorted(a) for a in answer["actions"]] == [sorted(KINDS)] * 2
    with pytest.raises(mlflow.exceptions.MlflowException, match="actions come again"):
        served.predict(rows, params={"seen_items": "drop"})


def test_a_second_classifier_is_compared_with_the_champion(actions, classified):
    job, _ = actions.run(train_sequence)
    result = training_of(job)
    champion = next(m for m in result.test if m.model == "champion")
    assert champion.measure("accuracy").value == classified[1].headline["accuracy"]
    tags = mlflow.MlflowClient().get_run(job.run.run_id).data.tags
    assert tags["truelift.gate"].startswith("kept champion 1: NDCG@10 +0.0000")


def test_a_classifier_never_stands_where_recommend_looks_for_a_ranker(actions, classified):
    with pytest.raises(TableError, match="Run train_sequence"):
        actions.run(recommend)
