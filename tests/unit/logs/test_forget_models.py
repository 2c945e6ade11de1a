"""Which registered models read a version of a table that held a person."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest

from truelift.logs import forget_models
from truelift.tracking import connect, job_run


@pytest.fixture
def named(make_settings, monkeypatch):
    """``named(runs)``: the models named, of ``{model: (lake, table, version)}``; version 1 held."""
    settings = make_settings()
    monkeypatch.setattr(forget_models, "_holds", lambda job, name, version, *rest: version == 1)

    def run(models):
        client = connect(settings).MlflowClient()
        for name, (where, table, version) in models.items():
            with job_run(replace(settings, lake=where or settings.lake), "train", {}) as made:
                made.log_table(table, f"{where}/{table}", version, "input")
            client.create_registered_model(name)
            client.create_model_version(name, f"runs:/{made.run_id}/model", made.run_id)
        lake = SimpleNamespace(root=settings.lake, version=lambda name: 2)
        job = SimpleNamespace(settings=settings, lake=lake)
        return forget_models.models_trained_on(job, None, None)

    return run


def test_models_are_named_that_read_a_version_with_the_person_in_this_lake(named):
    models = {
        "before": ("", "gold.sequences", 0),
        "with": ("", "gold.sequences", 1),
        "after": ("", "gold.sequences", 2),
        "another": ("/another/lake", "gold.sequences", 1),
        "unknown": ("", "somebody.else", 1),
        "relative": ("lake", "gold.panel", 1),
    }
    assert named(models) == ("relative, version 1", "with, version 1")
