"""Literal results of a small imaginary run, with hostile names in them."""

from __future__ import annotations

import math
from datetime import date, timedelta

import pytest

from truelift.effects.results import (
    CovariateBalance,
    EffectsResult,
    Estimate,
    OverlapSummary,
)
from truelift.features.results import FeaturesResult
from truelift.logs.results import CleanResult, IngestResult, SessionAgreement, SessionsResult
from truelift.recommend.results import RecommendationExample, RecommendResult
from truelift.report.content import ReportContent
from truelift.report.markup import element
from truelift.steps import StepRecord
from truelift.training.results import EpochRecord, RankingMetrics, TrainingResult

HOSTILE = '<script>alert("x")</script>'


def estimate(estimand, outcome, value, error, method="AIPW, linear, 5 folds"):
    return Estimate(
        estimand,
        outcome,
        value,
        error,
        value - 1.96 * error,
        value + 1.96 * error,
        math.erfc(abs(value / error) / math.sqrt(2)),
        62_113,
        2_469,
        0.95,
        method,
    )


def make_ingest() -> IngestResult:
    return IngestResult(
        files=1,
        rows_read=1_469_307,
        rows_written=73_201,
        rows_sampled_out=1_396_106,
        rows_already_known=0,
        streams={"bronze.events": 73_201, "bronze.items": 92_331, "bronze.exposures": 6_589},
    )


def make_clean() -> CleanResult:
    return CleanResult(
        bronze=73_201,
        silver=72_400,
        quarantine=790,
        duplicates=11,
        reasons={
            "duplicate": 11,
            "quantity_not_positive": 640,
            "value_negative": 3,
            f"item {HOSTILE} at $5 or $6": 160,
        },
        contract_passed=True,
        expectations=14,
        data_docs="data_docs/index.html",
        labels={"bulk": 12, "night": 4},
    )


def make_sessions() -> SessionsResult:
    start = date(2017, 1, 1)
    per_day = tuple(
        ((start + timedelta(days=d)).isoformat(), 380 + (d * 37) % 90 + 60 * (d % 7 in (5, 6)))
        for d in range(365)
    )
    return SessionsResult(
        sessions=sum(n for _, n in per_day),
        events=1_430_221,
        users=2_469,
        open_sessions=2,
        per_day=per_day,
        agreement=SessionAgreement(155_848, 152_900, 1_412, 33, 0.9912, 0.9811, 0.9861),
    )


def make_features() -> FeaturesResult:
    return FeaturesResult(
        items=1_912,
        users=2_469,
        sequences=2_469,
        sequence_events=1_201_332,
        panel_units=62_113,
        panel_treated=6_101,
        campaigns=26,
        item_level="product_type",
        panel_skipped_reason=None,
        excluded_campaigns={"24": "the window ends 12 days after the end of the data"},
    )


def make_training() -> TrainingResult:
    epochs = tuple(
        EpochRecord(
            e,
            6.9 - 0.5 * math.log1p(e),
            6.95 - 0.45 * math.log1p(e) + 0.02 * max(0, e - 4),
            0.05 + 0.02 * math.log1p(e) - 0.003 * max(0, e - 5),
            14.2,
            172.0,
            0.031,
        )
        for e in range(1, 8)
    )
    test = (
        RankingMetrics("GRU", 0.312, 0.1634, 2_301, 10, 0.1551, 0.1717),
        RankingMetrics("recent popularity", 0.247, 0.1211, 2_301, 10, 0.1134, 0.1288),
        RankingMetrics("popularity", 0.201, 0.0988, 2_301, 10, 0.0921, 0.1055),
    )
    return TrainingResult(
        epochs,
        test,
        processes=2,
        parameters=262_144,
        train_sequences=12_034,
        split={
            "validation_start": "2017-11-06T00:00:00+00:00",
            "test_start": "2017-12-04T00:00:00+00:00",
        },
        model_uri="models:/truelift-sequence/3",
        model_version="3",
    )


def make_effects() -> EffectsResult:
    names = [
        "days_since_last_event",
        "spend_lookback",
        "visits_lookback",
        "earlier_campaigns",
        "earlier_redemptions",
        "share_grocery",
        "share_drug_gm",
        "income_missing",
    ]
    names += [f"demographic_{i}" for i in range(18)]
    balance = tuple(
        CovariateBalance(
            f"x_{n}",
            0.9 * 0.83**i * (-1) ** i,
            0.04 * (-1) ** i + (0.09 if i == 1 else 0),
            0.015 * (i % 4),
        )
        for i, n in enumerate(names)
    )
    edges = tuple(i / 20 for i in range(21))
    return EffectsResult(
        estimates=(
            estimate("ATE", "y_spend", 6.31, 2.412),
            estimate("ATT", "y_spend", 14.48, 3.102),
            estimate("naive difference", "y_spend", 61.02, 4.9, "difference in means"),
            estimate("ATE", "y_visits", 0.061, 0.052),
            estimate("ATT", "y_visits", 0.112, 0.071),
            estimate("naive difference", "y_visits", 1.402, 0.11, "difference in means"),
        ),
        overlaps={
            "1": OverlapSummary(
                bin_edges=edges,
                treated_counts=tuple(int(900 * math.exp(-((i - 5) ** 2) / 18)) for i in range(20)),
                control_counts=tuple(int(21_000 * math.exp(-i / 2.2)) for i in range(20)),
                clipped_share=0.0241,
                effective_sample_size_treated=1_402.3,
                effective_sample_size_control=48_112.9,
                balance=balance,
                treated_clipped_share=0.004,
                effective_sample_size_control_att=8_930.4,
            )
        },
        folds=5,
        n=62_113,
        clusters=2_469,
        arms={"0": 62_113 - 6_101, "1": 6_101},
        nuisance={
            "propensity_log_loss": 0.2412,
            "propensity_log_loss_constant": 0.3214,
            "passes": 2.0,
            "r2_control.y_spend": 0.44,
        },
        table="gold.panel",
        table_version=2,
        verdict="supported for the ATT only. The ATE is not supported by the data: thin.",
        support={
            "ATE": "not supported by the data: the weighted treated arm is thin.",
            "ATT": "supported: the arms overlap, and weighting balances the covariates.",
        },
        covariates=26,
        dropped={"x_always_one": "constant"},
    )


def make_recommend() -> RecommendResult:
    return RecommendResult(
        users=2_469,
        rows=24_690,
        seen_items="keep",
        model_version="3",
        examples=(
            RecommendationExample(
                "1031",
                ("FLUID MILK WHITE ONLY", "BANANAS", "YOGURT NOT MULTI-PACKS"),
                ("BANANAS", "MAINSTREAM WHITE BREAD", HOSTILE, "SHREDDED CHEESE"),
            ),
            RecommendationExample(
                "77 & sons", ("SOFT DRINKS 12/18&15PK CAN CAR",), ("FLUID MILK WHITE ONLY",)
            ),
        ),
    )


def make_record(step, inputs, outputs, rows_in=10, rows_out=9, seconds=84.0) -> StepRecord:
    return StepRecord(
        step=step,
        fingerprint="0f" * 12,
        inputs=inputs,
        outputs=outputs,
        rows_in=rows_in,
        rows_out=rows_out,
        seconds=seconds,
        headline={},
        results={},
        run_id="a1" * 16,
        code_version="0.1.0+abc",
        finished="2030-01-02T03:00:00+00:00",
    )


def make_pedigree() -> tuple[StepRecord, ...]:
    return (
        make_record("ingest", {}, {"bronze.events": 3, "bronze.items": 1}, 1_469_307, 73_201),
        make_record(
            "clean",
            {"bronze.events": 3},
            {"silver.events": 1, "silver.quarantine": 1},
            73_201,
            72_400,
        ),
        make_record("sessionize", {"silver.events": 1}, {"silver.sessions": 4}, 72_400, 7_911),
    )


def make_content(**changes) -> ReportContent:
    parts = {
        "dataset": "complete_journey",
        "generated_at": "2030-01-02 03:04 UTC",
        "configuration": "dataset: complete_journey\nseed: 7\nlake: <lake>\n",
        "ingest": make_ingest(),
        "clean": make_clean(),
        "sessions": make_sessions(),
        "features": make_features(),
        "training": make_training(),
        "effects": make_effects(),
        "recommend": make_recommend(),
        "pedigree": make_pedigree(),
        "data_docs": "data_docs/index.html",
        "version": "0.1.0",
        "sample": 0.05,
    }
    return ReportContent(**(parts | changes))


@pytest.fixture(scope="session")
def whole() -> ReportContent:
    return make_content()


@pytest.fixture
def empty_content() -> ReportContent:
    return ReportContent(
        dataset="clicks", generated_at="2030-01-02 03:04 UTC", configuration="dataset: clicks\n"
    )


@pytest.fixture
def content_with():
    """A whole page's content, with some parts replaced: ``content_with(effects=None)``."""
    return make_content


@pytest.fixture
def undrawn(monkeypatch):
    """Leave the plots out, for tests of words: seven plots take seconds, words take none."""

    def placeholder(plot, width, identifier, description):
        return element("svg", element("title", description, id=f"{identifier}-description"))

    monkeypatch.setattr("truelift.report.svg.drawing", placeholder)


@pytest.fixture
def record_of():
    return make_record


@pytest.fixture
def hostile() -> str:
    return HOSTILE
