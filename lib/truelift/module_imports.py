"""What a module imports, read from its source: nothing is executed.

Imports inside functions count; those for types alone (``if TYPE_CHECKING``) do not.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class ModuleImports:
    """What the source of one module says.

    Attributes
    ----------
    modules : tuple of str
        ``import a.b``: whole modules.
    names : tuple of (str, str)
        ``from a.b import c``: a module, and a name in it.
    texts : tuple of str
        Texts that could be names of modules or of files.
    bound : dict of str to str
        For each name that ``from a.b import c as d`` binds at the top, ``a.b``.
    computed : bool
        Whether a module is imported by a name that is put together from its own package's.
    hands_on : bool
        Whether it does nothing but import and list names.
    """

    modules: tuple[str, ...] = ()
    names: tuple[tuple[str, str], ...] = ()
    texts: tuple[str, ...] = ()
    bound: Mapping[str, str] = field(default_factory=dict)
    computed: bool = False
    hands_on: bool = False


def read_imports(source: bytes, module: str, is_package: bool = False) -> ModuleImports:
    """What a module's source imports, wherever in it.

    Parameters
    ----------
    source : bytes
    module : str
        Its name; relative imports start there.
    is_package : bool
        Whether it is the ``__init__`` of a package.
    """
    tree = ast.parse(source)
    home = module if is_package else module.rpartition(".")[0]
    modules: list[str] = []
    names: list[tuple[str, str]] = []
    texts: list[str] = []
    computed = False
    waiting: list[ast.AST] = [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_type_checking(node.test):
            waiting += node.orelse
            continue
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names += [(_absolute(node, home), alias.name) for alias in node.names]
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            if _A_NAME.fullmatch(node.value):
                texts.append(node.value)
        elif isinstance(node, ast.Call) and _is_computed(node):
            computed = True
        waiting += ast.iter_child_nodes(node)
    bound = {
        alias.asname or alias.name: _absolute(node, home)
        for node in tree.body if isinstance(node, ast.ImportFrom)
        for alias in node.names
        if alias.asname in (None, alias.name)
    }  # fmt: skip
    return ModuleImports(
        tuple(sorted(set(modules))),
        tuple(sorted(set(names))),
        tuple(sorted(set(texts))),
        bound,
        computed,
        all(_hands_on(node) for node in tree.body),
    )


# ``package.module``, ``package.module:function``, or a file's name; no sentence.
_A_NAME = re.compile(r"[A-Za-z_][\w-]*(\.[\w-]+)+(:\w+)?")


def _absolute(node: ast.ImportFrom, home: str) -> str:
    if not node.level:
        return node.module or ""
    above = home.split(".")
    above = above[: len(above) - node.level + 1]
    return ".".join([*above, *([node.module] if node.module else [])])


def _is_type_checking(test: ast.expr) -> bool:
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def _is_computed(call: ast.Call) -> bool:
    function = call.func
    name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
    if name not in ("import_module", "__import__"):
        return False
    # Any other name is a value from elsewhere, and its text counts where that stands.
    named = (n.id for arg in (*call.args, *call.keywords) for n in ast.walk(arg)
             if isinstance(n, ast.Name))  # fmt: skip
    return any(one in ("__name__", "__package__") for one in named)


def _hands_on(node: ast.stmt) -> bool:
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return True
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.If):
        return _is_type_checking(node.test) and not node.orelse
    targets = node.targets if isinstance(node, ast.Assign) else []
    return any(isinstance(target, ast.Name) and target.id == "__all__" for target in targets)
