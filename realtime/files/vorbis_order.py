"""The order of loudspeakers: Vorbis and Opus number them otherwise than WAV (Vorbis I, 4.3.9; RFC 7845, 5.1.1.2)."""

from __future__ import annotations

import numpy as np

_TO_WAV = {
    3: [0, 2, 1],
    5: [0, 2, 1, 3, 4],
    6: [0, 2, 1, 5, 3, 4],
    7: [0, 2, 1, 6, 5, 3, 4],
    8: [0, 2, 1, 7, 5, 6, 3, 4],
}
"""For each of WAV's channels, by how many there are, the Vorbis channel."""


def to_wav(channels: int) -> list[int] | None:
    """Return which Vorbis channel each of WAV's channels is; None if the orders are the same."""
    return _TO_WAV.get(channels)


def from_wav(block: np.ndarray) -> np.ndarray:
    """Return `block`, `(channels, frames)` in WAV's order, in that of Vorbis."""
    order = _TO_WAV.get(block.shape[0])
    return block if order is None else block[np.argsort(order)]
