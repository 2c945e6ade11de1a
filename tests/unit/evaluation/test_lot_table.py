"""The table of labels by lot: what is read, what is refused, and models judged on it and on the log's own part."""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from truelift.errors import TrueliftError
from truelift.evaluation import lists
from truelift.evaluation.by_lot_rows import labels_by_lot
from truelift.evaluation.by_lot_table import judged_on_table, judged_on_validation
from truelift.evaluation.splits import LeaveOneOut
from truelift.models.sequence.exposure import inverse_chances
from truelift.models.sequence.histories import Histories
from truelift.progress import Progress
from truelift.settings import SequenceOptions
from truelift.settings.sequence_sections import EvaluationSection

ITEMS, USERS = 30, 80
KEYS = tuple(f"i{n}" for n in range(1, ITEMS + 1))
LIKED = np.random.default_rng(1).random((USERS, ITEMS + 1)) < 0.3


@dataclass(frozen=True)
class Knows:
    """Scores by what users like, with noise."""

    noise: float

    def scores(self, histories: Histories) -> np.ndarray:
        who = np.array([int(key[1:]) for key in histories.users])
        return LIKED[who] + self.noise * np.random.default_rng(9).random((USERS, ITEMS + 1))[who]


class Buckets:
    """A lake's passes over buckets, here."""

    def __init__(self, parts: list[pa.Table]) -> None:
        self.parts = parts

    def sum_buckets(self, kernel, plans, batch_rows):
        states = [kernel(b, iter(part.to_batches())) for b, part in enumerate(self.parts)]
        return {"items": np.sum([state["items"] for state in states], axis=0)}

    def map_buckets(self, kernel, plans, schema):
        made = pa.concat_tables([kernel(b, {"sequences": p}) for b, p in enumerate(self.parts)])
        return SimpleNamespace(toArrow=lambda: made)


def sequences() -> pa.Table:
    rng = np.random.default_rng(2)
    rows = [
        (rng.permutation(np.flatnonzero(LIKED[user, 1:]) + 1)[: rng.integers(3, 7)]).tolist()
        for user in range(USERS)
    ]
    steps = [list(range(len(row))) for row in rows]
    return pa.table(
        {
            "user_key": [f"k{u}" for u in range(USERS)], "item_index": rows, "event_time": steps,
            "session_number": steps,
        }
    )  # fmt: skip


@pytest.fixture
def job(tmp_path, monkeypatch):
    monkeypatch.setattr(lists, "user_keys", lambda job, names: {n: f"k{n[1:]}" for n in names})

    def made(text: str, parts: int = 1, **given):
        path = tmp_path / "asked.csv"
        path.write_text(text)
        section = EvaluationSection(table=str(path), **given)
        sequence = replace(SequenceOptions(model="gru"), evaluation=section)
        whole = sequences()
        own = [whole.take(pa.array(p)) for p in np.array_split(np.arange(USERS)[::-1], parts)]
        settings = SimpleNamespace(sequence=sequence, seed=7)
        return SimpleNamespace(
            settings=settings, lake=Buckets(own), progress=Progress("x", enabled=False)
        )

    return made


def asked(extra: str = "") -> str:
    rng = np.random.default_rng(3)
    lines = ["user,item,label"]
    for user in range(USERS):
        lines += [f"u{user},i{i},{int(LIKED[user, i])}" for i in rng.choice(ITEMS, 8, False) + 1]
    return "\n".join([*lines, extra]) + "\n"


PLAN = SimpleNamespace(rows=USERS)


def test_models_are_judged_alike_however_users_lie(job):
    split, models = LeaveOneOut("event"), {"good": Knows(0.5), "worse": Knows(9.0)}
    found = []
    for parts in (1, 6):
        own = job(asked("u3,i999,1\nstranger,i1,1\nu5,,1"), parts)
        rows = labels_by_lot(own, KEYS, "ranking")
        found.append(judged_on_table(own, rows, models, split, KEYS, PLAN))
    assert found[0] == found[1]
    told = found[0]
    assert (
        told.rows + told.known + told.repeated + told.contradicted + told.strangers == 8 * USERS + 3
    )
    assert told.known > 0 and told.strangers == 2 and told.unknown_items == 1
    good, worse = (told.figure(name, "auc") for name in models)
    assert good.lower > worse.upper
    assert good.logs > worse.logs
    assert set(told.models) == {"good", "worse", "popularity (all time)"}


def test_the_gate_s_judge_tells_a_better_model_from_a_worse_on_the_validation_part(job):
    own, split = job(asked(), 3), LeaveOneOut("event")
    taken = split.training(Histories.from_arrow(sequences())).items
    inverse = inverse_chances(np.bincount(taken, minlength=ITEMS + 1), 0.5, 10.0)
    told = judged_on_validation(
        own, {"good": Knows(0.5), "worse": Knows(9.0)}, split, ITEMS, PLAN, inverse
    )
    gap = told["good"]["auc"].less(told["worse"]["auc"])
    assert gap.lower > 0
    assert told["good"]["auc"].less(told["good"]["auc"]).upper == 0


@pytest.mark.parametrize(
    ("text", "given", "said"),
    [
        ("user,item,stars\nu1,i1,1\n", {}, "has no column 'label'"),
        ("user,item,label\nu1,i1,yes\nu1,i2,no\n", {}, "expected numbers"),
        ("user,item,label\nu1,i1,1\nu1,i2,1\n", {}, "labels of one kind alone"),
        ("user,item,label\nu1,i1,3\nu1,i2,4\n", {"positive": 5}, "labels of one kind alone"),
        ("user,item,label\nu1,x,1\nu1,y,0\n", {}, "none of the items"),
        ("user,item,label\n1.5,i1,1\n1.25,i2,0\n", {}, r"found the id 1\.5"),
    ],
)
def test_a_table_that_cannot_judge_is_refused_before_anything_is_trained(job, text, given, said):
    with pytest.raises(TrueliftError, match=said) as told:
        labels_by_lot(job(text, **given), KEYS, "ranking")
    assert told.value.exit_code == 2


def test_labels_may_be_decimals(job):
    own = job("")
    path = own.settings.sequence.evaluation.table.replace(".csv", ".parquet")
    labels = [Decimal("1.0"), Decimal("0.0")]
    pq.write_table(pa.table({"user": ["u1", "u1"], "item": ["i1", "i2"], "label": labels}), path)
    section = replace(own.settings.sequence.evaluation, table=path)
    own.settings.sequence = replace(own.settings.sequence, evaluation=section)
    assert labels_by_lot(own, KEYS, "ranking").labels.tolist() == [True, False]


def test_a_model_of_actions_has_no_labels_of_items(job):
    with pytest.raises(TrueliftError, match="ranks no items"):
        labels_by_lot(job(asked()), KEYS, "classification")
