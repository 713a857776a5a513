"""Short-time spectra that stream, and the overlap-add that turns them back into sound.

Analysis and synthesis windows may differ in length, as in Mauler and Martin, "A low delay, variable
resolution, perfect reconstruction spectral analysis-synthesis system for speech enhancement", EUSIPCO 2007: a
long analysis window resolves the bass, a short synthesis window that ends at the same sample keeps the
latency low.
"""

from __future__ import annotations

import torch
from torch import Tensor

from gramophone.models.layers.streaming import State, Streaming


def low_delay_windows(analysis: int, synthesis: int, hop: int) -> tuple[Tensor, Tensor]:
    """Return an analysis window `(analysis,)` and a synthesis window `(synthesis,)` that reconstruct exactly.

    The analysis window rises over all but the last half synthesis window and falls over that. Where both
    overlap (they end together) their product is a Hann window. Equal lengths give the root-Hann pair. Lengths
    in samples.

    Raises:
        ValueError: hops do not tile half the synthesis window, or that is longer than the analysis window.
    """
    fall = synthesis // 2
    if hop < 1 or fall < 1 or synthesis % 2 or fall % hop or synthesis > analysis:
        raise ValueError(
            f"windows {analysis} and {synthesis}, hop {hop}: expected a synthesis window of an even "
            "number of hops, no longer than the analysis window"
        )
    rise = analysis - fall
    long = torch.hann_window(2 * rise, dtype=torch.float64).sqrt()
    product = torch.hann_window(synthesis, dtype=torch.float64)
    window = torch.cat([long[:rise], product[fall:].sqrt()])
    overlap = window[-synthesis:]
    # Only at the very start of equal windows are both zero. Hann windows half a length apart sum to one;
    # closer hops sum to as many as there are.
    dual = torch.where(overlap > 0, product / overlap.clamp_min(1e-12), 0) * (hop / fall)
    return window.float(), dual.float()


class STFT(Streaming):
    """Spectra of windowed frames: `(B, C, T)` -> complex `(B, C, T / hop, N // 2 + 1)` for a window `(N,)`.

    Frame `m` ends with sample `(m + 1) * hop - 1`, the newest there is. Its phase counts from the frame's
    first sample.

    Raises:
        ValueError: the hop is longer than the window.
    """

    window: Tensor

    def __init__(self, window: Tensor, hop: int) -> None:
        super().__init__()
        if not 0 < hop <= len(window):
            raise ValueError(f"hop {hop}: expected 1 to the window's length {len(window)}")
        self.register_buffer("window", window, persistent=False)
        self.hop = hop
        self.length = len(window)

    def initial_state(self, x: Tensor) -> State:
        """Zeros for the part of a frame that came before its hop, `(B, C, N - hop)`."""
        return (x.new_zeros(*x.shape[:2], self.length - self.hop),)

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Transform the frames that end within one chunk."""
        if not x.shape[2]:
            return x.new_zeros(*x.shape[:2], 0, self.length // 2 + 1, dtype=x.dtype.to_complex()), state
        known = torch.cat([state[0], x], 2)
        spectra = torch.fft.rfft(known.unfold(2, self.length, self.hop) * self.window)
        return spectra, (known[:, :, x.shape[2] :].clone(memory_format=torch.contiguous_format),)


class OverlapAdd(Streaming):
    """Sound from spectra: complex `(B, C, n, N // 2 + 1)` -> `(B, C, n * hop)`, by a window `(M,)`, `M <= N`.

    The window lies over the last `M` samples of each frame. Behind an `STFT` of the same hop the delay is `M
    - hop`.

    Raises:
        ValueError: the synthesis window is no whole number of hops, or longer than a frame.
    """

    window: Tensor

    def __init__(self, window: Tensor, hop: int, length: int) -> None:
        super().__init__()
        span = len(window)
        if hop < 1 or span % hop or not 0 < span <= length:
            raise ValueError(f"synthesis window {span}, hop {hop}: expected whole hops, {length} samples at most")
        self.register_buffer("window", window, persistent=False)
        self.up = hop
        self.length = length
        self.delay = span - hop

    def initial_state(self, x: Tensor) -> State:
        """Zeros for what the frames so far will add to the hops to come, `(B, C, M / hop - 1, hop)`."""
        pending = x.new_zeros(*x.shape[:2], self.delay // self.up, self.up, dtype=self.window.dtype)
        return (pending,) if self.delay else ()

    def step(self, x: Tensor, state: State, *controls: Tensor) -> tuple[Tensor, State]:
        """Add up the frames of one chunk."""
        batch, channels, frames, _ = x.shape
        if not frames:
            return x.new_zeros(batch, channels, 0, dtype=self.window.dtype), state
        span = len(self.window)
        sound = torch.fft.irfft(x, self.length)[..., -span:] * self.window
        pieces = sound.reshape(batch, channels, frames, span // self.up, self.up)
        # Piece j of frame m belongs to hop m + j; the hops that later frames still add to are the state.
        hops = torch.cat([*state, pieces.new_zeros(batch, channels, frames, self.up)], 2)
        if frames == 1:  # as live: it lies over all of its hops at once
            hops = hops + pieces[:, :, 0]
        else:
            for j in range(span // self.up):
                hops[:, :, j : j + frames] += pieces[:, :, :, j]
        y = hops[:, :, :frames].reshape(batch, channels, frames * self.up)
        return y, ((hops[:, :, frames:].clone(memory_format=torch.contiguous_format),) if state else ())
