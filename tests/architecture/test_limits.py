"""The house rules that a machine can check: sizes, names, and what is banned from the sources."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

FILE, FUNCTION, CONSTRUCTOR, DEPTH = 400, 60, 12, 2
MIRRORS_TORCH = {"LSTM", "RNN", "GRU", "Recurrent"}  # torch's own signature, and what it lacks
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "tools"}
BANNED_CALLS = {"eval", "exec", "compile", "__import__", "print", "breakpoint"}
BANNED_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "marshal", "shelve"}


def sources(repository: Path) -> list[Path]:
    return sorted((repository / "src" / "longspan").rglob("*.py"))


def every_python_file(repository: Path) -> list[Path]:
    return [
        path for part in ("src", "tests", "benchmarks") for path in sorted((repository / part).rglob("*.py"))
    ]


def long_functions(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            length = (node.end_lineno or 0) - node.lineno + 1
            if length > FUNCTION:
                yield f"line {node.lineno}: {node.name} has {length} lines, at most {FUNCTION}"


def wide_constructors(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.ClassDef) or node.name in MIRRORS_TORCH:
            continue
        for each in node.body:
            if isinstance(each, ast.FunctionDef) and each.name == "__init__":
                count = len(each.args.posonlyargs + each.args.args + each.args.kwonlyargs) - 1
                if count > CONSTRUCTOR:
                    yield f"line {each.lineno}: {node.name} takes {count} arguments, at most {CONSTRUCTOR}"


def banned(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Assert):
            yield f"line {node.lineno}: assert is for tests; raise an error of longspan.core.errors"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names = (
                [node.module or ""]
                if isinstance(node, ast.ImportFrom)
                else [each.name for each in node.names]
            )
            yield from (
                f"line {node.lineno}: {each}" for each in names if each.split(".")[0] in BANNED_MODULES
            )
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in BANNED_CALLS:
            yield f"line {node.lineno}: {node.func.id}()"
        elif isinstance(node, ast.Call) and ast.unparse(node.func) in (
            "torch.load",
            "torch.save",
            "np.save",
            "np.load",
        ):
            yield f"line {node.lineno}: {ast.unparse(node.func)}()"


def deep_classes(trees: list[ast.AST]) -> Iterator[str]:
    """Classes that derive from ours by more than two steps."""
    bases: dict[str, list[str]] = {}
    for tree in trees:
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = [ast.unparse(base).split(".")[-1] for base in node.bases]

    def depth(name: str, seen: tuple[str, ...] = ()) -> int:
        above = [each for each in bases.get(name, []) if each in bases and each != name and each not in seen]
        return max((1 + depth(each, (*seen, name)) for each in above), default=0)

    yield from (f"{name} is {depth(name)} deep, at most {DEPTH}" for name in bases if depth(name) > DEPTH)


def undocumented(tree: ast.Module) -> Iterator[str]:
    """Public functions, classes and methods without a docstring."""
    if not ast.get_docstring(tree) and tree.body:
        yield "the module"
    for node in tree.body:
        if not isinstance(node, ast.FunctionDef | ast.ClassDef) or node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield f"line {node.lineno}: {node.name}"
        for each in node.body if isinstance(node, ast.ClassDef) else []:
            public = isinstance(each, ast.FunctionDef) and not each.name.startswith("_")
            if public and not ast.get_docstring(each) and not _overloaded(each):
                yield f"line {each.lineno}: {node.name}.{each.name}"


def _overloaded(node: ast.FunctionDef) -> bool:
    return any(ast.unparse(each).endswith(("overload", ".setter")) for each in node.decorator_list)


def test_files_are_short(repository: Path) -> None:
    """Of a test file the length is that of the list of things that can go wrong: it has no limit."""
    found = {
        str(path.relative_to(repository)): count
        for path in every_python_file(repository)
        if repository / "tests" not in path.parents and (count := len(path.read_text().splitlines())) > FILE
    }
    assert not found, f"at most {FILE} lines"


def test_no_file_is_named_after_nothing(repository: Path) -> None:
    found = [path for path in every_python_file(repository) if set(path.with_suffix("").parts) & NAMELESS]
    assert not found, "a helper has a subject"


def test_inheritance_is_shallow(repository: Path) -> None:
    found = list(deep_classes([ast.parse(path.read_text()) for path in sources(repository)]))
    assert not found, "\n".join(found)


@pytest.mark.parametrize("rule", [long_functions, wide_constructors, banned, undocumented])
def test_sources_keep_the_rule(rule: Callable[[ast.AST], Iterator[str]], repository: Path) -> None:
    found = [
        f"{path.relative_to(repository)} {fault}"
        for path in sources(repository)
        for fault in rule(ast.parse(path.read_text()))
    ]
    assert not found, "\n".join(found)


def test_modules_postpone_annotations(repository: Path) -> None:
    line = "from __future__ import annotations"
    found = [
        str(path.relative_to(repository))
        for path in every_python_file(repository)
        if len(ast.parse(path.read_text()).body) > 1 and line not in path.read_text().splitlines()
    ]  # a docstring alone has nothing to postpone
    assert not found, f"without {line!r}"


@pytest.mark.parametrize(
    ("rule", "source"),
    [
        (long_functions, "def f():\n" + "    x = 1\n" * 60),
        (
            wide_constructors,
            f"class A:\n    def __init__(self, {', '.join(f'a{n}' for n in range(13))}): ...",
        ),
        (banned, "def f(x):\n    assert x"),
        (banned, "import pickle"),
        (banned, "from joblib import load"),
        (banned, "torch.load(path)"),
        (banned, "eval('1')"),
        (banned, "print(1)"),
        (undocumented, "'''Doc.'''\ndef f(): ..."),
        (undocumented, "'''Doc.'''\nclass A:\n    '''Doc.'''\n    def f(self): ..."),
    ],
)
def test_a_breach_is_seen(rule: Callable[[ast.AST], Iterator[str]], source: str) -> None:
    assert list(rule(ast.parse(source)))


def test_deep_inheritance_is_seen() -> None:
    two = ast.parse("class A(Module): ...\nclass B(A): ...")
    assert not list(deep_classes([two]))
    assert not list(deep_classes([two, ast.parse("class C(B): ...")]))
    assert list(deep_classes([two, ast.parse("class C(B): ...\nclass D(longspan.C): ...")]))


def test_model_code_is_in_evaluation_by_method_only(repository: Path) -> None:
    """``model.eval()`` is a method and fine; the built-in eval() is what is banned."""
    assert not list(banned(ast.parse("model.eval()")))
