"""OSC packets: values in, bytes out."""

from __future__ import annotations

from collections.abc import Iterable

from pythonosc.osc_message_builder import OscMessageBuilder

Plain = float | int | bool | str


def encode(address: str, arguments: Iterable[Plain] = ()) -> bytes:
    """Return the message to `address`: float as f, int as i, bool as T or F, str as s."""
    builder = OscMessageBuilder(address)
    for argument in arguments:
        builder.add_arg(argument, _tag(argument))
    return builder.build().dgram


def _tag(argument: Plain) -> str:
    if isinstance(argument, bool):
        return "T" if argument else "F"
    if isinstance(argument, str):
        return "s"
    return "i" if isinstance(argument, int) else "f"
