"""The voice model as a codec: content, pitch and loudness are analysed apart and synthesised as another speaker."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gramophone.models.checkpoint import Card
from gramophone.models.parameters import Value
from gramophone.models.units import MEDIAN_PITCH, MIDDLE_HZ
from gramophone.realtime.dsp.pitch.tracker import PitchTracker
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stage import Parts
from gramophone.realtime.stages.latent.codec import Frame, LatentModel, Series
from gramophone.realtime.stages.latent.encoder import FrameEncoder, encode_clip
from gramophone.realtime.stages.latent.kept import Kept
from gramophone.realtime.stages.latent.loudness_match import LoudnessMatch
from gramophone.realtime.stages.latent.pitch_transform import PitchTransform
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker, enrol
from gramophone.realtime.stages.latent.voice_decoder import (
    KernelVoiceDecoder,
    LiveVoiceDecoder,
    ModuleVoiceDecoder,
    VoiceDecoderParts,
    decoder_parts,
)
from gramophone.realtime.stages.latent.voice_encoder import LiveVoiceEncoder, VoiceEncoderParts, encoder_parts
from gramophone.realtime.stages.latent.voice_features import LiveLoudness, LoudnessPlan, loudness_plan_of
from gramophone.realtime.stages.prepared import prepared

if TYPE_CHECKING:
    from gramophone.models.nets.voice import Voice

_LOWEST_HZ, _HIGHEST_HZ = (60.0, 80.0), 1100.0
_DEFERRAL_S, _DEFERRING_HOPS = 128 / 48_000, 2
"""One block of 128 frames at 48 kHz; models with less look-ahead in hops than this are meant for low latency."""
_LOUDEST = 0.0
"""Nats: the loudest input of the decoder, full scale."""
_NATS_PER_DB = math.log(10) / 20


class VoiceParts(NamedTuple):
    """What a codec takes of a model: rate in Hz, hop in samples, look-ahead and delay of the encoder in hops; arrays.

    `table` `(speakers, width)` are the speakers' vectors.
    """

    rate: int
    hop: int
    ahead: int
    delay: int
    table: Floats
    encoder: VoiceEncoderParts
    loudness: LoudnessPlan
    decoder: VoiceDecoderParts


def _parts_of(path: Path) -> VoiceParts:
    model: Voice = LatentModel.of(path).network()
    shape = model.shape
    return VoiceParts(
        shape.rate,
        shape.hop,
        shape.ahead,
        model.encoder.delay,
        model.table.detach().cpu().numpy(),
        encoder_parts(model.encoder),
        loudness_plan_of(model.loudness),
        decoder_parts(model.decoder),
    )


def _encode_clip(path: Path, sound: Floats) -> Series:
    model: Voice = LatentModel.of(path).network()
    return encode_clip(model.encoder, sound, model.shape.hop, model.shape.latents)


def _enrol(path: Path, clip: str, sound: Floats) -> TargetSpeaker:
    return enrol(LatentModel.of(path).network(), clip, sound)


class VoiceCodec:
    """Encodes and decodes by a voice model; a frame's prosody is octaves above `MIDDLE_HZ`, voicing, loudness in nats.

    All of a frame describes the hop of its latents, except pitch where the model's look-ahead is shorter than the pitch
    tracker's delay: then pitch is `pitch_lag` samples older.
    """

    def __init__(self, source: LatentModel, device: str) -> None:
        parts = prepared(_parts_of, source.path)
        self.rate, self.hop = rate, hop = parts.rate, parts.hop
        self.delay = parts.delay * hop
        self.deferral_s = _DEFERRAL_S if parts.ahead >= _DEFERRING_HOPS else 0.0
        self._encoder = LiveVoiceEncoder(parts.encoder)
        self._frame_encoder = FrameEncoder(self._encoder.encode, parts.delay)
        self._loudness = LiveLoudness(parts.loudness)
        self._pitch = tracker_within(rate, hop, parts.ahead * hop)
        padding = max(self.delay - self._pitch.delay, 0)
        self.pitch_lag = self._pitch.delay + padding - self.delay
        self._pitch.process(np.zeros(padding, np.float32))
        self._path = source.path
        # One row more than there are speakers, for a target speaker.
        self._table: Floats = np.pad(parts.table, ((0, 1), (0, 0)))
        self._mean_speaker = mean_speaker(self._table[:-1], source.card)
        speaker_octaves = np.append(_speaker_octaves(source.card), np.float32(math.nan))
        self._pitch_transform = PitchTransform(hop / rate, speaker_octaves)
        self._decoder: LiveVoiceDecoder
        if device == "cpu":
            self._decoder = KernelVoiceDecoder(parts.decoder)
        else:
            self._decoder = ModuleVoiceDecoder(source.network().decoder, device)
        self._turned = Kept(self._turned_by)
        self._loudness_match = LoudnessMatch(hop, hop / rate)

    @staticmethod
    def parts(source: LatentModel) -> Parts:
        """Return what several processes can compile at once of a codec with this model, as `Stage.parts`."""
        parts = prepared(_parts_of, source.path)
        return (
            partial(tracker_within, parts.rate, parts.hop, parts.ahead * parts.hop),
            partial(KernelVoiceDecoder, parts.decoder),
            partial(LiveVoiceEncoder, parts.encoder),
            partial(LiveLoudness, parts.loudness),
        )

    def analyse(self, sound: Floats) -> Frame:
        """Return the frame of the next hop, `(hop,)`."""
        frame = self._frame_encoder.frame(sound)
        hz, voicing = self._pitch.process_hop(sound)
        octaves = math.log2(np.float32(hz / MIDDLE_HZ))
        return Frame(frame.latents, frame.power, (octaves, voicing, self._loudness.measure(sound)))

    def encode_clip(self, sound: Floats) -> Series:
        """Return the frames of another sound, `(T,)`."""
        return prepared(_encode_clip, self._path, sound)

    def enrol(self, clip: str, sound: Floats) -> TargetSpeaker:
        """Return the speaker of a clip, from its sound `(T,)`."""
        return prepared(_enrol, self._path, clip, sound)

    def add_target(self, target: TargetSpeaker) -> None:
        """Give the last of the weights over speakers to a target speaker."""
        self._table = np.concatenate([self._table[:-1], target.vector[None]])
        self._pitch_transform.set_target_octave(target.octave)
        self._turned.forget()

    def prepare(self) -> None:
        """Add up what the past contributes to the next frame, in encoder and decoder."""
        self._encoder.prepare()
        self._decoder.prepare()

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Decode the next hop, `(hop,)`."""
        octaves, voicing, loudness = frame.prosody
        octaves = self._pitch_transform.transform(octaves, voicing, speakers, values)
        voicing = adjust_voicing(voicing, float(values["voicing"]))
        speaker, colour = self._turned(speakers, values)
        output = self._decoder.decode(frame.latents, speaker, (octaves, voicing, min(loudness, _LOUDEST)), colour)
        return self._loudness_match.process(output, frame.power)

    def _turned_by(self, speakers: Floats, values: Mapping[str, Value]) -> tuple[Floats, Floats]:
        """Return the speaker's vector and the decoder's colour, as the parameters say."""
        speaker = scale_character(speakers @ self._table, self._mean_speaker, float(values["character"]))
        return speaker, _colour(values)


def tracker_within(rate: int, hop: int, delay: int) -> PitchTracker:
    """Return a tracker no later than `delay` samples where possible, or else the one with the shortest delay.

    Its lowest pitch and its look-ahead use all of the delay.
    """
    lowest = min(max(rate / max(delay - 2, 1), _LOWEST_HZ[0]), _LOWEST_HZ[1])
    fastest = PitchTracker(rate, hop, lowest, _HIGHEST_HZ, ahead=0)
    ahead = max(delay - fastest.delay, 0) // hop
    return PitchTracker(rate, hop, lowest, _HIGHEST_HZ, ahead=ahead) if ahead else fastest


def adjust_voicing(voicing: float, knob: float) -> float:
    """Return the voicing, 0 to 1, for a knob from -1 (all whispered) through 0 (unchanged) to 1 (all voiced)."""
    return voicing * (1 + knob) if knob < 0 else voicing + (1 - voicing) * knob


def mean_speaker(table: Floats, card: Card) -> Floats:
    """Return the mean `(width,)` of the vectors of people in `table` `(speakers, width)`, or of all speakers.

    All count where the card names only instruments.
    """
    people = [name not in card.notes.get("instruments", ()) for name in card.speakers]
    mean: Floats = table[people if any(people) else slice(None)].mean(0)
    return mean


def scale_character(speaker: Floats, mean: Floats, character: float) -> Floats:
    """Return a speaker's vector with its distance from the mean speaker scaled by `character`, 1: unchanged."""
    return speaker if character == 1 else mean + np.float32(character) * (speaker - mean)


def _speaker_octaves(card: Card) -> Floats:
    """Return the speakers' middle pitches in octaves, NaN where the card does not give one."""
    hz = card.notes.get(MEDIAN_PITCH, {})
    return np.array([math.log2(hz.get(name, math.nan) / MIDDLE_HZ) for name in card.speakers], np.float32)


def _colour(values: Mapping[str, Value]) -> Floats:
    formant, breath, brightness = (float(values[name]) for name in ("formant", "breath", "brightness"))
    return np.array([formant / 12, breath * _NATS_PER_DB, brightness * _NATS_PER_DB], np.float32)
