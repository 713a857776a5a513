"""The sampler: voices of a WaveNet, drawn chunk by chunk; a seed gives the same samples for any chunk sizes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.wavenet.engines import Model, SamplerEngine, WaveNetParts, engine_for, parts_of


class SamplerError(ValueError):
    """The arguments do not fit the model; the message says what was expected."""


class Sampler:
    """Some voices of a model, starting from silence.

    Voice `v` draws from a random stream of its own (Philox, Salmon et al. 2011, keyed by seed and voice), a fixed
    number of uniform numbers a sample: its samples do not depend on the chunks or on the other voices.

    Raises:
        SamplerError: there are no voices.
    """

    def __init__(
        self,
        model: Model,
        voices: int = 1,
        seed: int = 0,
        device: str = "cpu",
        engine: type[SamplerEngine] | None = None,
    ) -> None:
        if voices < 1:
            raise SamplerError(f"{voices} voices: expected at least 1")
        self.engine = engine(model, voices) if engine else engine_for(model, voices, device)
        self._voices = voices
        parts = model if isinstance(model, WaveNetParts) else parts_of(model)
        self._condition, self._uniforms, self._levels = parts.condition, parts.uniforms, parts.levels
        self.seed(seed)

    def seed(self, seed: int) -> None:
        """Restart the voices' random streams; their state stays."""
        streams = (np.random.Philox(key=[seed, voice]) for voice in range(self._voices))
        self._streams = [np.random.Generator(stream) for stream in streams]

    def generate(
        self, samples: int, conditions: Floats | None = None, temperature: float = 1.0, nucleus: float = 1.0
    ) -> Floats:
        """Return the next samples of sound, `(voices, samples)`.

        `conditions` `(voices, condition, n)`, with `samples` a multiple of `n`, or `(1, condition, n)` for all voices
        alike. `temperature` below 1 makes the likely likelier; `nucleus` (0 to 1) is the probability mass that is drawn
        from (`models/nets/output_distributions.py`).

        Raises:
            SamplerError: the conditions do not fit the model or the number of samples.
        """
        frames = self._frames(conditions, samples)
        if not samples:
            return np.zeros((self._voices, 0), np.float32)
        drawn = [stream.random((1, samples, self._uniforms)) for stream in self._streams]
        uniforms = np.concatenate(drawn) if len(drawn) > 1 else drawn[0]
        symbols = self.engine.generate(frames, uniforms, temperature, nucleus)
        return self._levels[symbols.astype(np.intp)] if len(self._levels) else symbols

    def predict(self, symbols: NDArray[np.float32 | np.int64], conditions: Floats | None = None) -> Floats:
        """Return the model's prediction after each of the next symbols, `(voices, T)`: `(voices, width, T)`.

        The given symbols take the place of drawn ones (teacher forcing).

        Raises:
            SamplerError: as `generate`.
        """
        given = np.ascontiguousarray(symbols, np.float32)
        return self.engine.predict(self._frames(conditions, given.shape[1]), given).transpose(0, 2, 1)

    def _frames(self, conditions: Floats | None, samples: int) -> Floats:
        """Return conditions frame by frame, `(voices, n, condition)`."""
        given = np.zeros((1, 0, 1), np.float32) if conditions is None else conditions
        batch, channels, frames = given.shape
        if channels != self._condition or batch not in (1, self._voices) or not frames or samples % frames:
            raise SamplerError(
                f"conditions {given.shape} for {samples} samples: expected (1 or {self._voices}, {self._condition}, n) "
                "with n a divisor of the samples"
            )
        alike = given if batch == self._voices else np.broadcast_to(given, (self._voices, channels, frames))
        # Copied in any case: to numba a read-only array is another type, for which it would compile again.
        return np.array(alike.transpose(0, 2, 1), np.float32, order="C")
