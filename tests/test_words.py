"""Names and docstrings speak the field's English: words of an earlier dialect stay out."""

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
ROOMS = ("presets", "models", "realtime", "offline")
# What each meant; the field's term is in its place. Strings are free: users type knobs such as `guest`.
RETIRED = {
    "acquainted": "normalised",
    "allowance": "allow-list",
    "backlog": "coalescing queue",
    "bell": "event, wake-up",
    "board": "parameter memory",
    "cone": "receptive field",
    "conversation": "message dispatcher",
    "desk": "controller",
    "guest": "target speaker",
    "habit": "speaker statistics",
    "lesson": "reference clip",
    "misread": "word error",
    "nobody": "the mean speaker, or no one",
    "relay": "audio callback",
    "retelling": "intelligibility",
    "shelf": "preset library",
    "stranger": "unseen speaker",
}
PHRASES = {
    r"\b(is|are|was|were|be|been|being) told\b": "receives, is given",
    r"\bwho (is told|says it)\b": "name the receiver",
    r"\bwhat is heard\b": "the sound, the audible parts",
    r"\bsays again\b": "repeats",
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
        for phrase in PHRASES:
            if found := re.search(phrase, " ".join(text.lower().split())):
                yield line, found[0]


def instead_of(used):
    """Return the field's term for a retired word or phrase."""
    return RETIRED.get(used) or next(term for phrase, term in PHRASES.items() if re.search(phrase, used))


@pytest.mark.parametrize("room", [*ROOMS, "tests"])
def test_retired_words_stay_out_of_names_and_docstrings(room):
    uses = []
    for path in sorted((ROOT / room).rglob("*.py")):
        names = [(0, word) for word in _words(path.stem) if word in RETIRED]
        for line, word in [*names, *found_in(path.read_text("utf-8"))]:
            uses.append(f"{path.relative_to(ROOT)}:{line}: {word!r}: say {instead_of(word)}")
    assert uses == []


def test_the_check_sees_names_and_docstrings_and_lets_strings_and_what_is_typed_pass():
    assert list(found_in("def the_shelf(): pass")) == [(1, "shelf")]
    assert list(found_in("class ShelfLife: pass")) == [(1, "shelf")]
    assert list(found_in('"""Two backlogs."""')) == [(1, "backlog")]
    assert list(found_in('"""The one that\nis told."""')) == [(1, "is told")]
    assert list(found_in('knob = values["shelf"]\n')) == []
    assert list(found_in('"""The filter `shelf`, bookshelf."""')) == []


def test_no_two_public_classes_share_a_name():
    places = defaultdict(list)
    for path in [path for room in ROOMS for path in sorted((ROOT / room).rglob("*.py"))]:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places[node.name].append(str(path.relative_to(ROOT)))
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


def test_the_control_page_uses_the_fields_words():
    """In its names, comments and texts; a parameter keeps the name that presets have for it."""
    page = ROOT / "realtime" / "control" / "oscquery" / "page"
    retired = re.compile(r"\b(" + "|".join(RETIRED) + r")s?\b", re.IGNORECASE)
    found = []
    for path in sorted(page.iterdir()):
        if path.suffix in (".js", ".html", ".css"):
            for number, line in enumerate(path.read_text("utf-8").splitlines(), 1):
                plain = " ".join(_words(line)) + " " + line
                if retired.search(plain) or any(re.search(phrase, line) for phrase in PHRASES):
                    found.append(f"{path.name}:{number}: {line.strip()[:80]}")
    assert found == []
