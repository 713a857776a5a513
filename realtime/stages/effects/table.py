"""The built-in effects as data: their names, their parameters, and what these set in pedalboard.

To add an effect, add a row to `EFFECTS`. pedalboard is imported only when a stage is made.

The form of a row of the effect table.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gramophone.models.parameters import Curve, Parameter, Value
from gramophone.realtime.stage import Audio, StageError

Convert = Callable[[Any, int], object]
"""A conversion from a parameter's value and the sample rate in Hz to the value of the pedalboard attribute."""


def unchanged(value: Value, rate: int) -> object:
    """Return the value unchanged: the conversion of most parameters."""
    return value


@dataclass(frozen=True)
class EffectParameter:
    """A parameter, and the attribute (and constructor argument) of the pedalboard class that it sets.

    `direct`: the class itself smooths a change, so the value is set at once.
    """

    parameter: Parameter
    attribute: str
    convert: Convert = unchanged
    direct: bool = False


@dataclass(frozen=True)
class EffectSpec:
    """One row: the class that computes the effect, its parameters, and what it needs in order to stream.

    `plugin`: a class of pedalboard, or `Echo` for our own delay. `change`: how parameters that are not direct change:
    by a fade between two instances that both process the input ("twin"); to a new instance, where setting the value
    would reset pedalboard ("new"); or to one made in the background, where that reads a file ("load"). `memory`: how
    long past input matters: "long" (envelopes, sweeps: the twin processes everything), "short" (filters: the twin
    starts from silence, as a step of the coefficients with sound inside can make it ten times as loud), "none".
    `width`: most channels that one instance takes; more are shared out over several instances. `longest_block`: longer
    blocks are cut. `hop`: the only block size that it is fed, in samples; 1: any. `slack`: samples by which its latency
    can still grow after the first silence, from its values and the rate in Hz. `slowest`: the values with the longest
    latency, which then holds for all values. `makeup_db`: gain applied after it. `constants`: further constructor
    arguments, from the rate in Hz. `passes_db`: of an effect that turns sounds down, the gain in dB of those that it
    does not, from its values; None for other effects.
    """

    plugin: str
    description: str
    knobs: tuple[EffectParameter, ...] = ()
    change: Literal["twin", "new", "load"] = "twin"
    memory: Literal["long", "short", "none"] = "long"
    width: int = 64
    longest_block: int = 8192
    hop: int = 1
    slack: Callable[[Mapping[str, Any], int], int] = lambda values, rate: 0
    slowest: Mapping[str, Value] = field(default_factory=dict)
    makeup_db: float = 0.0
    constants: Callable[[int], dict[str, object]] = lambda rate: {}
    passes_db: Callable[[Mapping[str, Any]], float] | None = None

    @property
    def parameters(self) -> tuple[Parameter, ...]:
        """The effect's part of the parameter table."""
        return tuple(knob.parameter for knob in self.knobs)


_LONGEST_IMPULSE_S = 5.0
"""Longer impulse responses would take more than a fifth of the time there is (256 frames at 48 kHz, one core)."""


def _below_nyquist(hz: float, rate: int) -> float:
    """Limit a frequency in Hz to where a filter's poles stay inside the unit circle."""
    return min(hz, 0.45 * rate)


def _number(switch: bool, rate: int) -> float:
    return float(switch)


def _ladder_mode(name: str, rate: int) -> object:
    import pedalboard

    kind, slope = name.split("-")
    return getattr(pedalboard.LadderFilter.Mode, {"low": "LPF", "high": "HPF", "band": "BPF"}[kind] + slope)


def _resample_rate(hz: str, rate: int) -> float:
    return min(float(hz), float(rate))


def _resample_quality(aliasing: bool, rate: int) -> object:
    import pedalboard

    quality = pedalboard.Resample.Quality
    return quality.ZeroOrderHold if aliasing else quality.WindowedSinc8


def _resample_slack(values: Mapping[str, Any], rate: int) -> int:
    """Return one sample period of the lower rate: rounding its position can shift the count by so much."""
    return math.ceil(rate / _resample_rate(values["rate"], rate)) + 1


def _read_impulse(file: str, rate: int) -> Audio:
    """Return an impulse response `(1 or 2, frames)` at `rate` Hz; no file name stands for a unit impulse.

    Raises:
        StageError: the file cannot be read to its end, is silent, not finite or longer than `_LONGEST_IMPULSE_S`.
    """
    if not file:
        return np.ones((1, 1), np.float32)
    import soxr

    from gramophone.realtime.files import AudioReader, SoundFileError

    try:
        with AudioReader(Path(file)) as reader:
            own_rate, seconds = reader.rate, reader.frames / reader.rate
            samples = reader.read(int(_LONGEST_IMPULSE_S * own_rate) + 1)
    except SoundFileError as error:
        raise StageError(f"impulse {error}") from None
    if seconds > _LONGEST_IMPULSE_S:
        raise StageError(f"impulse {file}: {seconds:.1f} s long, expected at most {_LONGEST_IMPULSE_S:g} s")
    if not np.isfinite(samples).all() or not samples.any():
        raise StageError(f"impulse {file}: expected finite samples that are not all zero")
    at_rate = soxr.resample(samples[:2].T, own_rate, rate)
    return np.ascontiguousarray(at_rate.T, dtype=np.float32)


def _knob(
    name: str,
    attribute: str,
    default: float,
    bounds: tuple[float, float],
    description: str,
    unit: str = "",
    curve: Curve = "linear",
    *,
    smoothing_ms: float = 20.0,
    convert: Convert = unchanged,
    direct: bool = False,
) -> EffectParameter:
    parameter = Parameter(name, default, description, unit, bounds, curve, smoothing_ms)
    return EffectParameter(parameter, attribute, convert, direct)


def _attack(default: float) -> EffectParameter:
    return _knob("attack", "attack_ms", default, (0.1, 200), "time until it acts fully", "ms", "log")


def _release(default: float) -> EffectParameter:
    return _knob("release", "release_ms", default, (5, 2000), "time until it stops acting", "ms", "log")


def _frequency(default: float, description: str, attribute: str = "cutoff_frequency_hz") -> EffectParameter:
    bounds = (20.0, 20000.0)
    return _knob("frequency", attribute, default, bounds, description, "Hz", "log", convert=_below_nyquist)


def _equaliser(frequency: float, description: str) -> tuple[EffectParameter, ...]:
    return (
        _frequency(frequency, description),
        _knob("gain", "gain_db", 0.0, (-24, 24), "how much is added or taken away", "dB"),
        _knob("q", "q", 0.7071, (0.1, 10), "how narrow, or how steep", curve="log"),
    )


_RATE = _knob("rate", "rate_hz", 1.0, (0.01, 20), "sweeps per second", "Hz", "log", direct=True)
_DEPTH = _knob("depth", "depth", 0.25, (0, 1), "how far it sweeps", direct=True)
_SWEEP_FEEDBACK = _knob("feedback", "feedback", 0.0, (-0.9, 0.9), "how sharply it rings", direct=True)
_SWEEP_WET = _knob("wet", "mix", 0.5, (0, 1), "share of the swept sound", direct=True)

EFFECTS: Mapping[str, EffectSpec] = {
    "gain": EffectSpec(
        "Gain", "louder or softer", (_knob("gain", "gain_db", 0.0, (-60, 24), "how much", "dB"),), memory="none"
    ),
    "invert": EffectSpec("Invert", "turns the wave upside down", memory="none"),
    "compressor": EffectSpec(
        "Compressor",
        "evens out loud and soft",
        (
            _knob("threshold", "threshold_db", -20.0, (-60, 0), "level above which it acts", "dB"),
            _knob("ratio", "ratio", 4.0, (1, 20), "dB in for one dB out, above the threshold", curve="log"),
            _attack(5.0),
            _release(100.0),
        ),
        passes_db=lambda values: 0.0,
    ),
    "limiter": EffectSpec(
        "Limiter",
        "dense and loud: pushes what lies at the threshold up to full scale",
        (
            _knob("threshold", "threshold_db", -10.0, (-40, 0), "level that becomes full scale", "dB"),
            _release(100.0),
        ),
        passes_db=lambda values: 3.75 - float(values["threshold"]),  # of JUCE's
    ),
    "brickwall": EffectSpec(
        "BrickwallLimiter",
        "lets no peak above the ceiling, by looking 5 ms ahead",
        (_knob("ceiling", "ceiling_db", -1.0, (-24, 0), "highest level let out", "dB"), _release(100.0)),
        passes_db=lambda values: 0.0,
    ),
    "noise-gate": EffectSpec(
        "NoiseGate",
        "shuts when the sound falls below the threshold",
        (
            _knob("threshold", "threshold_db", -50.0, (-90, 0), "level below which it shuts", "dB"),
            _knob("ratio", "ratio", 10.0, (1, 20), "how far it shuts", curve="log"),
            _attack(1.0),
            _release(100.0),
        ),
        passes_db=lambda values: 0.0,
    ),
    "reverb": EffectSpec(
        "Reverb",
        "a room around the sound, for each pair of channels",
        (
            _knob("room", "room_size", 0.5, (0, 1), "size of the room", direct=True),
            _knob("damping", "damping", 0.5, (0, 1), "how fast high notes die away", direct=True),
            _knob("wet", "wet_level", 0.33, (0, 1), "level of the room", direct=True),
            _knob("dry", "dry_level", 0.4, (0, 1), "level of the sound itself", direct=True),
            _knob("width", "width", 1.0, (0, 1), "from mono to wide", direct=True),
            EffectParameter(Parameter("freeze", False, "holds the room for ever"), "freeze_mode", _number, direct=True),
        ),
        width=2,
    ),
    "delay": EffectSpec(
        "Echo",
        "echoes",
        (
            _knob(
                "time",
                "time",
                300.0,
                (1, 2000),
                "from one echo to the next",
                "ms",
                "log",
                smoothing_ms=40.0,
                direct=True,
            ),
            _knob("feedback", "feedback", 0.3, (0, 0.95), "how much each echo leaves to the next", direct=True),
            _knob("wet", "wet", 0.35, (0, 1), "share of the echoes", direct=True),
        ),
    ),
    "chorus": EffectSpec(
        "Chorus",
        "several at once, slightly apart",
        (
            _RATE,
            _DEPTH,
            _knob("centre", "centre_delay_ms", 7.0, (1, 50), "how far apart", "ms", "log"),
            _SWEEP_FEEDBACK,
            _SWEEP_WET,
        ),
    ),
    "phaser": EffectSpec(
        "Phaser",
        "notches that sweep through the sound",
        (
            _RATE,
            _DEPTH,
            _knob(
                "centre",
                "centre_frequency_hz",
                1300.0,
                (50, 10000),
                "where the notches are",
                "Hz",
                "log",
                convert=_below_nyquist,
            ),
            _SWEEP_FEEDBACK,
            _SWEEP_WET,
        ),
    ),
    "distortion": EffectSpec(
        "Distortion",
        "drives a soft (tanh) clipper",
        (_knob("drive", "drive_db", 20.0, (0, 60), "level into the clipper", "dB"),),
        memory="none",
    ),
    "clipping": EffectSpec(
        "Clipping",
        "cuts off the peaks",
        (_knob("threshold", "threshold_db", -6.0, (-60, 0), "level at which they are cut", "dB"),),
        memory="none",
    ),
    "bitcrush": EffectSpec(
        "Bitcrush",
        "rounds samples to few bits",
        (_knob("bits", "bit_depth", 8.0, (1, 24), "bits kept", "bits"),),
        memory="none",
    ),
    "highpass": EffectSpec(
        "HighpassFilter", "takes away the low, 6 dB per octave", (_frequency(80.0, "where it starts"),)
    ),
    "lowpass": EffectSpec(
        "LowpassFilter",
        "takes away the high, 6 dB per octave",
        (_frequency(8000.0, "where it starts"),),
        memory="short",
    ),
    "lowshelf": EffectSpec("LowShelfFilter", "bass", _equaliser(200.0, "below which it acts"), memory="short"),
    "peak": EffectSpec(
        "PeakFilter", "one band of an equaliser", _equaliser(1000.0, "around which it acts"), memory="short"
    ),
    "highshelf": EffectSpec("HighShelfFilter", "treble", _equaliser(5000.0, "above which it acts"), memory="short"),
    "ladder": EffectSpec(
        "LadderFilter",
        "a synthesiser's resonant filter",
        (
            EffectParameter(
                Parameter(
                    "mode",
                    "low-12",
                    "what is let through, and dB per octave",
                    choices=("low-12", "high-12", "band-12", "low-24", "high-24", "band-24"),
                ),
                "mode",
                _ladder_mode,
            ),
            _frequency(2000.0, "where it turns", "cutoff_hz"),
            _knob("resonance", "resonance", 0.0, (0, 1), "how much it rings there"),
            _knob("drive", "drive", 1.0, (1, 10), "level into its own saturation", curve="log"),
        ),
        memory="short",
    ),
    "convolution": EffectSpec(
        "Convolution",
        "the sound of a room, speaker or thing whose impulse response is in a file",
        (
            EffectParameter(
                Parameter("impulse", "", "impulse response (any audio file)", smoothing_ms=50.0),
                "impulse_response_filename",
                _read_impulse,
            ),
        ),
        change="load",
        width=2,
        longest_block=256,  # it partitions the response by this size, and pays for the whole of it in each call
        makeup_db=20 * math.log10(8),  # it scales every response to an energy of 1/64
        constants=lambda rate: {"sample_rate": float(rate)},
    ),
    "resample": EffectSpec(
        "Resample",
        "to a lower sample rate and back",
        (
            EffectParameter(
                Parameter(
                    "rate",
                    "8000",
                    "the lower rate in Hz",
                    choices=("4000", "6000", "8000", "11025", "16000", "22050", "32000"),
                ),
                "target_sample_rate",
                _resample_rate,
            ),
            EffectParameter(Parameter("aliasing", False, "folds the high back down"), "quality", _resample_quality),
        ),
        change="new",
        hop=64,
        slack=_resample_slack,
        slowest={"rate": "4000", "aliasing": False},
    ),
    "mp3": EffectSpec(
        "MP3Compressor",
        "the artefacts of MP3, at 8 to 48 kHz",
        (_knob("quality", "vbr_quality", 5.0, (0, 9.5), "from best to worst", smoothing_ms=40.0),),
        change="new",
        width=2,
        hop=64,
    ),
}

REFUSED: Mapping[str, str] = {
    "pitch-shift": "pedalboard's PitchShift returns nothing when it streams "
    "(https://github.com/spotify/pedalboard/issues/415)",
    "gsm": "pedalboard's GSMFullRateCompressor goes silent when it streams, like its PitchShift "
    "(https://github.com/spotify/pedalboard/issues/415); try resample at 8000 Hz with mp3 or bitcrush",
}
"""Effects of pedalboard that cannot be used on a stream, and why."""
