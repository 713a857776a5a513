"""What a session plays on."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from gramophone.realtime.dsp.channel_matrix import Route
from gramophone.realtime.live.messages import AudioSettings
from gramophone.realtime.live.shared_state import BlockRing, SharedState


@dataclass(frozen=True)
class SessionSettings:
    """What to play on: see `open_backend` for `audio`.

    `channels` of the chain, 1 to 8. `block` in frames; None: the device's own. `spare` blocks, 0 to 16, are added to
    the one that the worker has, for machines that stall; None: as many as the chain that plays needs for its hops.
    `inputs` and `outputs` None connect each channel to the device's input and output of its number. `sockets`: how many
    inputs and outputs of the device are opened; None: as many as channels and routes need at the start. `orphaned_s`:
    for how many seconds the sound goes on without a controller, where it can be taken over. `rings`: those of a host's
    plug-in, input and output, which takes the place of the audio process.
    """

    audio: str = "auto"
    channels: int = 2
    block: int | None = None
    spare: int | None = None
    device: str = "auto"
    recorded: bool = False
    inputs: Route | None = None
    outputs: Route | None = None
    sockets: int | None = None
    orphaned_s: float = 600.0
    rings: tuple[BlockRing, BlockRing] | None = None

    @property
    def opened(self) -> int:
        """How many inputs and outputs of the device are opened."""
        named = [socket for route in (self.inputs, self.outputs) for channel in route or () for socket in channel]
        return max(self.channels, self.sockets or 0, *named)

    @property
    def device_text(self) -> str:
        """The device and how it is opened, for comparison: a session on the same one can be taken over."""
        return repr(replace(self, recorded=False, inputs=None, outputs=None, orphaned_s=0.0))

    def audio_settings(self, home: Path | None) -> AudioSettings:
        """Return what the audio process needs to know; `home` is where it can be taken over."""
        opened = AudioSettings(self.audio, self.opened, self.channels, self.block, self.spare)
        return replace(opened, home=home, patience_s=self.orphaned_s)

    def new_shared(self) -> SharedState:
        """Return shared memory for a new session."""
        return SharedState.new(self.channels, self.opened, recorded=self.recorded, rings=self.rings)
