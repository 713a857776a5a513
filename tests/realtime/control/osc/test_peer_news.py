"""What a peer is sent about what it sent: each refusal, to it alone, and never a flood."""

from unittest.mock import Mock

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.dispatcher import WALL, DispatcherSetup
from support.osc import bundle, peer_of

from gramophone.models.parameters import ParameterError
from gramophone.realtime.control.osc import osc_server
from gramophone.realtime.control.osc.parameter_methods import NoticeMethod
from gramophone.realtime.control.osc.peer_news import EACH_SECOND, PeerNews
from gramophone.realtime.osc.packet import encode

NEWS = "/gramophone/news"


def news(replies, peer="a"):
    """Return the sentences that a peer was sent."""
    return [message.arguments[1] for each, message in replies if (each, message.address) == (peer, NEWS)]


@pytest.mark.parametrize(
    ("address", "arguments", "sentence"),
    [
        ("/gramophone/hall/room", (2.0,), "/gramophone/hall/room: room = 2.0: expected a number from 0 to 1"),
        ("/gramophone/hall/rom", (0.5,), "/gramophone/hall/rom: there is no such address"),
        ("/gramophone/hall/room", ("loud",), "/gramophone/hall/room: 'loud' (type tags 's'): expected one number"),
        ("/gramophone/bypass", ("on",), "/gramophone/bypass: 'on' (type tags 's'): expected true or false, 1 or 0"),
        ("/gramophone/subscribe", (0.0,), "subscription at 0 Hz: expected a number from 0.1 to 100 Hz"),
        ("/gramophone/preset", ("nothing",), "preset 'nothing': expected one of "),
        ("/gramophone/space/impulse", ("no.wav",), "clip 'no.wav': expected one of "),
    ],
)
def test_a_refusal_reaches_the_peer_that_asked_and_no_other(address, arguments, sentence):
    setup = DispatcherSetup()
    setup.send("/gramophone/subscribe", peer="b")
    setup.advance()
    setup.send(address, *arguments)
    replies = setup.advance(0.1)
    assert len(news(replies)) == 1
    assert news(replies)[0].startswith(sentence)
    assert news(replies, "b") == []


def test_malformed_packets_and_bundles_too_far_ahead_are_answered():
    setup = DispatcherSetup()
    setup.receive(b"GET / HTTP/1.1")
    setup.receive(bundle(WALL + 3600, encode("/gramophone/hall/room", (0.1,))))
    malformed, ahead = news(setup.advance())
    assert malformed
    assert "expected at most 600 s" in ahead


def test_a_refusal_behind_a_time_tag_reaches_the_sender_when_it_is_due():
    setup = DispatcherSetup()
    setup.receive(bundle(WALL + 0.5, encode("/gramophone/hall/room", (7.0,))), peer="a")
    assert setup.advance() == []
    assert len(news(setup.advance(0.6))) == 1


def test_refusals_and_notices_are_numbered_in_one_sequence():
    setup = DispatcherSetup()
    setup.send("/gramophone/subscribe")
    setup.advance()
    numbers = []
    for k in range(3):
        setup.send("/gramophone/nowhere", float(k))
        setup.space.notices.publish("learned")
        numbers += [message.arguments[0] for _, message in setup.advance(0.1) if message.address == NEWS]
    assert sorted(numbers) == list(range(1, 7))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 0.3)), min_size=1, max_size=120))
def test_every_refusal_is_sent_or_counted_and_no_second_has_more_than_a_few(messages):
    peers = PeerNews(NoticeMethod(NEWS, lambda: None))
    asked, came, now = {"a": 0, "b": 0}, {"a": [], "b": []}, 0.0
    for peer, pause in messages:
        asked[peer] += 1
        sent = peers.refuse(peer, "wrong", now)
        if sent:
            came[peer].append((now, sent[1]))
        now += pause
        for each, (_, text) in peers.due(now):
            came[each].append((now, text))
    while (at := peers.next_at(now)) is not None:
        now = at
        for each, (_, text) in peers.due(now):
            came[each].append((now, text))
    for peer, found in came.items():
        assert sum(int(text.split()[0]) if " more refused" in text else 1 for _, text in found) == asked[peer]
        assert all(sum(at <= other < at + 1 for other, _ in found) <= 2 * EACH_SECOND for at, _ in found)


def test_a_flood_of_many_senders_is_answered_in_bounded_memory_and_number():
    setup = DispatcherSetup()
    for k in range(5_000):
        setup.send("/gramophone/nowhere", peer=f"sender {k}")
    assert len(setup.advance()) <= 256
    assert setup.errors == {"unknown address": 5_000}
    setup.advance(2)
    setup.send("/gramophone/nowhere", peer="late")
    assert len(news(setup.advance(), "late")) == 1


def test_what_looks_like_an_answer_is_not_answered():
    """Two programs that answer each other's answers would never end."""
    setup = DispatcherSetup()
    setup.send(NEWS, 3, "saved as x")
    assert setup.advance(1) == []
    assert setup.errors == {"mistyped": 1}


def test_news_go_where_the_peer_has_its_values_sent():
    setup = DispatcherSetup()
    setup.send("/gramophone/subscribe", 30, 9010)
    setup.advance()
    setup.send("/gramophone/hall/room", 7.0)
    assert len(news(setup.advance(0.1), "a:9010")) == 1


def test_texts_of_peers_come_back_whole_or_cut_whatever_is_in_them():
    setup = DispatcherSetup()
    setup.send("/gramophone/preset", "ä" * 3000)
    setup.send("/gramophone/preset", "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"))
    assert all(len(text) <= 500 for text in news(setup.advance()))


def test_a_peer_that_asked_for_what_takes_a_while_is_sent_what_became_of_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    setup = DispatcherSetup(surfaces=True)
    setup.space.notices.publish("learned before")
    setup.send("/gramophone/save", "Late Night")
    at_once = setup.advance()  # the saver's thread may have done it by now
    setup.saved()
    assert news(at_once + setup.advance(0.1)) == ["saved as late-night"]
    assert news(setup.advance(0.1)) == []
    setup.send("/gramophone/preset", "default")
    setup.advance()
    setup.space.notices.publish("default cannot be played; the terminal says why")
    assert news(setup.advance(0.1)) == ["default cannot be played; the terminal says why"]


def test_errors_that_name_files_send_no_path():
    for error, sentence in (
        (ParameterError("strength = 2: expected less"), "/gramophone/hall/room: strength = 2: expected less"),
        (RuntimeError("ann/secret.wav"), "/gramophone/hall/room failed; the terminal says why"),
    ):
        setup = DispatcherSetup()
        setup.send("/gramophone/subscribe")
        setup.advance()
        setup.sink.set_many = Mock(side_effect=error)
        setup.send("/gramophone/hall/room", 0.125)
        replies = setup.advance(0.1)
        assert news(replies) == [sentence]
        assert "/gramophone/hall/room" in [message.address for _, message in replies], "the value as it still is"


def test_over_a_real_socket_too():
    setup = DispatcherSetup()
    with osc_server(setup.space, 0) as server, peer_of(server.port) as peer:
        for k in range(EACH_SECOND + 5):
            peer.send(encode("/gramophone/hall/room", (2.0 + k,)))
        texts = [peer.receive_until(NEWS).arguments[1] for _ in range(EACH_SECOND + 1)]
    assert [text.split("room = ")[1].split(":")[0] for text in texts[:-1]] == [f"{2.0 + k}" for k in range(EACH_SECOND)]
    assert texts[-1].startswith("5 more refused, the last: /gramophone/hall/room: room = 16")
