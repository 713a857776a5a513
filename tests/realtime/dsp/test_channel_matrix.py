"""Channel routing: against NumPy's indexing, without a click, for the wet and the dry path alike."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gramophone.realtime.dsp.channel_matrix import (
    ChannelMatrix,
    Route,
    RouteError,
    check_route,
    format_route,
    one_to_one,
    parse_route,
    route_matrix,
)
from gramophone.realtime.live.audio_callback import AudioCallback
from gramophone.realtime.live.shared_state import INPUTS, OUTPUTS, SharedState
from gramophone.realtime.stage import Audio
from gramophone.realtime.system.wakeup import make_wake

DEVICE_CHANNELS, BLOCK = 5, 64

routes = st.lists(st.lists(st.integers(1, DEVICE_CHANNELS), unique=True, max_size=3).map(tuple), min_size=1, max_size=4)


def noise(rows: int, frames: int, seed: int = 0) -> Audio:
    return np.random.default_rng(seed).uniform(-1, 1, (rows, frames)).astype(np.float32)


def routed(route: Route, block: Audio) -> Audio:
    """The truth: each channel is the sum of its device channels."""
    made = np.zeros((len(route), block.shape[1]), np.float32)
    for row, channel in zip(made, route, strict=True):
        for socket in sorted(channel):
            row += block[socket - 1]
    return made


@settings(max_examples=60, deadline=None)
@given(routes.map(tuple))
def test_a_patch_sums_what_indexing_sums(route: Route) -> None:
    block = noise(DEVICE_CHANNELS, BLOCK)
    made = ChannelMatrix(route_matrix(route, DEVICE_CHANNELS)).process(block)
    np.testing.assert_allclose(made, routed(route, block), atol=1e-6)
    if all(len(channel) == 1 for channel in route):
        np.testing.assert_array_equal(made, block[[socket - 1 for (socket,) in route]])


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(routes.map(lambda r: tuple(r[:2])), st.integers(1, 700)), min_size=2, max_size=6))
def test_changes_end_where_they_should_and_are_never_steeper_than_a_fade(changes: list[tuple[Route, int]]) -> None:
    """The next may come during a fade. Each device channel is constant, so a step would be visible."""
    held = np.arange(1, DEVICE_CHANNELS + 1, dtype=np.float32)[:, None]
    route = ((1,), (2,))
    patch, made = ChannelMatrix(route_matrix(route, DEVICE_CHANNELS)), []
    for change, frames in changes:
        route = (*change, ())[:2]
        patch.set(route_matrix(route, DEVICE_CHANNELS))
        made.append(patch.process(np.repeat(held, frames, axis=1)))
    made += [patch.process(np.repeat(held, BLOCK, axis=1)) for _ in range(9)]
    heard = np.concatenate(made, axis=1)
    np.testing.assert_array_equal(made[-1], routed(route, np.repeat(held, BLOCK, axis=1)))
    assert np.abs(np.diff(heard, axis=1)).max() <= held.sum() / 480 + 1e-5


@given(routes.map(tuple))
def test_a_route_is_read_as_it_is_written(route: Route) -> None:
    assert parse_route(format_route(route)) == route


def test_what_is_no_route_is_refused_with_what_was_expected() -> None:
    for text in ("", "1,", "1,x", "1+,2", "-1,2", "1.5,2", "65,1"):
        with pytest.raises(RouteError, match="expected numbers up to 64 such as 1,1"):
            parse_route(text)
    with pytest.raises(RouteError, match=r"inputs 1,9: no input 9; expected 1 to 4, or 0 for none"):
        check_route(parse_route("1,9"), 2, 4, "input")
    with pytest.raises(RouteError, match=r"outputs 1: 1 channels; expected 2"):
        check_route(parse_route("1"), 2, 4, "output")
    check_route(parse_route("0,1+4"), 2, 4, "output")


class Host:
    """A device of four inputs and outputs around a chain of two channels that turns the sound over, or is not there."""

    def __init__(self) -> None:
        self.shared = SharedState.new(2, 4)
        self.callback = AudioCallback(self.shared, make_wake(), 2)
        self.number = 0

    def route(self, side: int, text: str) -> None:
        self.shared.routes.set(side, dict(enumerate(route_matrix(parse_route(text), 4).flat)))

    def play(self, sound: Audio, *, wet: bool) -> Audio:
        made = []
        for start in range(0, sound.shape[1], BLOCK):
            made.append(self.callback.process(sound[:, start : start + BLOCK]))
            taken = self.shared.inputs.read(self.number)
            assert taken
            if wet:
                self.shared.outputs.write(self.number, -taken.sound)
            self.number += 1
        return np.concatenate(made, axis=1)


@pytest.fixture
def host() -> Iterator[Host]:
    host = Host()
    yield host
    assert host.shared.status["errors"] == 0
    host.shared.close()


@pytest.mark.parametrize("wet", [True, False], ids=["wet", "dry"])
@pytest.mark.parametrize(
    ("inputs", "outputs"), [("1,2", "1,2"), ("1,1", "3,4"), ("4,2", "2,2"), ("1+3,0", "1,2+3"), ("2,3", "0,0")]
)
def test_routes_hold_for_the_wet_and_the_dry_sound_at_the_same_latency(
    host: Host, inputs: str, outputs: str, wet: bool
) -> None:
    host.route(INPUTS, inputs)
    host.route(OUTPUTS, outputs)
    host.play(noise(4, 20 * BLOCK), wet=wet)
    sound = noise(4, 20 * BLOCK, 1)
    heard = host.play(sound, wet=wet)[:, BLOCK:]
    channels = routed(parse_route(inputs), sound[:, :-BLOCK]) * (-1 if wet else 1)
    truth = np.zeros((4, channels.shape[1]), np.float32)
    for sent, channel in zip(parse_route(outputs), channels, strict=True):
        for socket in sent:
            truth[socket - 1] += channel
    np.testing.assert_allclose(heard, truth, atol=1e-6)


def test_by_default_device_channels_are_the_chains_channels(host: Host) -> None:
    sound = noise(4, 10 * BLOCK)
    heard = host.play(sound, wet=False)
    np.testing.assert_array_equal(heard[:2, BLOCK:], sound[:2, :-BLOCK])
    assert not heard[2:].any()
    assert format_route(one_to_one(3)) == "1,2,3"


def test_another_audio_process_finds_the_routes_as_they_were(host: Host) -> None:
    host.route(OUTPUTS, "4,3")
    host.callback = AudioCallback(host.shared, make_wake(), 2)
    sound = noise(4, 10 * BLOCK)
    heard = host.play(sound, wet=False)
    np.testing.assert_array_equal(heard[[3, 2], BLOCK:], sound[:2, :-BLOCK])
    assert not heard[:2].any()
