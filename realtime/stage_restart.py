"""A stage that is made again, from silence, when what it plays is not finite or absurdly loud.

One NaN in a recursive filter or in the state of a network stays there for ever. So the output of every stage is looked
at: from the first bad sample on, the stage is left out and its input passes instead, `REST_S` seconds later a new one,
made meanwhile in another thread, goes on. All of that happens at counts of samples, never at block limits or when a
thread happens to be ready, so any blocks still equal one pass and a recording still replays bit for bit.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.meters import BlockMeter
from gramophone.realtime.dsp.smoothing import Amount, Fade
from gramophone.realtime.stage import Audio, Format, Stage, StageError

LOUDEST = 1e6
"""+120 dBFS: above what any chain makes of an input of at most +48 dBFS."""
WHOLE = np.float32(1)
"""The share of a stage that plays as it should."""
REST_S = 0.5
"""How long the input passes after the first failure of a stage; twice as long after each further one, up to 64 s."""
_MOST_DOUBLINGS = 7
_FADE_MS = 10.0

Make = Callable[[Mapping[str, Value]], Stage]


class RestartingStage:
    """A stage made by `make` of `values`, and made again when it fails. One thread calls everything.

    `failures` counts how often that was. `is_whole`: it plays as it should; then its output is all of the sound.

    Raises:
        StageError: the stage cannot be made.
    """

    def __init__(self, make: Make, form: Format, values: Mapping[str, Value]) -> None:
        self.stage = make(values)
        self.delay = self.stage.delay
        self.failures = 0
        self._make, self._values, self._rate = make, dict(values), form.rate
        self._held = False
        self._taken_before = 0
        self._rest = 0
        self._unset: dict[str, Value] = {}
        self._maker: threading.Thread | None = None
        self._made: Stage | None = None
        self._trouble = ""
        self._quiet = 0
        self._share = Fade(1.0, round(_FADE_MS * form.rate / 1000))
        self.is_whole = True
        self._measure = BlockMeter().measure(loudest=LOUDEST)

    @property
    def status(self) -> str:
        """Why the stage has been left out of the sound, for people; empty while it plays."""
        if self._rest:
            return self._trouble or "played what is no sound; it is being made again, its input passes meanwhile"
        return self.stage.status

    @property
    def taken(self) -> int:
        """The number of the change that the stage has last taken over from the background, over all restarts."""
        return self._taken_before + (0 if self._rest else self.stage.taken)

    def set(self, key: str, value: Value) -> None:
        """Set the target of a parameter, from the next block on; in a stage that is being made, when it begins."""
        self._values[key] = value
        if self._rest:
            self._unset[key] = value
        else:
            self.stage.set(key, value)

    def hold(self) -> None:
        """From now on, take over nothing that was made ready in the background but what `take` names."""
        self._held = True
        self.stage.hold()

    def take(self, number: int) -> None:
        """Take over change `number` with the next block, waiting until it is ready.

        Raises:
            StageError: it was not asked for, or cannot be made.
        """
        self.stage.take(number - self._taken_before)

    def snapshot(self) -> Mapping[str, Value]:
        """Return the settings that make this stage again as it is, where its parameters are not enough."""
        return {} if self._rest else self.stage.snapshot()

    def process(self, block: Audio) -> tuple[Audio, Amount]:
        """Return the stage's output for `block`, `(channels, frames)`, and its share, 0 where the input is to pass.

        The share is `WHOLE` itself where that is one throughout.
        """
        if self.is_whole:
            output = self.stage.process(block)
            if self._is_sound(output):
                return output, WHOLE
            return self.process_failure(block, output)
        return self._in_parts(block, 0, [], [])

    def process_failure(self, block: Audio, output: Audio) -> tuple[Audio, Amount]:
        """Do the same where the stage was whole and has played the block already: `output`, which is no sound."""
        good = _first_bad(output)
        self._fail()
        shares = [np.ones(good, np.float32)]
        return self._in_parts(block, good, [output[:, :good]], shares)

    def close(self) -> None:
        """Free what the stage holds."""
        if self._maker:
            self._maker.join()
        (self._made or self.stage).close()

    def _is_sound(self, output: Audio) -> bool:
        return self._measure(output, output, 0) or _first_bad(output) == output.shape[1]  # not in plain order

    def _in_parts(self, block: Audio, start: int, parts: list[Audio], shares: list[Audio]) -> tuple[Audio, Amount]:
        """Go through `block` from `start` on, part by part: at rest, silent for its delay, fading in, playing."""
        frames = block.shape[1]
        while start < frames:
            if self._rest:
                size = min(self._rest, frames - start)
                parts.append(np.zeros((len(block), size), np.float32))
                shares.append(np.zeros(size, np.float32))
                self._rest -= 0 if self._trouble else size
                if not self._rest:
                    self._begin()
                start += size
                continue
            size = min(self._quiet or frames, frames - start)
            output = self.stage.process(block[:, start : start + size])
            good = size if self._is_sound(output) else _first_bad(output)
            parts.append(output[:, :good])
            if self._quiet:
                shares.append(np.zeros(good, np.float32))
                self._quiet -= good
            else:
                self._share.set(1.0)
                shares.append(np.array(np.broadcast_to(self._share.next(good), good)))
            start += good
            if good < size:
                self._fail()
        self.is_whole = not (self._rest or self._quiet or self._share.left)
        return np.concatenate(parts, axis=1), np.concatenate(shares)

    def _fail(self) -> None:
        """Leave the stage out, and have another made."""
        seconds = REST_S * 2 ** min(self.failures, _MOST_DOUBLINGS)
        self.failures += 1
        self._taken_before += self.stage.taken
        self._rest, self._quiet = round(seconds * self._rate), 0
        self.is_whole = False
        self._unset.clear()
        values = dict(self._values)
        self._maker = threading.Thread(target=self._remake, args=(self.stage, values), name="restart", daemon=True)
        self._maker.start()

    def _remake(self, old: Stage, values: Mapping[str, Value]) -> None:
        """In a thread of its own: make the stage again as it was, but from silence."""
        try:
            kept = {key: value for key, value in old.snapshot().items() if not _is_broken(value)}
            made = self._make({**values, **kept})
            if made.delay != self.delay:
                made.close()
                raise StageError(f"its latency was {self.delay} samples and is {made.delay} now")
            self._made = made
            old.close()
        except Exception as error:  # whatever it is, the sound goes on without this stage
            self._trouble = f"played what is no sound, and cannot be made again: {error}"

    def _begin(self) -> None:
        """Go on with the stage that was made; its sound fades in where the first of it comes out."""
        assert self._maker
        self._maker.join()
        self._maker = None
        if self._made is None:
            self._rest = 1  # for good: `_trouble` says why
            return
        self.stage, self._made = self._made, None
        if self._held:
            self.stage.hold()
        for key, value in self._unset.items():
            self.stage.set(key, value)
        self._quiet, self._share = self.delay, Fade(0.0, self._share.samples)


def _first_bad(sound: Audio) -> int:
    """Return the first frame at which a channel is not finite or too loud; the number of frames if none is."""
    bad = ~(np.abs(sound) <= LOUDEST).all(axis=0)
    return int(bad.argmax()) if bad.any() else sound.shape[1]


def _is_broken(value: Value) -> bool:
    return isinstance(value, float) and not math.isfinite(value)
