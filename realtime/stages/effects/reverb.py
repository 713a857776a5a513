"""The reverb: Jezar's Freeverb as JUCE has it, eight combs with a low pass in each, then four all-passes, a channel.

What leaves a comb now went in over a thousand samples ago, so the combs do not wait for each other: four at a time go
through a chunk, and the all-passes, of over two hundred samples at 44.1 kHz, are vectors in time.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gramophone.realtime.kernels.arrays import Floats, zeros
from gramophone.realtime.kernels.bound import contents
from gramophone.realtime.stage import Format
from gramophone.realtime.stages.effects.kernel import EffectKernel, exact, inner

_F = np.float32
_COMBS, _ALL_PASSES, _SPREAD, _AT_RATE = (
    np.array([1116, 1188, 1277, 1356, 1422, 1491, 1557, 1617]),
    np.array([556, 441, 341, 225]),
    23,
    44_100,
)
"""Delays in samples, by how much the right channel's are longer, and at which rate."""
_CHUNK = 256
_INPUT_GAIN, _WET_SCALE, _DRY_SCALE = _F(0.015), _F(3), _F(2)
_ROOM_SCALE, _ROOM_LEAST, _DAMPING_SCALE = _F(0.28), _F(0.7), _F(0.4)
_DAMPING, _FEEDBACK, _DRY, _WET, _CROSS, _MOVING = range(6)
"""What moves over 10 ms where a value is set: how much a comb's low pass and a comb keep, the gain of the sound, of the
room on its own side, and on the other. How many these are."""
_NOW, _TARGET, _STEP, _LEFT, _FIELDS = range(5)
"""Of what moves: its value, where to, by how much a sample, and samples left. How many these are."""
_SMOOTHING_S = 0.01


@inner
def _rounded(x: Any) -> Any:
    """Return a sample as JUCE rounds it in order that none become too small for the processor."""
    return (x + _F(0.1)) - _F(0.1)


@inner
def _move(move: Floats, gains: Floats) -> None:
    """Write the next values of what moves to `gains`."""
    for i in range(len(gains)):
        if move[_LEFT] > 0:
            move[_LEFT] -= _F(1)
            move[_NOW] = move[_NOW] + move[_STEP] if move[_LEFT] > 0 else move[_TARGET]
        gains[i] = move[_NOW]


@inner
def _comb(lines: Floats, sizes: Any, lows: Floats, at: int, sent: Floats, gains: Floats, out: Floats) -> None:
    """Pass `sent` through four combs, whose lines are written at sample `at`; add what they return to `out`."""
    mask, frames = lines.shape[1] - 1, len(sent)
    done = 0
    while done < frames:
        write = (at + done) & mask
        r0, r1 = (at + done - sizes[0]) & mask, (at + done - sizes[1]) & mask
        r2, r3 = (at + done - sizes[2]) & mask, (at + done - sizes[3]) & mask
        run = min(frames - done, mask + 1 - max(write, r0, r1, r2, r3))
        a0, a1 = lines[0, r0 : r0 + run], lines[1, r1 : r1 + run]
        a2, a3 = lines[2, r2 : r2 + run], lines[3, r3 : r3 + run]
        w0, w1 = lines[0, write : write + run], lines[1, write : write + run]
        w2, w3 = lines[2, write : write + run], lines[3, write : write + run]
        x, y = sent[done : done + run], out[done : done + run]
        damping, feedback = gains[_DAMPING, done : done + run], gains[_FEEDBACK, done : done + run]
        l0, l1, l2, l3 = lows[0], lows[1], lows[2], lows[3]
        for i in range(run):
            keep, back = damping[i], feedback[i]
            new = _F(1) - keep
            o0, o1, o2, o3 = a0[i], a1[i], a2[i], a3[i]
            y[i] = y[i] + o0 + o1 + o2 + o3
            l0, l1 = _rounded(o0 * new + l0 * keep), _rounded(o1 * new + l1 * keep)
            l2, l3 = _rounded(o2 * new + l2 * keep), _rounded(o3 * new + l3 * keep)
            w0[i], w1[i] = _rounded(x[i] + l0 * back), _rounded(x[i] + l1 * back)
            w2[i], w3[i] = _rounded(x[i] + l2 * back), _rounded(x[i] + l3 * back)
        lows[0], lows[1], lows[2], lows[3] = l0, l1, l2, l3
        done += run


@inner
def _all_pass(line: Floats, size: int, at: int, sound: Floats) -> None:
    """Pass `sound` through an all-pass in place; its line is written at sample `at`."""
    mask, frames = len(line) - 1, len(sound)
    done = 0
    while done < frames:
        write, read = (at + done) & mask, (at + done - size) & mask
        run = min(frames - done, mask + 1 - max(write, read), size)
        late, new, x = line[read : read + run], line[write : write + run], sound[done : done + run]
        for i in range(run):
            echo = late[i]
            new[i] = _rounded(x[i] + echo * _F(0.5))
            x[i] = echo - x[i]
        done += run


@inner
def _send(block: Floats, gain: Any, sent: Floats) -> None:
    """Write the sum of one or two channels, times a gain."""
    first, last = block[0], block[len(block) - 1]
    for i in range(len(sent)):
        sent[i] = (first[i] + last[i] if len(block) == 2 else first[i]) * gain


@inner
def _mix(block: Floats, rooms: Floats, gains: Floats, output: Floats) -> None:
    """Mix one or two channels and what their rooms return."""
    dry, wet, cross = gains[_DRY], gains[_WET], gains[_CROSS]
    for channel in range(len(block)):
        own, other = rooms[channel], rooms[len(block) - 1 - channel]
        x, y = block[channel], output[channel]
        if len(block) == 2:
            for i in range(len(x)):
                y[i] = own[i] * wet[i] + other[i] * cross[i] + x[i] * dry[i]
        else:
            for i in range(len(x)):
                y[i] = own[i] * wet[i] + x[i] * dry[i]


@exact
def _reverb(bound: Any, block: Floats, output: Floats) -> None:
    moves, gain, sizes, combs, all_passes, lows, place, gains, rooms, sent = contents(bound)
    start, frames = 0, block.shape[1]
    while start < frames:
        size = min(_CHUNK, frames - start)
        for number in range(_MOVING):
            _move(moves[number], gains[number, :size])
        for pair in range(0, len(block), 2):
            x, y = block[pair : pair + 2, start : start + size], output[pair : pair + 2, start : start + size]
            _send(x, gain[0], sent[:size])
            for channel in range(len(x)):
                room, side = rooms[channel, :size], pair + channel
                for i in range(size):
                    room[i] = _F(0)
                for at in range(0, 8, 4):
                    own, first = sizes[channel, at:], 8 * side + at
                    _comb(combs[first : first + 4], own, lows[first : first + 4], place[0], sent[:size], gains, room)
                for number in range(4):
                    _all_pass(all_passes[4 * side + number], sizes[channel, 8 + number], place[0], room)
            _mix(x, rooms, gains, y)
        place[0] += size
        start += size


class Reverb(EffectKernel):
    """pedalboard's Reverb, one for each pair of channels. It moves to values that are set within 10 ms by itself."""

    kernel = staticmethod(_reverb)

    def make_parts(self, form: Format) -> tuple[tuple[Any, ...], tuple[Any, ...]]:
        """Return what moves, the gain of what goes in, the lines and what goes between them."""
        delays = np.concatenate((_COMBS, _ALL_PASSES)) + np.array([[0], [_SPREAD]])
        sizes = form.rate * delays // _AT_RATE
        self._moves, self._gain, self._begun = zeros(_MOVING, _FIELDS), zeros(1), False
        combs, all_passes = (
            zeros(len(own[0]) * form.channels, 1 << int(own.max()).bit_length())
            for own in (sizes[:, : len(_COMBS)], sizes[:, len(_COMBS) :])
        )
        lows, place = zeros(len(combs)), np.zeros(1, np.int64)
        between = zeros(_MOVING, _CHUNK), zeros(2, _CHUNK), zeros(_CHUNK)
        parts = (self._moves, self._gain, sizes, combs, all_passes, lows, place, *between)
        return parts, (combs, all_passes, lows, place, self._moves)

    def update(self) -> None:
        """Compute where it moves to."""
        room, damping, width, wet, dry = (self.number(name) for name in ("room", "damping", "width", "wet", "dry"))
        is_frozen = self.number("freeze") >= _F(0.5)
        wet, one = wet * _WET_SCALE, _F(1)
        targets = np.array(
            [
                _F(0) if is_frozen else damping * _DAMPING_SCALE,
                one if is_frozen else room * _ROOM_SCALE + _ROOM_LEAST,
                dry * _DRY_SCALE,
                _F(0.5) * wet * (one + width),
                _F(0.5) * wet * (one - width),
            ],
            np.float32,
        )
        self._gain[0] = 0 if is_frozen else _INPUT_GAIN
        samples = _F(int(_SMOOTHING_S * self._form.rate))
        changed = targets != self._moves[:, _TARGET] if self._begun else np.zeros(_MOVING, bool)
        if not self._begun:
            self._moves[:, _NOW] = targets
        self._begun = True
        self._moves[:, _TARGET] = targets
        self._moves[changed, _LEFT] = samples
        self._moves[changed, _STEP] = (targets - self._moves[:, _NOW])[changed] / samples
