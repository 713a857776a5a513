"""The voice as a codec: what is said, how it is intoned and how loud it is are heard apart, and sung by a speaker."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from gramophone.models.checkpoint import Card
from gramophone.models.nets.voice import MEDIAN_PITCH, MIDDLE_HZ, Voice, VoiceShape
from gramophone.models.parameters import Value
from gramophone.realtime.dsp.pitch.tracker import PitchTracker
from gramophone.realtime.kernels.arrays import Floats
from gramophone.realtime.stages.latent.codec import Frame, Series
from gramophone.realtime.stages.latent.encoder import FrameEncoder
from gramophone.realtime.stages.latent.loudness_match import LoudnessMatch
from gramophone.realtime.stages.latent.pitch_transform import PitchTransform
from gramophone.realtime.stages.latent.target_speaker import TargetSpeaker, meet
from gramophone.realtime.stages.latent.voice_decoder import voice_decoder_of
from gramophone.realtime.stages.latent.voice_encoder import LiveVoiceEncoder
from gramophone.realtime.stages.latent.voice_features import LiveLoudness

_LOWEST_HZ, _HIGHEST_HZ = (60.0, 80.0), 1100.0
_SPARE_S, _PATIENT = 128 / 48_000, 2
"""A block of 128 at 48 kHz, as often asked for; a model that waits for fewer hops than this is meant to be quick."""
_LOUDEST = 0.0
"""Nats above which nobody sings: full scale."""
_NATS_PER_DB = math.log(10) / 20


class VoiceCodec:
    """Says with a speaker's voice what it hears; frames tell octaves above `MIDDLE_HZ`, voicing, and loudness in nats.

    All of a frame is of the hop that its latents speak of, but for pitch where the model waits for less than a pitch
    takes to be known: that is `pitch_late` samples older.
    """

    def __init__(self, model: Voice, card: Card, device: str) -> None:
        shape = model.shape
        self.rate, self.hop, self.delay = shape.rate, shape.hop, model.delay
        self.spare_s = _SPARE_S if shape.ahead >= _PATIENT else 0.0
        self._encoder = LiveVoiceEncoder(model.encoder)
        self._analyser = FrameEncoder(model.encoder, self._encoder.hear, shape.hop, model.encoder.delay, shape.latents)
        self._loudness = LiveLoudness(model.loudness)
        self._pitch = tracker_of(shape)
        wait = max(self.delay - self._pitch.delay, 0)
        self.pitch_late = self._pitch.delay + wait - self.delay
        self._pitch.process(np.zeros(wait, np.float32))
        self._model = model
        # One row more than there are speakers: a guest's.
        self._table: Floats = np.pad(model.table.detach().cpu().numpy(), ((0, 1), (0, 0)))
        self._nobody = nobody(self._table[:-1], card)
        self._intonation = PitchTransform(shape.hop / shape.rate, np.append(_usual(card), np.float32(math.nan)))
        self._decoder = voice_decoder_of(model.decoder, device)
        self._leveller = LoudnessMatch(shape.hop, shape.hop / shape.rate)

    def analyse(self, sound: Floats) -> Frame:
        """Return the next frame."""
        frame = self._analyser.frame(sound)
        (hz,), (voicing,) = self._pitch.process(sound)
        told = math.log2(hz / MIDDLE_HZ), float(voicing), self._loudness.hear(sound)
        return Frame(frame.latents, frame.power, told)

    def learn(self, sound: Floats) -> Series:
        """Return another sound's frames."""
        return self._analyser.learn(sound)

    def meet(self, clip: str, sound: Floats) -> TargetSpeaker:
        """Return who is heard in a clip."""
        return meet(self._model, clip, sound)

    def welcome(self, target: TargetSpeaker) -> None:
        """Sing as a guest by the last of the weights."""
        self._table = np.concatenate([self._table[:-1], target.vector[None]])
        self._intonation.welcome(target.octave)

    def prepare(self) -> None:
        """Work out what the past is to the next frame."""
        self._encoder.look_back()
        self._decoder.look_back()

    def synthesise(self, frame: Frame, speakers: Floats, values: Mapping[str, Value]) -> Floats:
        """Sing the next hop."""
        octaves, voicing, loudness = frame.told
        octaves = self._intonation.turn(octaves, voicing, speakers, values)
        voicing = voiced_as(voicing, float(values["voicing"]))
        prosody = np.array([octaves, voicing, min(loudness, _LOUDEST)], np.float32)
        who = in_character(speakers @ self._table, self._nobody, float(values["character"]))
        said = self._decoder.sing(frame.latents, who, prosody, _colour(values))
        levelled: Floats = self._leveller.level(said, frame.power)
        return levelled


def tracker_of(shape: VoiceShape) -> PitchTracker:
    """Return a tracker that is no later than the model, if one that hears low voices can be, and else as little as can.

    It hears as low, and looks as far ahead, as the model waits.
    """
    delay = shape.ahead * shape.hop
    lowest = min(max(shape.rate / max(delay - 2, 1), _LOWEST_HZ[0]), _LOWEST_HZ[1])
    quickest = PitchTracker(shape.rate, shape.hop, lowest, _HIGHEST_HZ, ahead=0)
    ahead = max(delay - quickest.delay, 0) // shape.hop
    return PitchTracker(shape.rate, shape.hop, lowest, _HIGHEST_HZ, ahead=ahead) if ahead else quickest


def voiced_as(voicing: float, knob: float) -> float:
    """Return the voicing that is sung: as heard at 0, whispered at -1, always voiced at 1."""
    return voicing * (1 + knob) if knob < 0 else voicing + (1 - voicing) * knob


def nobody(table: Floats, card: Card) -> Floats:
    """Return the middle of those in a table of speakers' vectors `(speakers, width)` who are people, or else of all."""
    people = [name not in card.notes.get("instruments", ()) for name in card.speakers]
    middle: Floats = table[people if any(people) else slice(None)].mean(0)
    return middle


def in_character(who: Floats, middle: Floats, character: float) -> Floats:
    """Return a speaker's vector so far from nobody's, as it is at 1: what tells them from others said less or more."""
    return who if character == 1 else middle + np.float32(character) * (who - middle)


def _usual(card: Card) -> Floats:
    """Return the speakers' middle octaves, NaN for whom the card says nothing of."""
    hz = card.notes.get(MEDIAN_PITCH, {})
    return np.array([math.log2(hz.get(name, math.nan) / MIDDLE_HZ) for name in card.speakers], np.float32)


def _colour(values: Mapping[str, Value]) -> Floats:
    formant, breath, brightness = (float(values[name]) for name in ("formant", "breath", "brightness"))
    return np.array([formant / 12, breath * _NATS_PER_DB, brightness * _NATS_PER_DB], np.float32)
