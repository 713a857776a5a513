"""What `gramophone play --audio` can be given on this machine."""

from __future__ import annotations

from dataclasses import dataclass

from gramophone.realtime.live.devices.backend import AudioError


@dataclass(frozen=True)
class Device:
    """A device: what `--audio` is given to play on it, its channels in and out and its rate in Hz."""

    audio: str
    name: str
    inputs: int
    outputs: int
    rate: int
    default: bool
    """Whether `--audio auto` takes it."""


def find_devices() -> tuple[list[Device], list[str]]:
    """Return what there is, and for each system of which nothing was found, why."""
    found: list[Device] = []
    missing: list[str] = []
    for look in (jack_devices, _portaudio):
        try:
            found += look(not found)
        except AudioError as error:
            missing.append(str(error))
    return found, missing


def jack_devices(first: bool) -> list[Device]:
    """Return the JACK server's device; `first` if `--audio auto` takes it.

    Raises:
        AudioError: JACK is not installed, or no server runs.
    """
    from gramophone.realtime.live.devices.jack import load_jack

    jack = load_jack()
    try:
        client = jack.Client("gramophone-devices", no_start_server=True)
    except jack.JackOpenError:
        raise AudioError("no JACK server runs (start one with jackd or qjackctl)") from None
    inputs = client.get_ports(is_audio=True, is_physical=True, is_output=True)
    outputs = client.get_ports(is_audio=True, is_physical=True, is_input=True)
    device = Device("jack", f"JACK, block {client.blocksize}", len(inputs), len(outputs), client.samplerate, first)
    client.close()
    return [device]


def _portaudio(first: bool) -> list[Device]:
    from gramophone.realtime.live.devices.portaudio import load_portaudio

    library = load_portaudio()
    found = library.query_devices()
    if not found:
        raise AudioError("PortAudio finds no device")
    return [
        Device(
            f"portaudio:{device['name']}",
            device["name"],
            device["max_input_channels"],
            device["max_output_channels"],
            int(device["default_samplerate"]),
            first and device["index"] in list(library.default.device),
        )
        for device in found
    ]
