"""Test files that a change can reach, by who imports whom: ``python -m tests.changed [BASE]``.

What a test runs is read from imports, as a step's identity is (:mod:`truelift.imported_code`): its
own, those of test modules that it imports and of the fixtures that it asks for, and all that the
package's modules import below them. A text that is a module's name (``-m truelift.cli``) is an
import. A file that is no module of these counts for those that name it or a folder of it
(``"docs"``, ``"cellwise.yaml"``). Where this errs it runs a test too many.
"""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache, cached_property
from pathlib import Path, PurePosixPath

from truelift.imported_code import PACKAGE, SourceTree
from truelift.module_imports import ModuleImports, read_imports

ROOT = Path(__file__).resolve().parents[1]
# Every test runs with what these set.
_EVERYTHING = ("pyproject.toml", "conf/requirements/", "conf/setup/")
_FOLDERS = ("tests", "benchmarks")
# Loaded by name, when they are asked for.
_COMMANDS = f"{PACKAGE}.commands"


def changed_files(root: Path, base: str) -> list[str]:
    """Files that differ from where this branch left ``base``, committed or not, new ones too."""

    def git(*arguments: str) -> list[str]:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments], check=True, capture_output=True, text=True
        )
        return done.stdout.splitlines()

    (start,) = git("merge-base", base, "HEAD")
    new = git("ls-files", "--others", "--exclude-standard")
    return sorted({*git("diff", "--name-only", start), *new})


class Reach:
    """What each test file of a repository runs.

    Parameters
    ----------
    root : Path
        With ``lib/truelift`` and ``tests`` in it.
    """

    def __init__(self, root: Path = ROOT):
        self._root = root
        self._tree = SourceTree(root / "lib" / PACKAGE, apart=())
        self._lib = dict(_modules(root / "lib", PACKAGE))
        self._own = {name: path for one in _FOLDERS for name, path in _modules(root, one)}
        self._data = self._root / "lib" / PACKAGE
        self._modules = {*self._lib, *self._own}
        self._paths = {*self._lib.values(), *self._own.values()}
        self._below = cache(self._of_roots)
        self._named = cache(_texts)
        self._parsed = cache(_parse)
        self._places = cache(self._places_of)

    def tests(self, changed: Iterable[str]) -> list[str]:
        """The test files that run, read or name one of some files, in their order."""
        news = list(changed)
        if any(file.startswith(_EVERYTHING) for file in news):
            return list(self.files)
        return [file for file in self.files if self.sees(file, news)]

    @cached_property
    def files(self) -> tuple[str, ...]:
        """All test files."""
        found = (self._root / "tests").rglob("test_*.py")
        return tuple(sorted(path.relative_to(self._root).as_posix() for path in found))

    def sees(self, file: str, news: Iterable[str]) -> bool:
        """Whether a test file runs, reads or names one of some files."""
        places = self._places(file)
        for new in news:
            path = self._root / new
            if path in places:
                return True
            inside = path in self._paths or self._data in path.parents
            if not inside and any(_parts(new) & self._named(place) for place in places):
                return True
        return False

    def _places_of(self, file: str) -> set[Path]:
        """Sources that a test file runs, itself among them, and data files that these read."""
        path = self._root / file
        above = [self._root / folder / "conftest.py" for folder in PurePosixPath(file).parents]
        shared = [one for one in above if one.exists()]
        asked = _asked_for(self._parsed(path), [self._parsed(one) for one in shared])
        seen, roots = {path, *shared}, set()
        waiting = [
            *self._imports(path, path.read_bytes()),
            *(
                name
                for one in shared
                for name in self._imports(
                    one, ast.unparse(_without_fixtures(self._parsed(one), asked)).encode()
                )
            ),
        ]
        while waiting:
            name = waiting.pop()
            if name in self._lib:
                roots.add(name)
            elif (place := self._own[name]) not in seen:
                seen.add(place)
                waiting += self._imports(place, place.read_bytes())
        roots |= {
            f"{_COMMANDS}.{word}"
            for place in seen - {*shared}
            for word in _words(self._parsed(place))
        }
        return seen | self._below(frozenset(roots & self._lib.keys()))

    def _imports(self, place: Path, source: bytes) -> list[str]:
        name = ".".join(place.relative_to(self._root).with_suffix("").parts)
        return list(_wanted(read_imports(source, name), self._modules))

    def _of_roots(self, roots: frozenset[str]) -> set[Path]:
        if PACKAGE in roots:
            # Its public face is loaded by name, when it is asked for.
            face = read_imports(self._lib[PACKAGE].read_bytes(), PACKAGE, True)
            roots |= set(_wanted(face, set(self._lib)))
        reached = self._tree.reached(tuple(sorted(roots)))
        # Whoever imports a module runs the packages that it lies in.
        around = {above for name in reached for above in _packages(name) if above in self._lib}
        return {self._lib.get(name, self._data / name) for name in {*reached, *around}}


def _modules(root: Path, package: str) -> Iterator[tuple[str, Path]]:
    for path in sorted((root / package).rglob("*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        yield ".".join(parts[:-1] if parts[-1] == "__init__" else parts), path


def _packages(name: str) -> Iterator[str]:
    while "." in name:
        name = name.rpartition(".")[0]
        yield name


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_bytes())


def _wanted(found: ModuleImports, there: set[str]) -> Iterator[str]:
    """Modules among those there are that imports and texts name."""
    for module, name in found.names:
        inner = f"{module}.{name}"
        if inner in there or module in there:
            yield inner if inner in there else module
    for text in (*found.modules, *found.texts):
        module = text.partition(":")[0]
        if module in there:
            yield module


def _fixtures(tree: ast.Module) -> dict[str, ast.FunctionDef]:
    return {
        node.name: node
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
        and any("fixture" in ast.unparse(one) for one in node.decorator_list)
    }


def _asked_for(own: ast.Module, shared: list[ast.Module]) -> set[str]:
    """Names of arguments and texts of a test file, and of the fixtures that they stand for."""
    fixtures: dict[str, list[ast.FunctionDef]] = {}
    for tree in (own, *shared):
        for name, node in _fixtures(tree).items():
            fixtures.setdefault(name, []).append(node)
    seen: set[str] = set()
    waiting = [node.arg for node in ast.walk(own) if isinstance(node, ast.arg)]
    waiting += [text for text in _strings(own) if text in fixtures]
    waiting += [name for name, nodes in fixtures.items() if any(map(_automatic, nodes))]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [arg.arg for node in fixtures.get(name, ()) for arg in node.args.args]
    return seen


def _automatic(fixture: ast.FunctionDef) -> bool:
    return any("autouse=True" in ast.unparse(one) for one in fixture.decorator_list)


def _without_fixtures(tree: ast.Module, asked: set[str]) -> ast.Module:
    """A ``conftest.py`` without the fixtures that nobody asks for, and what only they import."""
    left = {name for name in _fixtures(tree) if name not in asked}
    body = [n for n in tree.body if not (isinstance(n, ast.FunctionDef) and n.name in left)]
    used = {
        node.id
        for one in body if not isinstance(one, (ast.Import, ast.ImportFrom))
        for node in ast.walk(one) if isinstance(node, ast.Name)
    }  # fmt: skip
    kept: list[ast.stmt] = []
    for one in body:
        if isinstance(one, ast.ImportFrom):
            names = [n for n in one.names if (n.asname or n.name) in used]
            if names:
                kept.append(ast.ImportFrom(one.module, names, one.level))
        else:
            kept.append(one)
    return ast.Module(kept, [])


def _strings(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _words(tree: ast.AST) -> set[str]:
    return {word for text in _strings(tree) for word in text.replace("-", "_").split()}


def _texts(place: Path) -> frozenset[str]:
    """Parts of the texts in a source that could be paths: those without blanks."""
    if place.suffix != ".py":
        return frozenset()
    paths = (text for text in _strings(ast.parse(place.read_bytes())) if " " not in text)
    return frozenset(part for text in paths for part in text.split("/") if part)


def _parts(file: str) -> set[str]:
    """By what a file is named: its name, a specification's without its ending, its first folder."""
    path = PurePosixPath(file)
    return {path.parts[0], path.name, *([path.stem] if path.suffix in (".yaml", ".yml") else [])}


if __name__ == "__main__":
    print("\n".join(Reach().tests(changed_files(ROOT, *(sys.argv[1:] or ["main"])))))
