"""Loads a plug-in with pedalboard and reads its parameters. Used in the child process only.

Instances of one plug-in that together take any number of channels, in blocks of any size, at a constant latency.

Used in the child process only. pedalboard alone resets a plug-in when a block is longer than any before, takes a block
with fewer frames than channels for another layout, and holds back the first samples, as many as the plug-in reports as
its latency, where a stage must return one sample for each sample.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Callable, Sequence
from contextlib import suppress
from math import ceil
from typing import Any

import numpy as np

from gramophone.models.parameters import Curve, Parameter
from gramophone.realtime.stage import Audio
from gramophone.realtime.stages.plugins.description import Description, PluginParameter, Reading, knob_name

_MOST_CHOICES = 128
_FINEST_STEPS = 200
"""A parameter with more steps than this is smoothed."""

_SMOOTHING_MS = 20.0


def load(path: str, plugin_name: str, state: bytes) -> Any:
    """Return the plug-in in `path`, the one called `plugin_name` where there are several, in `state` where given.

    Raises:
        ImportError: it cannot be loaded. ValueError: it is ambiguous which is meant, or it is not an effect.
    """
    from pedalboard import _pedalboard

    plugin: Any = _pedalboard.load_plugin(path, plugin_name=plugin_name or None)
    if not plugin.is_effect:
        raise ValueError(f"{plugin.name} takes no sound in: it is an instrument, not an effect")
    _reset_instance(plugin)
    if state:
        plugin.raw_state = state
    return plugin


def describe(plugin: Any) -> Description:
    """Return a plug-in's description. Plays silence through it.

    Raises:
        ValueError: it takes neither mono nor stereo.
    """
    widths = tuple(width for width in (1, 2) if takes(plugin, width))
    if not widths:
        raise ValueError(f"{plugin.name} takes neither mono nor stereo sound")
    return Description(
        name=plugin.name,
        maker=plugin.manufacturer_name,
        version=plugin.version,
        category=plugin.category,
        latency_samples=plugin.reported_latency_samples,
        widths=widths,
        knobs=read_knobs(plugin),
    )


def takes(plugin: Any, width: int) -> bool:
    """Return whether a plug-in takes `width` channels at once."""
    try:
        plugin.process(np.zeros((width, 64), np.float32), 48000.0, reset=False)
    except ValueError:
        return False
    return True


def read_knobs(plugin: Any) -> tuple[PluginParameter, ...]:
    """Return the parameters of a plug-in that a host may automate; the others are meters and its window's own."""
    knobs: dict[str, PluginParameter] = {}
    for key, parameter in plugin.parameters.items():
        if parameter.is_automatable and len(parameter.valid_values) > 1:
            name = knob_name(parameter.name, parameter.index, knobs)
            knobs[name] = _knob(name, key, parameter, getattr(plugin, key))
    return tuple(knobs.values())


def converter(knob: PluginParameter, parameter: Any) -> Callable[[float], float]:
    """Return the function from a parameter's encoded value to the plug-in's normalised value, 0..1.

    It returns what pedalboard would, without its long search.
    """
    if knob.reading == "choice":
        normalised_values = [parameter.get_raw_value_for(choice) for choice in knob.parameter.choices]
        return lambda number: float(normalised_values[round(number)])
    if knob.reading != "value":
        return float
    spans = {value: span for span, value in parameter.ranges.items()}
    values = sorted(spans)

    def normalise(number: float) -> float:
        reported = float(parameter.get_raw_value_for_text(str(number)))
        low, high = spans[values[_nearest(values, number)]]
        return reported if low <= reported <= high else float(low)

    return normalise


def _reset_instance(plugin: Any) -> None:
    """Put a new instance in the plug-in's place.

    When pedalboard loads a plug-in, it plays random noise through it, to find out whether a reset would silence it.
    What it takes for silence can be the beginning of an echo, and the output would never be the same twice.
    """
    with suppress(AttributeError):  # private to pedalboard, and may change
        plugin._reload_type = type(plugin._reload_type).PersistsAudioOnReset
    plugin.reset()


def _knob(name: str, key: str, parameter: Any, shown: Any) -> PluginParameter:
    """Return the stage's parameter for a plug-in's parameter that shows the value `shown`."""
    reading = _reading(parameter)
    start = min(max(float(parameter.raw_value), 0.0), 1.0)
    steps = reading in ("switch", "choice") or parameter.num_steps <= _FINEST_STEPS
    smoothing_ms = 0.0 if steps else _SMOOTHING_MS
    description = str(parameter.name)
    if reading == "switch":
        own = Parameter(name, start >= 0.5, description, smoothing_ms=0.0)
    elif reading == "choice":
        choices = tuple(str(value) for value in parameter.valid_values)
        default = str(shown) if str(shown) in choices else choices[0]
        own = Parameter(name, default, description, smoothing_ms=0.0, choices=choices)
    elif reading == "position":
        own = Parameter(name, start, description, smoothing_ms=smoothing_ms)
    else:
        low, high = float(parameter.min_value), float(parameter.max_value)
        unit = str(parameter.label or "").strip()
        default_value = min(max(float(shown), low), high)
        own = Parameter(name, default_value, description, unit, (low, high), _curve(parameter, low, high), smoothing_ms)
    return PluginParameter(own, key, reading)


def _reading(parameter: Any) -> Reading:
    values = parameter.valid_values
    if parameter.type is bool or (parameter.num_steps == 2 and set(values) == {0.0, 1.0}):
        return "switch"
    if parameter.type is float:
        return "value" if math.isfinite(parameter.min_value) and math.isfinite(parameter.max_value) else "position"
    return "choice" if len(set(values)) == len(values) <= _MOST_CHOICES else "position"


def _curve(parameter: Any, low: float, high: float) -> Curve:
    """Return "log" if half-way on the parameter is nearer to the geometric mean of its range than to the arithmetic."""
    if low <= 0:
        return "linear"
    middle = next(float(value) for (start, stop), value in parameter.ranges.items() if start <= 0.5 < stop)
    return "log" if abs(middle - math.sqrt(low * high)) < abs(middle - (low + high) / 2) else "linear"


def _nearest(values: Sequence[float], number: float) -> int:
    after = bisect_left(values, number)
    around = [i for i in (after - 1, after) if 0 <= i < len(values)]
    return min(around, key=lambda i: abs(values[i] - number))


LONGEST = 1024
"""The longest block in samples that a plug-in is given; longer ones are cut."""

SILENCE_S = 1.0
"""Seconds of silence processed first: many plug-ins fade in or ramp to their values at their start."""


class ChannelInstances:
    """As many instances as the channels need: one for all channels, else one a pair, else one a channel.

    `load` makes an instance, `rate` is in Hz. A stereo plug-in gets a single channel on both inputs, and the mean of
    its outputs is returned. `delay` is the latency in samples that the plug-in reports.

    Raises:
        ValueError: the plug-in takes neither that many channels at once, nor two, nor one.
    """

    def __init__(self, load: Callable[[], Any], rate: int, channels: int) -> None:
        import pedalboard

        first = load()
        width = _width(first, channels)
        starts = range(0, channels, width)
        self.plugins = [first, *(load() for _ in starts[1:])]
        for plugin in self.plugins[1:]:
            takes(plugin, width)  # probed like the first one, so that all have the same state
        self._rate, self._channels, self._width = rate, channels, width
        self._padding = len(starts) * width - channels
        # the gain of 0 dB remembers the layout of the channels where a plug-in guesses it from the block's shape
        self._chains = [[pedalboard.Gain(0.0), plugin] for plugin in self.plugins]
        self.delay = 0

    def start(self) -> None:
        """Process silence, so that the plug-in is prepared for any block and settled on its values."""
        silence = np.zeros((self._channels, LONGEST), np.float32)
        for _ in range(ceil(SILENCE_S * self._rate / LONGEST)):
            self.process(silence)
        self.delay = int(self.plugins[0].reported_latency_samples)

    def process(self, block: Audio) -> Audio:
        """Return the output for `block`, both `(channels, frames)`, frames >= 1."""
        output = self._run(block)
        held_back = block.shape[1] - output.shape[1]
        return np.pad(output, ((0, 0), (held_back, 0))) if held_back else output

    def _run(self, block: Audio) -> Audio:
        import pedalboard

        if self._padding:
            block = np.concatenate((block, np.repeat(block[-1:], self._padding, axis=0)))
        groups = [block[start : start + self._width] for start in range(0, block.shape[0], self._width)]
        output = [
            pedalboard.process(group, self._rate, chain, LONGEST, False)
            for group, chain in zip(groups, self._chains, strict=True)
        ]
        joined = output[0] if len(output) == 1 else np.concatenate(output)
        if not self._padding:
            return joined
        last = self._channels - 1
        return np.concatenate((joined[:last], joined[last:].mean(axis=0, keepdims=True, dtype=np.float32)))


def _width(plugin: Any, channels: int) -> int:
    for width in (channels, 2, 1):
        if takes(plugin, width):
            return width
    raise ValueError(f"{plugin.name} takes neither {channels} channels at once, nor two, nor one")
