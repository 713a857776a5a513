"""Address patterns match as the OSC specification defines, in bounded time."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.realtime.osc.address_pattern import PatternError, is_pattern, matcher

PIECES = {
    "*": "[^/]*",
    "?": "[^/]",
    "[a-c]": "[a-c]",
    "[!a-c]": "[^a-c/]",
    "[bd-]": "[bd\\-]",
    "{a,bc}": "(?:a|bc)",
    "//": "/(?:.*/)?",
    "/": "/",
    "a": "a",
    "b": "b",
    "d": "d",
}


@settings(deadline=None)
@given(st.lists(st.sampled_from(sorted(PIECES)), max_size=8), st.text("abcd/", max_size=12))
def test_patterns_match_like_their_regular_expressions(pieces, text):
    pattern = "".join(pieces)
    if re.search("//[*?a-z\\[{]*/?/", pattern) or "///" in pattern:
        return  # rows of slashes may be read in two ways
    expression = "".join(PIECES[piece] for piece in _split(pattern))
    assert matcher(pattern)(text) == bool(re.fullmatch(expression, text)), (pattern, expression)


def _split(pattern):
    return re.findall(r"//|\[.*?\]|\{.*?\}|.", pattern)


@pytest.mark.parametrize("pattern", ["/a[b", "/a{b", "/a]", "/}"])
def test_open_brackets_are_errors(pattern):
    with pytest.raises(PatternError):
        matcher(pattern)


def test_many_stars_do_not_explode():
    assert not matcher("/" + "*a" * 100 + "x")("/" + "a" * 200)


def test_plain_addresses_are_no_patterns():
    assert not is_pattern("/gramophone/style/strength")
    assert is_pattern("//mix")
