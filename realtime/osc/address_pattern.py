"""Address patterns of OSC: `*`, `?`, `[a-z]`, `[!a-z]`, `{one,other}`, and `//` of OSC 1.1.

A pattern is a sequence of tokens; matching keeps the set of positions in the text that the tokens so far can reach, so
its time is bounded for every pattern (that of a regular expression made of many stars is not).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

_SPECIAL = frozenset("*?[]{}")

_Token = Callable[[str, int], Iterator[int]]
"""From a position in the text, every position that the token can reach."""


class PatternError(ValueError):
    """A bracket of the pattern is not closed, or closes nothing."""


def is_pattern(address: str) -> bool:
    """Return whether the address stands for others."""
    return "//" in address or not _SPECIAL.isdisjoint(address)


def matcher(pattern: str) -> Callable[[str], bool]:
    """Return the function that decides whether an address matches the pattern.

    Raises:
        PatternError: the pattern is not well formed.
    """
    tokens = list(_tokens(pattern))

    def matches(address: str) -> bool:
        positions = {0}
        for token in tokens:
            positions = {end for start in positions for end in token(address, start)}
            if not positions:
                return False
        return len(address) in positions

    return matches


def _tokens(pattern: str) -> Iterator[_Token]:
    at = 0
    while at < len(pattern):
        sign = pattern[at]
        if sign == "*":
            yield _some
        elif sign == "?":
            yield _one_of("", negated=True)
        elif sign == "[":
            at, inside = _until("]", pattern, at)
            negated = inside[:1] == "!"
            yield _one_of(_spelled_out(inside[negated:]), negated=negated)
        elif sign == "{":
            at, inside = _until("}", pattern, at)
            yield _either(tuple(inside.split(",")))
        elif pattern.startswith("//", at):
            at += 1
            yield _deeper
        elif sign in _SPECIAL:
            raise PatternError(f"pattern {pattern}: {sign} closes what never opened")
        else:
            yield _either((sign,))
        at += 1


def _until(end: str, pattern: str, at: int) -> tuple[int, str]:
    behind = pattern.find(end, at)
    if behind < 0:
        raise PatternError(f"pattern {pattern}: {pattern[at]} never closes")
    return behind, pattern[at + 1 : behind]


def _spelled_out(inside: str) -> str:
    """Return every character of a set such as `a-cx`."""
    characters, at = "", 0
    while at < len(inside):
        if inside[at + 1 : at + 2] == "-" and at + 2 < len(inside):
            characters += "".join(map(chr, range(ord(inside[at]), ord(inside[at + 2]) + 1)))
            at += 3
        else:
            characters += inside[at]
            at += 1
    return characters


def _one_of(characters: str, *, negated: bool) -> _Token:
    def step(text: str, start: int) -> Iterator[int]:
        if start < len(text) and text[start] != "/" and (text[start] in characters) != negated:
            yield start + 1

    return step


def _either(words: tuple[str, ...]) -> _Token:
    def step(text: str, start: int) -> Iterator[int]:
        return (start + len(word) for word in words if text.startswith(word, start))

    return step


def _some(text: str, start: int) -> Iterator[int]:
    yield start
    while start < len(text) and text[start] != "/":
        start += 1
        yield start


def _deeper(text: str, start: int) -> Iterator[int]:
    """From a slash, every position behind this or a later one."""
    if text[start : start + 1] == "/":
        return (position + 1 for position in range(start, len(text)) if text[position] == "/")
    return iter(())
