"""The voice converter, hop by hop: what somebody says and how, apart, and the same spoken as somebody else.

Content (what is said) leaves out the speaker, once its mean and spread are known; both are measured as it runs.
The target's map makes envelopes of it. Pitch, voicing and loudness stay the source's, pitch in the target's range.
What content does not say of the source's envelope, its detail, can be added: it makes words clearer, the target less
like themselves, and hisses, which say little of who speaks, come out as they were. Where the sound is no speech,
content is a guess: there the source's envelope is moved to the target's mean and spread instead (`confidence`). Who
is the target already keeps their own envelopes.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, cast

import numpy as np

from gramophone.models.parameters import Value
from gramophone.models.units import MIDDLE_HZ, POINTS
from gramophone.realtime.kernels.arrays import Doubles, Floats
from gramophone.realtime.stage import Parts, StageError
from gramophone.realtime.stages.latent.loudness_match import LoudnessMatch, power_meter
from gramophone.realtime.stages.latent.pitch_transform import VOICED, PitchTransform
from gramophone.realtime.stages.latent.voice_codec import adjust_voicing, tracker_within
from gramophone.realtime.stages.latent.voice_synth import SynthPlan
from gramophone.realtime.stages.voice.confidence import SpeechConfidence
from gramophone.realtime.stages.voice.content_encoder import (
    ContentEncoderParts,
    LiveContentEncoder,
    TrunkWeights,
    encoder_parts,
    trunk_weights,
)
from gramophone.realtime.stages.voice.envelope_analysis import EnvelopePlan, LiveEnvelope
from gramophone.realtime.stages.voice.envelope_analysis import plan_of as envelope_plan_of
from gramophone.realtime.stages.voice.envelope_synth import EnvelopeSynth
from gramophone.realtime.stages.voice.envelope_synth import plan_of as synth_plan_of
from gramophone.realtime.stages.voice.hop_content import HopContentState, LiveHopContent, state_of
from gramophone.realtime.stages.voice.prosody import Dynamics, Intonation
from gramophone.realtime.stages.voice.residual import LiveResidual
from gramophone.realtime.stages.voice.voices import MixedVoice, VoiceArrays, VoiceTable

if TYPE_CHECKING:
    from gramophone.models.nets.anyone import Anyone

_DEFERRAL_S = 128 / 48_000
"""One block of 128 frames at 48 kHz: synthesis may wait for the block after analysis."""
_AUDIBLE, _DECAY, _FAINTEST = 4.0, 0.0012, 1e-4
"""Nats below the loudest of late that count as speech; its fall per frame; the RMS of silence."""
_LOUDEST = 1.0
_NATS_PER_DB = math.log(10) / 20


class HeardHop(NamedTuple):
    """What is measured of one hop: `content` `(D,)`, pitch in Hz and voicing, envelope points, RMS and power."""

    content: Floats
    hz: float
    voicing: float
    points: Floats
    rms: float
    power: float


class AnalysedHop(NamedTuple):
    """The analysis of one hop: the map's inputs `(K,)`, shape and detail `(POINTS,)` in spreads, prosody, its power.

    The source's envelope, less its level, is `own` `(POINTS,)`, and the `mean` of those so far; `shape` is the same
    normalised, and `detail` what content does not say of it. `speech` is the confidence, 0 to 1, that this is speech.
    `octaves` are above `MIDDLE_HZ`, `voicing` is 0 to 1, `level` in nats below the loudest of late, `gain` the nats by
    which what is said would have it louder.
    """

    inputs: Floats
    shape: Floats
    detail: Floats
    own: Floats
    mean: Doubles
    speech: float
    level: float
    gain: float
    octaves: float
    voicing: float
    rms: float
    power: float


class ConverterParts(NamedTuple):
    """What a converter takes of a model (`Anyone`, `AnyoneShape`): sizes, statistics, networks' parts, known voices.

    `quick` waits for less of the future: 8 ms instead of 24.
    """

    rate: int
    hop: int
    quick: bool
    content: int
    encoder: ContentEncoderParts
    envelope: EnvelopePlan
    said: HopContentState
    known: VoiceArrays
    usual_spread: Floats
    residual: TrunkWeights | None
    gains: Floats
    level_map: Floats
    synth: SynthPlan


def converter_parts(model: Anyone, quick: bool = False) -> ConverterParts:
    """Return what a converter takes of a model."""
    shape, residual = model.shape, model.residual
    return ConverterParts(
        shape.rate,
        shape.hop,
        quick,
        shape.content,
        encoder_parts(model.encoder, quick),
        envelope_plan_of(shape.rate),
        state_of(model),
        VoiceArrays(
            model.voice_octaves.numpy(),
            model.voice_means.numpy(),
            model.voice_spreads.numpy(),
            model.voice_maps.float().numpy(),
        ),
        model.envelope_moments[1, :POINTS].numpy(),
        trunk_weights(residual) if residual else None,
        model.residual_gains.numpy() if residual else np.ones(shape.envelope, np.float32),
        model.level_map.numpy() if residual else np.zeros(shape.inputs, np.float32),
        synth_plan_of(shape.rate, shape.hop, POINTS),
    )


def parts_of_file(path: Path, quick: bool) -> ConverterParts:
    """Return what a converter takes of the model in a file.

    Raises:
        StageError: the model cannot be used.
    """
    from gramophone.models.checkpoint import CheckpointError, load

    try:
        return converter_parts(cast("Anyone", load(path, "anyone")[0]), quick)
    except CheckpointError as error:
        raise StageError(str(error)) from None


class VoiceConverter:
    """Hops `(hop,)` of a voice at `rate` Hz to hops of another; `delay` samples late, at `rate`."""

    def __init__(self, parts: ConverterParts) -> None:
        self.rate, self.hop = rate, hop = parts.rate, parts.hop
        self._encoder = LiveContentEncoder(parts.encoder)
        self.delay = self._encoder.delay * hop
        self.deferral_s = 0.0 if parts.quick else _DEFERRAL_S
        self._pitch = tracker_within(rate, hop, self.delay)
        self._pitch.process(np.zeros(max(self.delay - self._pitch.delay, 0), np.float32))
        self._envelope = LiveEnvelope(parts.envelope, self.delay)
        self._powers, self._power_of = deque([0.0] * self._encoder.delay), power_meter()
        self._describe = LiveHopContent(parts.said)
        self._loudest = math.log(_FAINTEST)
        self.voices = VoiceTable(parts.known, parts.usual_spread)
        self.confidence = SpeechConfidence(hop / rate)
        self._residual = LiveResidual(parts.residual, parts.content) if parts.residual else None
        self._gains = parts.gains
        self._dynamics = Dynamics(parts.level_map) if parts.residual else None
        self._intonation = Intonation(hop / rate)
        self._pitch_transform = PitchTransform(hop / rate, self.voices.octaves)
        self._synth = EnvelopeSynth(parts.synth)
        self._loudness_match = LoudnessMatch(hop, hop / rate)

    @staticmethod
    def compiled_parts(parts: ConverterParts) -> Parts:
        """Return what several processes can compile at once of a converter of these parts, as `Stage.parts`."""
        residual = (partial(LiveResidual, parts.residual, parts.content),) if parts.residual else ()
        return (
            partial(tracker_within, parts.rate, parts.hop, parts.hop),
            partial(LiveContentEncoder, parts.encoder),
            partial(LiveEnvelope, parts.envelope, parts.hop),
            partial(EnvelopeSynth, parts.synth),
            *residual,
        )

    def refresh(self) -> None:
        """Take note that the target in `voices` has changed."""
        self._pitch_transform.set_target_octave(float(self.voices.octaves[-1]))

    def measure(self, sound: Floats) -> HeardHop:
        """Return what the next hop is, `(hop,)`."""
        content = self._encoder.encode(sound)
        hz, voicing = self._pitch.process_hop(sound)
        points, rms = self._envelope.measure(sound, hz if voicing >= VOICED else 0.0)
        self._powers.append(self._power_of(sound))
        return HeardHop(content, hz, voicing, points, rms, self._powers.popleft())

    def analyse(self, heard: HeardHop) -> AnalysedHop:
        """Return what is said in a hop, and how."""
        voicing, points, rms = heard.voicing, heard.points, heard.rms
        level = self._level(rms)
        counts = rms > _FAINTEST and level > -_AUDIBLE
        inputs, own, shape, detail, mean, said = self._describe(heard.content, points, voicing >= VOICED, counts)
        speech = self.confidence.next(said, detail, shape, counts)
        octaves = math.log2(np.float32(heard.hz / MIDDLE_HZ))
        gain = speech * self._dynamics.gain(level, inputs, counts) if self._dynamics else 0.0
        return AnalysedHop(inputs, shape, detail, own, mean, speech, level, gain, octaves, voicing, rms, heard.power)

    def prepare(self) -> None:
        """Add up what the past contributes to the next frame; called in a block that completes no hop."""
        self._encoder.prepare()
        if self._residual:
            self._residual.prepare()

    def convert(self, heard: HeardHop, weights: Floats, values: Mapping[str, Value]) -> Floats:
        """Return the next hop of sound by `weights` over the voices, 1 in sum, and the stage's parameters."""
        return self.synthesise(self.analyse(heard), weights, values)

    def synthesise(self, heard: AnalysedHop, weights: Floats, values: Mapping[str, Value]) -> Floats:
        """Do the same as `convert` for what is analysed already."""
        voice = self.voices.mixed(weights, float(values["likeness"]), float(values["character"]))
        same = self.voices.sameness(heard.mean, voice)
        envelope = self._envelope_of(heard, voice, float(values["detail"]), same)
        octaves = self._pitch_transform.transform(self._moved(heard, weights, values), heard.voicing, weights, values)
        voicing = adjust_voicing(heard.voicing, float(values["voicing"]))
        gain = math.exp(heard.gain * (1 - float(values["detail"])) * (1 - same))
        rms = min(heard.rms * gain, _LOUDEST) if heard.rms > _FAINTEST else 0.0
        output = self._synth.synthesise(envelope, MIDDLE_HZ * 2.0**octaves, voicing, rms, _colour(values))
        matched: Floats = self._loudness_match.process(output, heard.power * gain * gain)
        return matched

    def _moved(self, heard: AnalysedHop, weights: Floats, values: Mapping[str, Value]) -> float:
        """Return the pitch of a frame, moving as widely as the voices' does if it goes to their range."""
        share = float(values["intonation"]) if values["range"] == "free" else 0.0
        spread = float(weights @ self.voices.octave_spreads)
        voiced = heard.voicing >= VOICED
        return self._intonation.move(heard.octaves, voiced, spread, share, float(values["adaptation"]))

    def _envelope_of(self, heard: AnalysedHop, voice: MixedVoice, detail: float, same: float) -> Floats:
        """Return the envelope `(E,)` of a frame as a voice: by its map, and what the source's own detail says besides.

        A residual network adds the detail by what it has learnt of it, else all of it where nothing is voiced. The less
        the sound is like speech, the more the source's own envelope comes through, in the voice's mean and spread. The
        more the source is the `same` person as the voice, 0 to 1, the more of it stays as it is.
        """
        deviation = heard.inputs @ voice.map
        if self._residual:
            share = np.float32(detail if heard.voicing >= VOICED else 1.0)
            mapped = deviation / voice.spread
            residual = self._residual.next(heard.inputs, heard.level, share * heard.detail, mapped)
            deviation = voice.spread * self._gains * (mapped + residual)
        else:
            share = np.float32(detail + (1 - detail) * (1 - heard.voicing))
            deviation[:POINTS] += share * voice.spread[:POINTS] * heard.detail
        if heard.speech < 1:
            deviation *= np.float32(heard.speech)
            deviation[:POINTS] += np.float32(1 - heard.speech) * voice.spread[:POINTS] * heard.shape
        envelope: Floats = voice.mean + deviation
        if same > 0:
            envelope[:POINTS] += np.float32(same) * (heard.own - envelope[:POINTS])
        return envelope

    def _level(self, rms: float) -> float:
        """Return the level of a frame below the loudest of late, in nats, 0 or less."""
        level = math.log(max(rms, _FAINTEST / 10))
        self._loudest = max(self._loudest - _DECAY, level, math.log(_FAINTEST))
        return level - self._loudest


def _colour(values: Mapping[str, Value]) -> Floats:
    formant, breath, brightness = (float(values[name]) for name in ("formant", "breath", "brightness"))
    return np.array([formant / 12, breath * _NATS_PER_DB, brightness * _NATS_PER_DB], np.float32)
