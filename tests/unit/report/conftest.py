"""Literal results of a small imaginary run, with hostile names in them."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from truelift.effects.credibility.assessment import Credibility
from truelift.effects.credibility.results import (
    CovariateBenchmark,
    EValue,
    FoldStability,
    HalfStability,
    LeaveOneGroupOut,
    NegativeControl,
    OmittedVariableBounds,
    PlaceboTreatments,
    RandomCommonCause,
)
from truelift.effects.experiment.results import Experiment, ExperimentEstimate, OutcomeTest
from truelift.effects.heterogeneity.results import (
    Calibration,
    ClassificationAnalysis,
    JointTest,
    TargetingRow,
    Term,
)
from truelift.effects.heterogeneity.varying import VaryingEffect
from truelift.effects.results import (
    Design,
    EffectsResult,
    Estimate,
)
from truelift.effects.support.summaries import CovariateBalance, OverlapSummary
from truelift.effects.support.supported import Support
from truelift.evaluation.results import Difference, Measure, SegmentMeasures
from truelift.features.panels.results import PanelBuilt
from truelift.inference.hypotheses import HypothesisTest
from truelift.inference.sample_ratio import SampleRatio
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


LABELS = {"subject": "user", "treatment": "campaign"}


def make_panel() -> PanelBuilt:
    return PanelBuilt(
        "gold.panel", "/lake/gold/panel", 2, 62_113, {"0": 56_012, "1": 6_101}, 26,
        {"24": "the window ends 12 days after the end of the data"}, {}, "5e" * 16,
        treatment="treated", occasion="campaign", cluster="user_key", control="0",
        outcomes=("y_spend", "y_visits"), labels=LABELS,
    )  # fmt: skip


def ranked_segments(ndcg: float) -> tuple[SegmentMeasures, ...]:
    return tuple(
        SegmentMeasures(
            name,
            users,
            (Measure("ndcg", 10, ndcg * part, ndcg * part - 0.02, ndcg * part + 0.02),),
        )
        for name, users, part in (
            ("cold users", 140, 0.8), ("warm users", 2_161, 1.0), ("tail items", 603, 0.4),
        )
    )  # fmt: skip


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
        RankingMetrics(
            "GRU",
            0.312,
            0.1634,
            2_301,
            10,
            0.1551,
            0.1717,
            measures=(
                Measure("hit_rate", 10, 0.312, 0.293, 0.331),
                Measure("mrr", 10, 0.131, 0.122, 0.140),
                Measure("novelty", 10, 7.42, 7.31, 7.53),
                Measure("coverage", 10, 0.417),
            ),
            segments=ranked_segments(0.1634),
            differences=(
                Difference("recent popularity", "ndcg", 10, 0.0423, 0.0361, 0.0485, 2e-9),
            ),
        ),
        RankingMetrics(
            "recent popularity",
            0.247,
            0.1211,
            2_301,
            10,
            0.1134,
            0.1288,
            segments=ranked_segments(0.1211),
        ),
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
        best_baseline="recent popularity",
    )


def term(name, value, error, null=0.0) -> Term:
    p = math.erfc(abs(value - null) / error / math.sqrt(2)) if error else math.nan
    return Term(name, value, error, value - 1.96 * error, value + 1.96 * error, p, null)


def make_varying() -> VaryingEffect:
    groups = tuple(term(f"group {i + 1}", 1.5 + 3.1 * i, 2.4 + 0.3 * i) for i in range(5))
    shares = (0.1, 0.25, 0.5, 1.0)
    gains = tuple(9.0 * (1 - q) for q in shares)
    average = term("average", 7.7, 2.1)
    names = [f"x_{n}" for n in ("spend_lookback", "visits_lookback", "income_missing")]
    names += [f"x_demographic_{i}" for i in range(9)]
    return VaryingEffect(
        outcome="y_spend",
        arm="1",
        versus="0",
        groups=groups,
        shares=(0.2,) * 5,
        band_lower=tuple(g.estimate - 2.6 * g.standard_error for g in groups),
        band_upper=tuple(g.estimate + 2.6 * g.standard_error for g in groups),
        difference=term("most less least affected", 12.4, 4.4),
        equal=JointTest("all groups have one effect", 2.9, (4.0, 2468.0), 0.021),
        calibration=Calibration(
            average,
            term("mean forecast", 1.02, 0.2, 1.0),
            term("differential forecast", 0.9, 0.3),
            JointTest("the slope is 1", -0.3, (1.0, 2468.0), 0.74),
            2_469,
        ),
        best_linear=(average, term("x_spend_lookback", 2.0, 0.8)),
        joint=JointTest("all slopes are zero", 2.1, (1.0, 2468.0), 0.012),
        classification=ClassificationAnalysis(
            tuple(term(n, 0.8 - 0.1 * i, 0.05) for i, n in enumerate(names)),
            tuple(term(n, -0.7 + 0.1 * i, 0.05) for i, n in enumerate(names)),
            tuple(term(n, 1.5 - 0.2 * i, 0.07) for i, n in enumerate(names)),
        ),
        autoc=term("AUTOC", 3.1, 1.2),
        qini=term("Qini", 1.4, 0.6),
        auuc=term("AUUC", 5.2, 1.1),
        targeting=tuple(
            TargetingRow(
                q,
                term("effect", 7.7 + gain, 2.0),
                term("against average", gain, 0.2 * gain),
                term("value", q * (7.7 + gain), q * 2.0),
                term("against random", q * gain, 0.2 * q * gain),
            )
            for q, gain in zip(shares, gains, strict=True)
        ),
        toc_lower=tuple(0.5 * g for g in gains),
        toc_upper=tuple(1.5 * g for g in gains),
        clusters=1_975,
        confidence=0.95,
        sequential=JointTest("AUTOC is not above zero", 2.6, (4.0, math.inf), 0.0047),
    )


def make_credibility() -> Credibility:
    against = "1 against 0"

    def bounds(estimand, outcome, value, error, robust, confident):
        return OmittedVariableBounds(
            estimand, outcome, against, value, error, 0.03, 0.03, 1.0, value - 4 * error,
            value + 4 * error, value - 6 * error, value + 6 * error, robust, confident, 0.0, 0.95,
            410.0, 9.0,
        )  # fmt: skip

    campaigns = tuple(f"campaign {i} {HOSTILE}" for i in range(26))
    without = tuple(14.48 + 0.4 * (-1) ** i * (26 - i) / 13 for i in range(26))
    placebos = tuple(2.4 * math.sin(i) for i in range(100))
    edges = tuple(-2.5 + 0.25 * i for i in range(21))
    counts = tuple(sum(a <= p < b for p in placebos) for a, b in pairwise(edges))
    return Credibility(
        omitted_variables=(
            bounds("ATE", "y_spend", 6.31, 2.412, 0.041, 0.013),
            bounds("ATE", "y_visits", 0.061, 0.052, 0.02, 0.0),
            bounds("ATT", "y_spend", 14.48, 3.102, 0.083, 0.052),
        ),
        benchmarks=(CovariateBenchmark("x_spend_lookback", 0.21, 0.06, 0.8, 9.1),),
        e_values=(EValue("y_spend", 1.12, 1.48, 1.2, "standardised difference"),),
        placebos=(
            PlaceboTreatments(
                "y_spend", against, placebos, (1.2,) * 100, 6, 0.05, 0.62, 15.2, 5.1, 0.0099,
                edges, counts, "cluster", True, 2_469,
            ),
        ),
        random_causes=(RandomCommonCause("y_spend", against, 6.31, 2.412, (0.01, -0.02)),),
        halves=(
            HalfStability("ATE", "y_spend", against, 6.31, 2.412, (4.1, 8.3), 1.02, 0.7, 2.1),
        ),
        folds=(
            FoldStability("ATE", "y_spend", against, (0, 1), (5.9, 6.8), (5.0, 5.1), 0.02, 0.9),
        ),
        groups=(
            LeaveOneGroupOut(
                "ATT", "y_spend", against, "campaign", 14.48, 3.102, campaigns, (2_389,) * 26,
                without, (3.2,) * 26, tuple(w - 6.2 for w in without),
                tuple(w + 6.2 for w in without), (0.6,) * 26, 2_469, 0.95,
            ),
        ),
        negative_controls=(
            NegativeControl("y_spend_before", against, 0.3, 1.1, 4.0, 0.79, 0.0004, 0.05),
        ),
    )  # fmt: skip


def make_experiment() -> Experiment:
    rows = (
        ("difference in means", 7.1, 4.4, 12.3, 1.9),
        ("CUPED", 6.6, 2.9, 8.1, 1.9),
        ("learner-adjusted", 6.31, 2.412, 6.8, None),
    )
    return Experiment(
        tuple(
            ExperimentEstimate(
                method, "y_spend", "1", "0", value, error, value - 2 * error, value + 2 * error,
                0.03, 2467.0, detectable, effect,
            )
            for method, value, error, detectable, effect in rows
        ),
        SampleRatio((1_240, 1_229), (1234.5, 1234.5), 0.05, 0.82, 0.001, 0),
        "clusters",
    )  # fmt: skip


def make_followed() -> tuple[Estimate, ...]:
    populations = [f"all units, clipped at {c:g}" for c in (0.001, 0.01, 0.05, 0.1)]
    populations += [f"units with chances in [{t:g}, {1 - t:g}]" for t in (0.02, 0.05, 0.1)]
    return tuple(
        replace(
            estimate("ATE", outcome, value * (1 + 0.04 * i), error),
            arm="1",
            versus="0",
            population=told,
        )
        for outcome, value, error in (("y_spend", 6.1, 2.4), ("y_visits", 0.06, 0.05))
        for i, told in enumerate(populations)
    )


def make_tests() -> tuple[OutcomeTest, ...]:
    said = "treatment is worse by less than 2"
    test = HypothesisTest("treatment is worse by 2 or more", said, 3.4, 0.0003, 0.025, True)
    return (OutcomeTest("ATE", "y_spend", "1", "0", test),)


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
        support=(
            Support("ATE", "", False, ("the weighted treated arm is thin.",)),
            Support("ATT", "", True, ("the arms overlap, and weighting balances the covariates.",)),
        ),
        covariates=26,
        dropped={"x_always_one": "constant"},
        followed=make_followed(),
        tests=make_tests(),
        experiment=make_experiment(),
        heterogeneity=(make_varying(),),
        credibility=make_credibility(),
        design=Design(treatment="treated", cluster="user_key", labels=LABELS),
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
        "panel": make_panel(),
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
