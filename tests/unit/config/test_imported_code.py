"""Which files a piece of code runs, by its imports; and what a change of one of them concerns."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

import truelift
from truelift.imported_code import SourceTree, code_of, digest_of
from truelift.logs.increments import DECIDING
from truelift.logs.session_windows import CUTTING
from truelift.settings import CleanOptions, FeatureOptions
from truelift.step_graph import STEPS, step_named

SOURCES = Path(truelift.__file__).parent


def tree(folder: Path, sources: dict[str, str], **options) -> SourceTree:
    for name, text in sources.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        (path.parent / "__init__.py").touch()
        path.write_text(text)
    return SourceTree(folder, "shop", **{"apart": (), **options})


def reached(folder: Path, sources: dict[str, str], root: str, **options) -> list[str]:
    return list(tree(folder, sources, **options).reached((root,)))


@pytest.mark.parametrize(
    "text",
    [
        "import shop.b",
        "from shop import b",
        "from shop.b import name",
        "from .b import name",
        "from . import b",
        "def run():\n    from shop.b import name",
        "def run():\n    if True:\n        import shop.b as other",
        "STEP = 'shop.b:run'",
        "command = ['python', '-m', 'shop.b']",
    ],
)
def test_an_import_in_any_form_and_place_counts(tmp_path, text):
    assert "shop.b" in reached(tmp_path, {"a.py": text, "b.py": "", "c.py": ""}, "shop.a")


def test_what_an_imported_module_imports_counts_and_nothing_else(tmp_path):
    sources = {"a.py": "import shop.b", "b.py": "import shop.c", "c.py": "import os", "d.py": ""}
    assert reached(tmp_path, sources, "shop.a") == ["shop.a", "shop.b", "shop.c"]


def test_modules_that_import_each_other_are_found_once(tmp_path):
    sources = {"a.py": "import shop.b", "b.py": "import shop.a"}
    assert reached(tmp_path, sources, "shop.a") == ["shop.a", "shop.b"]


def test_an_import_for_types_alone_does_not_count_but_what_stands_beside_it_does(tmp_path):
    text = "if TYPE_CHECKING:\n    import shop.b\nelse:\n    import shop.c"
    assert reached(tmp_path, {"a.py": text, "b.py": "", "c.py": ""}, "shop.a") == [
        "shop.a",
        "shop.c",
    ]


def test_of_a_package_that_hands_names_on_only_what_is_asked_for_counts(tmp_path):
    sources = {
        "a.py": "from shop.lake import Table",
        "lake/table.py": "class Table: ...",
        "lake/session.py": "class Session: ...",
        "lake/__init__.py": "from shop.lake.table import Table\nfrom shop.lake.session import Session",
    }
    assert reached(tmp_path, sources, "shop.a") == ["shop.a", "shop.lake.table"]


def test_a_package_that_does_something_itself_counts_with_all_that_it_imports(tmp_path):
    sources = {
        "a.py": "from shop.lake import Table",
        "lake/table.py": "",
        "lake/session.py": "",
        "lake/__init__.py": "from shop.lake.table import Table\nimport shop.lake.session\nx = open()",
    }
    found = reached(tmp_path, sources, "shop.a")
    assert found == ["shop.a", "shop.lake", "shop.lake.session", "shop.lake.table"]


def test_a_module_imported_by_a_computed_name_is_any_of_its_package(tmp_path):
    sources = {
        "a.py": "import shop.rows.later",
        "rows/later.py": "import_module(f'{__name__}.{what}')",
        "rows/one.py": "",
        "b.py": "import_module(name_from_elsewhere)",
    }
    assert reached(tmp_path, sources, "shop.b") == ["shop.b"]
    assert reached(tmp_path, sources, "shop.a") == ["shop.a", "shop.rows.later", "shop.rows.one"]


def test_a_data_file_belongs_to_the_module_beside_it_that_names_it(tmp_path):
    sources = {
        "page/draw.py": "read('style.css')",
        "page/other.py": "",
        "page/style.css": "p {}",
        "b.py": "read('style.css')",
    }
    assert "page/style.css" in reached(tmp_path, sources, "shop.page.draw")
    assert reached(tmp_path, sources, "shop.page.other") == ["shop.page.other"]
    assert reached(tmp_path, sources, "shop.b") == ["shop.b"]


def test_a_package_set_apart_counts_only_by_the_modules_that_are_named(tmp_path):
    sources = {
        "a.py": "from shop.settings import Options",
        "settings/one.py": "from shop.settings.checks import check",
        "settings/two.py": "",
        "settings/checks.py": "",
        "settings/__init__.py": "from shop.settings.one import One\nfrom shop.settings.two import Two",
    }
    found = tree(tmp_path, sources, apart=("shop.settings",))
    assert list(found.reached(("shop.a",))) == ["shop.a"]
    named = list(found.reached(("shop.a",), ("shop.settings.one",)))
    assert named == ["shop.a", "shop.settings.checks", "shop.settings.one"]


def test_a_name_of_no_module_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"shop\.other"):
        tree(tmp_path, {"a.py": ""}).reached(("shop.other",))


def test_what_is_kept_from_another_run_gives_the_same_and_a_damaged_file_does_no_harm(tmp_path):
    sources = {"a.py": "import shop.b", "b.py": "from shop import c", "c.py": "", "d.py": ""}
    cache = tmp_path / "kept" / "imports.json"
    calm = tree(tmp_path / "shop", sources).reached(("shop.a",))
    for _ in range(2):
        found = tree(tmp_path / "shop", sources, cache=cache).reached(("shop.a",))
        assert found == calm
    cache.write_text("{")
    assert tree(tmp_path / "shop", sources, cache=cache).reached(("shop.a",)) == calm


def test_a_changed_file_is_seen_in_spite_of_what_is_kept(tmp_path):
    cache = tmp_path / "kept" / "imports.json"
    first = {"a.py": "import shop.b", "b.py": "", "c.py": ""}
    tree(tmp_path / "shop", first, cache=cache).reached(("shop.a",))
    then = {**first, "a.py": "import shop.c"}
    assert reached(tmp_path / "shop", then, "shop.a", cache=cache) == ["shop.a", "shop.c"]


@pytest.fixture(scope="module")
def changed(tmp_path_factory):
    """``changed(path, roots)``: whether the code of the roots is another once a file has changed."""
    folder = tmp_path_factory.mktemp("sources") / "truelift"
    shutil.copytree(SOURCES, folder, ignore=shutil.ignore_patterns("__pycache__"))
    cache = folder.parent / "imports.json"
    before = SourceTree(folder, cache=cache)

    def look(path: str, *roots: str) -> bool:
        kept = (folder / path).read_bytes()
        old = digest_of(before.reached(roots))
        try:
            (folder / path).write_bytes(kept + b"\n")
            return digest_of(SourceTree(folder, cache=cache).reached(roots)) != old
        finally:
            (folder / path).write_bytes(kept)

    return look


@pytest.mark.parametrize("path", ["report/style.css", "report/page.py", "pipeline.py", "cli.py"])
def test_the_page_and_the_command_line_are_no_code_of_ingest(changed, path):
    assert not changed(path, step_named("ingest").module)


def test_the_style_sheet_is_code_of_the_report_alone(changed):
    found = [step.name for step in STEPS if changed("report/style.css", step.module)]
    assert found == ["report"]


@pytest.mark.parametrize(
    "path",
    [
        "logs/sources/mapping.py",
        "logs/sources/columns.py",
        "arrays/texts.py",
        "logs/rules.py",
        "logs/neighbours/copies.py",
        "lake/periods.py",
        "lake/buckets.py",
    ],
)
def test_what_decides_on_a_row_is_code_of_the_rules(changed, path):
    assert changed(path, *DECIDING)


@pytest.mark.parametrize("path", ["lake/maintenance.py", "report/page.py", "logs/forget.py"])
def test_what_decides_on_no_row_is_no_code_of_the_rules(changed, path):
    assert not changed(path, *DECIDING)


@pytest.mark.parametrize("path", ["logs/sessions/splits.py", "lake/periods.py"])
def test_what_cuts_sessions_is_code_of_their_rules(changed, path):
    assert changed(path, *CUTTING)


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_no_step_runs_the_runner_of_steps(step):
    code = code_of([step.module])
    assert not {"truelift.pipeline", "truelift.step_graph", "truelift.cli"} & set(code)
    assert step.module in code


def test_the_ranks_that_training_starts_by_name_are_code_of_training():
    assert "truelift.training.rank" in code_of([step_named("train_sequence").module])


def test_options_count_by_the_module_of_their_class():
    root = ["truelift.logs.rules"]
    with_options = set(code_of(root, [CleanOptions])) - set(code_of(root))
    assert "truelift.settings.clean" in with_options
    assert not {"truelift.settings.effects", "truelift.settings"} & with_options
    assert set(code_of(root, [FeatureOptions])) - set(code_of(root)) == {"truelift.settings"}


@pytest.mark.parametrize("step", STEPS, ids=lambda step: step.name)
def test_the_public_face_is_code_of_no_step(step):
    assert not {m for m in code_of([step.module]) if m.startswith("truelift.public")}


def test_rows_of_registries_are_code_of_the_step_that_looks_them_up():
    rows = {
        "truelift.effects.scores.kinds.att",
        "truelift.effects.nuisances.learners.stacked",
        "truelift.effects.heterogeneity.several",
    }
    assert rows <= set(code_of([step_named("estimate_effects").module]))
    for name in ("clean", "sessionize", "train_sequence"):
        assert not rows & set(code_of([step_named(name).module]))
