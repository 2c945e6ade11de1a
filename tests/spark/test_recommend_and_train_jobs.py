"""``train_sequence`` inside Spark tasks and ``recommend`` on its registered model."""

from __future__ import annotations

from collections import Counter

import mlflow
import numpy as np
import pytest

from tests.distributed.conftest import FAST, ITEMS, cycle_world
from tests.unit.recommend.test_lists_under_limits import end_of_queue
from truelift.config import load_settings
from truelift.errors import DataError, TableError
from truelift.evaluation.in_ranks import RankComparison
from truelift.evaluation.job import evaluate_sequence
from truelift.evaluation.known_items import known_items
from truelift.evaluation.on_spark import PackagedRanker
from truelift.job import Job
from truelift.lake import Lake
from truelift.lake.tables import table_spec
from truelift.models.sequence.histories import COLUMNS, Histories
from truelift.pipeline import pin_inputs, step_named
from truelift.recommend.job import load_challenger, recommend
from truelift.recommend.limits.settled import SparkAsked
from truelift.recommend.results import RecommendResult
from truelift.serving.scorer import Scorer
from truelift.settings.recommend_limits import LimitOptions
from truelift.steps import StepRecord, StepStore
from truelift.tracking import job_run
from truelift.training.job import split_of, train_sequence
from truelift.training.results import TrainingResult
from truelift.typed import from_plain

OPTIONS = {**FAST, "processes": 2, "launcher": "spark", "network_interfaces": "[lo]"}


def item_rows() -> list[tuple]:
    return [
        (f"item-{i:02d}", i, f"Item {i}", f"c{i % 4}", 1 + i % 4, 1, 1) for i in range(1, ITEMS + 1)
    ]


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    place = tmp_path_factory.mktemp("recommend")
    return load_settings(
        "local",
        "complete_journey",
        (
            f"tracking.uri=sqlite:///{place}/mlflow.db",
            f"tracking.artifacts={place}/artifacts",
            *(f"sequence.{key}={value}" for key, value in OPTIONS.items()),
        ),
        f"{place}/lake",
    )


@pytest.fixture(scope="module")
def filled(spark, settings):
    """A lake that holds the cycle world and its items."""
    lake = Lake.open(settings, spark)
    schema = table_spec("gold.sequences").schema()
    rows = [tuple(row.get(name) for name in schema.names) for row in cycle_world().to_pylist()]
    sequences = spark.createDataFrame(rows, schema)
    lake.replace("gold.sequences", sequences, "world")
    items = spark.createDataFrame(item_rows(), table_spec("gold.items").schema())
    lake.replace("gold.items", items, "world")
    return lake


@pytest.fixture(scope="module")
def run_job(settings, filled, tmp_path_factory):
    """``run_job(name, function, **settings)``: a real job under a real MLflow run."""
    store = StepStore(filled.root)

    def run(name, function, using=settings):
        inputs = pin_inputs(step_named(name), filled)
        with job_run(using, name, {}) as tracked:
            job = Job(
                name, using, filled, inputs, f"fingerprint-{using.recommend}", tracked,
                tmp_path_factory.mktemp(name), store=store,
            )  # fmt: skip
            report = function(job)
        store.write(
            StepRecord(
                name, job.fingerprint, inputs, job.outputs, report.rows_in, report.rows_out, 1.0,
                report.headline, job.results, tracked.run_id, "test", "now",
            )
        )  # fmt: skip
        return job, report

    return run


@pytest.fixture(scope="module")
def trained(run_job):
    return run_job("train_sequence", train_sequence)


@pytest.fixture(scope="module")
def result(trained):
    return from_plain(TrainingResult, trained[0].results["TrainingResult"])


def with_recommend(settings, **options):
    from dataclasses import replace

    return replace(settings, recommend=replace(settings.recommend, **options))


def test_without_a_registered_model_the_message_names_the_job_to_run(run_job):
    with pytest.raises(TableError, match="Run train_sequence"):
        run_job("recommend", recommend)


def test_ranks_in_spark_tasks_train_together(result):
    assert result.processes == 2
    assert result.test[0].ndcg > 2 * max(m.ndcg for m in result.test[1:])


def test_the_split_and_the_counts_are_in_the_result(result):
    assert result.split["test_start"] == "1970-02-06T00:00:00Z"
    assert result.train_sequences == 61 * 2
    assert result.parameters > 0


def test_the_run_holds_metrics_an_epoch_and_the_learning_curve(trained, result):
    client = mlflow.MlflowClient()
    run = trained[0].run.run_id
    history = client.get_metric_history(run, "validation_ndcg")
    assert [m.step for m in history] == [e.epoch for e in result.epochs]
    figures = {a.path for a in client.list_artifacts(run, "figures")}
    assert figures == {"figures/learning_curve.png", "figures/segments.png"}
    metrics = client.get_run(run).data.metrics
    assert metrics["test.ndcg.basket_gru"] == pytest.approx(result.test[0].ndcg)
    assert "test.mrr.spark_als_untuned" in metrics


def test_the_checkpoints_lay_in_the_lake_and_are_gone(trained, filled):
    from pathlib import Path

    place = Path(filled.root, "_truelift", "checkpoints")
    assert place.is_dir()
    assert list(place.iterdir()) == []


def test_a_run_below_the_jobs_run_has_its_settings_metrics_and_end(trained):
    nested = trained[0].run.nested("trial 1", {"units": 24})
    nested.log_metrics({"train_loss": 2.5}, step=3)
    nested.finish({"truelift.tuning": "best"})
    found = mlflow.MlflowClient().get_run(nested.run_id)
    assert found.info.status == "FINISHED"
    assert found.data.params == {"units": "24"}
    assert found.data.metrics == {"train_loss": 2.5}
    assert found.data.tags["mlflow.parentRunId"] == trained[0].run.run_id
    assert found.data.tags["truelift.tuning"] == "best"


def test_every_baseline_was_evaluated_and_nothing_was_left_out(result):
    names = [m.model for m in result.test]
    assert names[2:] == [
        "popularity (all time)",
        "personal frequency",
        "item co-occurrence",
        "Spark ALS (untuned)",
    ]
    assert result.best_baseline in names[1:]
    assert result.notes == ()


@pytest.fixture(scope="module")
def evaluated(trained, filled, settings, tmp_path_factory):
    with job_run(settings, "evaluate_sequence", {}) as tracked:
        place = tmp_path_factory.mktemp("evaluate")
        job = Job("evaluate_sequence", settings, filled, {}, "evaluation", tracked, place)
        return evaluate_sequence(job, ["1"])


def test_the_evaluation_on_spark_finds_the_ranks_figures_for_every_counting_baseline(
    evaluated, result
):
    found = {m.model: m for m in evaluated.test}
    for metrics in result.test[1:5]:
        assert found[metrics.model] == metrics
    assert evaluated.best_baseline == result.best_baseline


def test_the_model_on_spark_ranks_as_it_did_in_training(evaluated, result):
    assert evaluated.test[0].model == "version 1"
    assert evaluated.test[0].ndcg == pytest.approx(result.test[0].ndcg, abs=1e-6)


def test_spark_and_one_machine_agree_to_the_last_bit(evaluated, filled, settings, trained):
    job = trained[0]
    _, package = load_challenger(job)
    index = np.arange(ITEMS + 1, dtype=np.int32)
    rows = filled.read("gold.sequences").select(*COLUMNS, "bucket").toArrow()
    parts = rows["bucket"].to_numpy()
    shards = [
        Histories.from_arrow(rows.filter(parts == b).sort_by("user_key")) for b in np.unique(parts)
    ]
    split, _ = split_of(job, [f"item-{i:02d}" for i in range(1, ITEMS + 1)])
    known, _ = known_items(job, split, ITEMS)
    one = RankComparison(
        lambda: iter(shards), split, ITEMS, settings.sequence, settings.seed, known
    )
    found = one.compare({"version 1": PackagedRanker(package.to_bytes(), index)})
    assert found.metrics == evaluated.test


def test_the_model_is_registered_as_challenger_with_signature_and_example(settings, result):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias(settings.tracking.model_name, "challenger")
    assert str(version.version) == result.model_version
    model = mlflow.models.get_model_info(result.model_uri)
    assert model.signature.inputs.input_names() == ["items", "sessions", "times", "event_types"]
    assert model.signature.outputs.input_names() == ["items", "scores", "known_items"]
    assert model.saved_input_example_info is not None


def test_the_first_model_becomes_champion_and_its_tags_say_of_what(settings, trained, result):
    client = mlflow.MlflowClient()
    version = client.get_model_version_by_alias(settings.tracking.model_name, "champion")
    assert str(version.version) == result.model_version
    assert version.tags["truelift.gate"].startswith(
        "promoted: first model; above the best baseline"
    )
    tags = client.get_run(trained[0].run.run_id).data.tags
    assert tags["truelift.vocabulary"] == version.tags["vocabulary"]
    assert tags["truelift.gold.sequences"] == version.tags["gold.sequences"]


def test_the_run_holds_use_of_the_machine_and_its_examples_attribution(trained, recommended):
    client = mlflow.MlflowClient()
    metrics = client.get_run(trained[0].run.run_id).data.metrics
    assert metrics["system/system_memory_usage_megabytes"] > 0
    figures = client.list_artifacts(recommended[0].run.run_id, "figures")
    assert [f.path for f in figures] == ["figures/attribution.png"]


def histories_of(lake) -> Histories:
    rows = lake.read("gold.sequences").select(*COLUMNS).toArrow().sort_by("user_key")
    return Histories.from_arrow(rows)


def test_the_reloaded_model_gives_the_same_items_as_the_trained_one(trained, result, filled):
    import pandas as pd

    job, _ = trained
    _, package = load_challenger(job)
    histories = histories_of(filled)
    top, scores = Scorer.from_package(package).top(histories, 10, "keep")
    keys = np.array(("", *package.item_keys), dtype=object)

    served = mlflow.pyfunc.load_model(result.model_uri)
    parts = np.split(np.arange(len(histories.items)), histories.offsets[1:-1])
    table = pd.DataFrame(
        {
            "items": [keys[histories.items[p]].tolist() for p in parts],
            "sessions": [histories.sessions[p].tolist() for p in parts],
        }
    )
    answer = served.predict(table)
    assert answer["items"].tolist() == keys[top].tolist()
    np.testing.assert_allclose(np.array(answer["scores"].tolist()), scores, rtol=1e-5)


def test_unknown_items_and_missing_sessions_are_allowed(result):
    import pandas as pd

    served = mlflow.pyfunc.load_model(result.model_uri)
    known = served.predict(pd.DataFrame({"items": [["item-05"]]}))
    mixed = served.predict(pd.DataFrame({"items": [["never seen", "item-05"]]}))
    assert mixed["items"].tolist() == known["items"].tolist()
    assert known["items"][0][0] == "item-06"
    nothing = served.predict(pd.DataFrame({"items": [[]]}), params={"count": 3})
    assert len(nothing["items"][0]) == 3


@pytest.fixture(scope="module")
def recommended(run_job, trained):
    return run_job("recommend", recommend)


def rows_of(lake, version=None):
    frame = lake.read("gold.recommendations", version)
    return sorted(
        (r.user_key, r.rank, r.item_key, r.score, r.reason, r.bucket) for r in frame.collect()
    )


def test_every_user_gets_ten_ranked_items(recommended, filled):
    rows = rows_of(filled)
    assert len(rows) == 61 * 10
    assert [r[1] for r in rows[:10]] == list(range(1, 11))
    assert [r[3] for r in rows[:10]] == sorted((r[3] for r in rows[:10]), reverse=True)
    assert recommended[1].rows_out == 610


def test_the_first_item_is_mostly_the_next_of_the_cycle(recommended, filled):
    latest = {row.user_key: row.item_index[-1] for row in filled.read("gold.sequences").collect()}
    first = {r[0]: r[2] for r in rows_of(filled) if r[1] == 1}
    right = sum(first[u] == f"item-{latest[u] % ITEMS + 1:02d}" for u in latest)
    assert right > 45


def test_reasons_say_what_the_history_says(recommended, filled):
    for user, _, item, _, reason, _ in rows_of(filled):
        start = filled_items(filled)[user]
        seen = item in start
        assert reason == (
            "in 1 of the user's 40 sessions: sequence model"
            if seen
            else "new to the user: sequence model on 40 sessions"
        )


def filled_items(lake, cache={}):  # noqa: B006
    if not cache:
        for row in lake.read("gold.sequences").collect():
            cache[row.user_key] = {f"item-{i:02d}" for i in row.item_index}
    return cache


def test_examples_carry_names(recommended):
    result = from_plain(RecommendResult, recommended[0].results["RecommendResult"])
    assert len(result.examples) == 5
    assert all(n.startswith("Item ") for e in result.examples for n in (*e.recent, *e.recommended))
    assert all(len(e.recommended) == 10 and len(e.recent) == 5 for e in result.examples)


def test_seen_items_are_dropped_when_the_setting_says_so(run_job, recommended, settings, filled):
    before = rows_of(filled)
    run_job("recommend", recommend, with_recommend(settings, seen_items="drop"))
    items = filled_items(filled)
    rows = rows_of(filled)
    assert rows != before
    assert len(rows) == 610
    assert not any(r[2] in items[r[0]] for r in rows)


def test_a_second_run_gives_the_same_rows(run_job, recommended, filled, settings):
    run_job("recommend", recommend)
    first = rows_of(filled)
    run_job("recommend", recommend, with_recommend(settings, per_user=3))
    assert len(rows_of(filled)) == 61 * 3
    run_job("recommend", recommend)
    assert rows_of(filled) == first


def test_lists_keep_to_stock_budget_and_floors_that_all_users_share(
    run_job, recommended, filled, settings, spark, tmp_path
):
    stock, costs = tmp_path / "stock.csv", tmp_path / "costs.csv"
    units = {f"item-{i:02d}": i % 5 for i in range(1, 31)}
    stock.write_text("item,units\n" + "".join(f"{i},{n}\n" for i, n in units.items()))
    costs.write_text("item,cost\n" + "".join(f"item-{i:02d},0.7\n" for i in range(41, 61)))
    limits = LimitOptions(
        budget=20.0, stock=str(stock), costs=str(costs), floors={"c1": 0.25, "c2": 0.25}
    )
    using = with_recommend(settings, per_user=4, explore=0.2, limits=limits)
    job, report = run_job("recommend", recommend, using)
    rows = filled.read("gold.recommendations").collect()
    times = Counter(row.item_key for row in rows)
    assert all(times[item] <= n for item, n in units.items())
    assert 19.0 < 0.7 * sum(times[f"item-{i:02d}"] for i in range(41, 61)) <= 20.0
    kinds = {key: category for key, _, _, category, *_ in item_rows()}
    by_user: dict[str, list[str]] = {}
    for row in rows:
        by_user.setdefault(row.user_key, []).append(kinds[row.item_key])
    for own in by_user.values():
        assert min(own.count("c1"), own.count("c2")) >= 0.25 * len(own)
    assert any("in stock" in row.reason for row in rows)
    assert any("has run out" in row.reason for row in rows)
    found = from_plain(RecommendResult, job.results["RecommendResult"])
    assert [kept.limit for kept in found.limits] == [20.0, float(sum(units.values())), 0.25, 0.25]
    assert found.rounds > 1
    assert report.headline["places left empty"] == 4 * 61 - len(rows)
    logged = mlflow.MlflowClient().get_run(job.run.run_id).data.metrics
    assert logged["limit.budget"] == pytest.approx(found.limits[0].used)
    # The same ends of queues as sorting everything here would find.
    queue = spark.createDataFrame(
        [(1 + n % 3, 1 + n % 2, 7919 * n % 1009 << 40, 7907 * n % 1013 << 45) for n in range(300)],
        "item_index int, cost long, stock_queue long, budget_queue long",
    )
    here, asked = np.array(queue.collect()), SparkAsked(queue)
    own = {i: here[here[:, 0] == i] for i in (1, 2)}
    assert asked.ends_of_stock({1: 40, 2: 99}) == {
        i: end_of_queue(own[i][:, 2], np.ones(len(own[i]), int), n) for i, n in ((1, 40), (2, 99))
    }
    assert asked.end_of_budget(200) == end_of_queue(here[:, 3], here[:, 1], 200)


def test_lots_are_drawn_anew_for_each_round_and_alike_within_one(
    run_job, recommended, filled, settings
):
    def drawn(**more):
        run_job("recommend", recommend, with_recommend(settings, explore=0.5, **more))
        rows = filled.read("gold.recommendations").collect()
        return {(r.user_key, r.rank): r.item_key for r in rows}

    first, other = drawn(round="one"), drawn(round="two")
    assert other != first
    assert drawn(round="one") == first


def test_labels_by_lot_judge_registered_models_beside_what_the_log_says(
    trained, filled, settings, tmp_path
):
    """The next item of the cycle is liked, any other is not."""
    from dataclasses import replace

    rng = np.random.default_rng(5)
    lines = ["who,what,liked"]
    for row in filled.read("gold.sequences").orderBy("user_key").collect():
        after = row.item_index[-9] % ITEMS + 1  # training ends eight days before the last
        asked = {after, *rng.integers(1, ITEMS + 1, 6).tolist()}
        lines += [f"{row.user_key},item-{item:02d},{int(item == after)}" for item in sorted(asked)]
    table = tmp_path / "liked.csv"
    table.write_text("\n".join([*lines, "nobody,item-01,1"]) + "\n")
    evaluation = replace(
        settings.sequence.evaluation, table=str(table), table_columns=("who", "what", "liked")
    )
    using = replace(settings, sequence=replace(settings.sequence, evaluation=evaluation))
    with job_run(using, "evaluate_sequence", {}) as run:
        job = Job("evaluate_sequence", using, filled, {}, "by lot", run, tmp_path)
        found = evaluate_sequence(job)
        logged = run.run_id
    told = found.by_lot
    own = told.figure(told.models[0], "auc")
    assert own.lower > told.figure("popularity (all time)", "auc").upper
    assert own.logs is not None and own.logs > 0.5
    assert told.strangers >= 1
    assert "labels by lot" in found.summary()
    metrics = mlflow.MlflowClient().get_run(logged).data.metrics
    assert any(name.startswith("by_lot.auc.") for name in metrics)
    assert any(name.startswith("from_logs.auc.") for name in metrics)


def test_a_corrected_loss_goes_on_only_where_the_corrected_judge_says_so(
    run_job, trained, settings
):
    """After steps that change next to nothing, two models are alike: the plain one goes on, and why is said."""
    from dataclasses import replace

    weak = replace(settings.sequence, epochs=1, learning_rate=1e-6, launcher="local", processes=1)
    training = replace(weak.training, correction="snips")
    using = replace(settings, sequence=replace(weak, training=training))
    job, report = run_job("train_sequence", train_sequence, using)
    assert report.headline["correction"] == "none"
    found = from_plain(TrainingResult, job.results["TrainingResult"])
    assert any("the correction snips does not go on" in note for note in found.notes)
    logged = mlflow.MlflowClient().get_run(job.run.run_id).data.metrics
    assert logged["correction.kept"] == 0.0
    lower, upper = (logged[f"correction.auc_gain.ci_{end}"] for end in ("lower", "upper"))
    assert lower <= logged["correction.auc_gain"] <= upper and lower <= 0


def test_a_weaker_model_is_challenger_and_the_champion_goes_on_ranking(
    run_job, recommended, result, settings
):
    from dataclasses import replace

    weak = replace(settings.sequence, epochs=1, learning_rate=1e-6, launcher="local", processes=1)
    job, _ = run_job("train_sequence", train_sequence, replace(settings, sequence=weak))
    newer = from_plain(TrainingResult, job.results["TrainingResult"])
    champion = next(m for m in newer.test if m.model == "champion")
    assert champion.ndcg == pytest.approx(result.test[0].ndcg, abs=1e-6)
    client = mlflow.MlflowClient()
    name = settings.tracking.model_name
    version = client.get_model_version_by_alias(name, "challenger")
    assert str(version.version) == newer.model_version
    assert version.tags["truelift.gate"].startswith("kept champion 1: NDCG@10 -")
    assert client.get_model_version_by_alias(name, "champion").version == 1
    job, _ = run_job("recommend", recommend)
    assert from_plain(RecommendResult, job.results["RecommendResult"]).model_version == "1"


def test_items_that_the_champion_has_never_seen_are_counted_and_named(
    run_job, recommended, filled, spark
):
    new = spark.createDataFrame(
        [("item-61", ITEMS + 1, "Item 61", "c1", 2, 1, 1)], table_spec("gold.items").schema()
    )
    filled.replace("gold.items", filled.read("gold.items").unionByName(new), "grown")
    job, done = run_job("recommend", recommend)
    result = from_plain(RecommendResult, job.results["RecommendResult"])
    assert (result.unknown_items, result.catalogue) == (1, ITEMS + 1)
    assert done.headline["items never offered"] == 1
    assert result.notes[0].startswith("Model version 1 has never seen 1 of 61 items")


def test_items_that_changed_since_training_are_refused(run_job, recommended, filled, spark):
    frame = filled.read("gold.items")
    other = frame.selectExpr(
        "concat(item_key, 'x') item_key",
        "item_index",
        "name",
        "category",
        "category_index",
        "events",
        "users",
    )
    filled.replace("gold.items", other, "changed")
    with pytest.raises(DataError, match="run train_sequence again"):
        run_job("recommend", recommend)
