"""While a voice compiles, people hear of it, with the time left; and when it is on."""

import numba
import pytest

from gramophone.realtime.live.compile_news import CompileNews


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "gramophone" / "compile-seconds"


def compile_something(number):
    return numba.njit(lambda x: [x + number, x * number])(1.0)


def news(short_s=0.0):
    said = []
    with CompileNews(said.append, short_s):
        compile_something(len(said) + 2)
    return said


def test_the_time_left_comes_first_and_that_it_is_on_last(cache):
    said = news()
    assert said[0] == "compiling the voice for this machine, you hear yourself dry, about 20 s left"
    assert said[-1] == "the voice is on"
    assert float(cache.read_text()) >= 0


@pytest.mark.parametrize(
    ("kept", "left"), [("42.0\n", "42 s"), ("no number", "20 s"), ("nan", "1 s"), ("1e9", "600 s")]
)
def test_the_countdown_begins_with_what_this_machine_took_before(cache, kept, left):
    cache.parent.mkdir(parents=True)
    cache.write_text(kept)
    assert f"about {left} left" in news()[0]


def test_nothing_is_said_where_nothing_or_little_is_compiled(cache):
    said = []
    with CompileNews(said.append, 0.0):
        pass
    assert said == news(short_s=60.0) == []
    assert not cache.exists()


def compile_and_fail(said):
    with CompileNews(said.append, 0.0):
        compile_something(5)
        raise ZeroDivisionError


def test_a_chain_that_fails_is_not_on(cache):
    said = []
    with pytest.raises(ZeroDivisionError):
        compile_and_fail(said)
    assert "the voice is on" not in said
    assert not cache.exists()
