"""English words by Moonshine (Jeffries et al. 2024), a second recogniser: 8 % word errors where PocketSphinx has 19 %.

The content encoder of `anyone` learnt from this network's middle layer, so it judges only what it did not teach:
recordings, the voice of `default`, other methods.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gramophone.offline.data.mono_audio import RATE, Sound, heard
from gramophone.offline.data.moonshine import FIRST, asset, session_of

_START, _END = 1, 2
_LAYERS, _HEADS, _WIDTH = 6, 8, 36
_TOKENS_PER_S = 6.5
"""More than anybody says; a decoder that repeats itself is stopped there."""
_SPACE = "\N{LOWER ONE EIGHTH BLOCK}"
TEACHES = ("anyone",)
"""Kinds of models that learnt from this recogniser, which it must not judge."""


def moonshine_words(speech: Sound, rate: int) -> str:
    """Return the English words that are heard in speech `(T,)` at `rate` Hz; the likeliest token each time.

    Raises:
        PackageError: the weights are not there and cannot be downloaded.
    """
    sound = heard(speech, rate)
    if len(sound) < 2 * FIRST + 1:
        return ""
    encoder, decoder, tokens = _recogniser()
    mask = np.ones((1, len(sound)), np.int64)
    (states,) = encoder.run(None, {"input_values": sound[None], "attention_mask": mask})
    told = {"encoder_hidden_states": states, "encoder_attention_mask": mask}  # of samples: it takes each 384th itself
    names = [f"{layer}.{part}.{what}" for layer in range(_LAYERS) for part in ("decoder", "encoder") for what in _PARTS]
    past = {name: np.zeros((1, _HEADS, 0, _WIDTH), np.float32) for name in names}
    token, found = _START, []
    for number in range(int(len(sound) / RATE * _TOKENS_PER_S) + 1):
        told["input_ids"] = np.array([[token]], np.int64)
        told["use_cache_branch"] = np.array([number > 0])
        logits, *present = decoder.run(None, told | {f"past_key_values.{name}": past[name] for name in names})
        past = {
            name: own if number == 0 or ".decoder." in name else past[name]
            for name, own in zip(names, present, strict=True)
        }
        token = int(logits[0, -1].argmax())
        if token == _END:
            break
        found.append(tokens[token])
    return b"".join(found).decode("utf-8", "replace").replace(_SPACE, " ").strip()


_PARTS = ("key", "value")


@functools.cache
def _recogniser() -> tuple[Any, Any, list[bytes]]:
    """Return the encoder, the decoder, and the bytes of each token."""
    return session_of("encoder_model.ort"), session_of("decoder_model_merged.ort"), _tokens(asset("tokenizer.bin"))


def _tokens(data: bytes) -> list[bytes]:
    """Return the tokens of a vocabulary, each after its length: a byte below 128, or two, the low seven bits first."""
    found, place = [], 0
    while place < len(data):
        length, place = data[place], place + 1
        if length >= 128:
            length, place = length - 128 + 128 * data[place], place + 1
        found.append(data[place : place + length])
        place += length
    return found
