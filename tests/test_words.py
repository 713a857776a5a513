"""Names and docstrings speak the field's English: words of an earlier dialect stay out."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("presets", "models", "realtime", "offline", "tests")
# What each meant; the field's term is in its place. Strings are free: users type knobs such as `guest`.
RETIRED = {
    "shelf": "preset library",
    "stranger": "unseen speaker",
    "acquainted": "normalised",
    "retelling": "intelligibility",
    "misread": "word error",
    "conversation": "message dispatcher",
    "allowance": "allow-list",
    "backlog": "coalescing queue",
}


def _words(name):
    """The words of an identifier: `TargetSpeaker` and `target_speaker` are `target` and `speaker`."""
    return re.findall(r"[A-Z]?[a-z]+", name)


def _identifiers(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.name, node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr, node.lineno


def _docstrings(tree):
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            text = ast.get_docstring(node)
            if text:
                # What stands between backticks is what users or programs type.
                yield re.sub(r"`[^`]*`", "", text), getattr(node, "lineno", 1)


def found_in(source):
    """(line, retired word) of every use in names and docstrings."""
    tree = ast.parse(source)
    texts = [(" ".join(_words(name)), line) for name, line in _identifiers(tree)] + list(_docstrings(tree))
    for text, line in texts:
        for word in re.findall(r"[a-z]+", text.lower()):
            singular = word if word in RETIRED else word.removesuffix("s")
            if singular in RETIRED:
                yield line, singular


@pytest.mark.parametrize("room", ROOMS)
def test_retired_words_stay_out_of_names_and_docstrings(room):
    uses = []
    for path in sorted((ROOT / room).rglob("*.py")):
        names = [(0, word) for word in _words(path.stem) if word in RETIRED]
        for line, word in [*names, *found_in(path.read_text("utf-8"))]:
            uses.append(f"{path.relative_to(ROOT)}:{line}: {word!r}: say {RETIRED[word]}")
    assert uses == []


def test_the_check_sees_names_and_docstrings_and_lets_strings_and_what_is_typed_pass():
    assert list(found_in("def the_shelf(): pass")) == [(1, "shelf")]
    assert list(found_in("class ShelfLife: pass")) == [(1, "shelf")]
    assert list(found_in('"""Two backlogs."""')) == [(1, "backlog")]
    assert list(found_in('knob = values["shelf"]\n')) == []
    assert list(found_in('"""The filter `shelf`, bookshelf."""')) == []
