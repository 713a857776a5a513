"""What follows `--audio osc:`, word by word: where to listen, which peers are allowed, and where the results go.

osc:9002,jitter=3,to=127.0.0.1:9003,host=0.0.0.0,allow=192.168.1.0/24
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gramophone.realtime.live.devices.backend import AudioError

PORT = 9002
_JITTER = 2
_MOST_JITTER = 64
_LAST_PORT = 65_535
_EXPECTED = "osc[:PORT][,jitter=BLOCKS][,to=HOST:PORT][,host=ADDRESS][,allow=PEER]"


@dataclass(frozen=True)
class OscAudioChoice:
    """The UDP port (0: any free one) and address to listen on, and the peers allowed beyond this machine.

    `jitter`: blocks held back to wait for late ones. `to`: where results go; None: to the sender.
    """

    port: int = PORT
    host: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    jitter: int = _JITTER
    to: tuple[str, int] | None = None


def parse_choice(text: str) -> OscAudioChoice:
    """Return what `text`, which followed `osc:`, asks for.

    Raises:
        AudioError: it cannot be understood.
    """
    port, *words = text.split(",")
    found: dict[str, list[str]] = {"jitter": [], "to": [], "host": [], "allow": []}
    for word in words:
        key, equals, value = word.partition("=")
        if key not in found or not equals:
            raise AudioError(f"audio osc: {word!r}: expected {_EXPECTED}")
        found[key].append(value)
    return OscAudioChoice(
        _number(port, _LAST_PORT) if port else PORT,
        found["host"][-1] if found["host"] else OscAudioChoice.host,
        tuple(found["allow"]),
        _number(found["jitter"][-1], _MOST_JITTER) if found["jitter"] else _JITTER,
        _peer(found["to"][-1]) if found["to"] else None,
    )


def reachable(choice: str, host: str, allow: Iterable[str]) -> str:
    """Return `choice`, `osc` with or without what follows it, with where to listen and the peers allowed."""
    kind, _, words = choice.partition(":")
    return f"{kind}:{','.join((words, f'host={host}', *(f'allow={peer}' for peer in allow)))}"


def _number(text: str, largest: int) -> int:
    if not text.isdecimal() or int(text) > largest:
        raise AudioError(f"audio osc: {text!r}: expected a number from 0 to {largest} ({_EXPECTED})")
    return int(text)


def _peer(text: str) -> tuple[str, int]:
    host, colon, port = text.rpartition(":")
    if not colon or not host:
        raise AudioError(f"audio osc: to={text}: expected HOST:PORT")
    return host.strip("[]"), _number(port, _LAST_PORT)
