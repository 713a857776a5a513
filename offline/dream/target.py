"""The target that is maximised: a tag, a layer of the tagger, or one channel of a layer."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from gramophone.models.nets.tagger import Tagger

_LEAST = 1e-6


class DreamError(ValueError):
    """The target is not in the tagger; the message says what was found and what was expected."""


@dataclass(frozen=True)
class DreamTarget:
    """What is maximised: a `tag` by name, or the mean of layer `layer` (from 1), or of its `channel`."""

    tag: str = ""
    layer: int = 0
    channel: int | None = None

    @property
    def name(self) -> str:
        """What it is, for people."""
        return self.tag or f"layer {self.layer}" + ("" if self.channel is None else f", channel {self.channel}")


class DreamGoal:
    """A target of one tagger.

    Raises:
        DreamError: the tagger has no such tag, layer or channel, or none or two of tag and layer are given.
    """

    def __init__(self, tagger: Tagger, target: DreamTarget) -> None:
        self._tagger, self._target = tagger, target
        _check(tagger, target)
        self._place = tagger.shape.tags.index(target.tag) if target.tag else -1

    def loss(self, chunks: Tensor) -> Tensor:
        """Return how far chunks `(B, T)` are from it: nats of a tag, or minus the log of the mean activation."""
        if self._target.tag:
            return -F.logsigmoid(self._tagger(chunks)[:, self._place]).mean()
        return -torch.log(self._activation(chunks) + _LEAST)

    def _activation(self, chunks: Tensor) -> Tensor:
        found = list(self._tagger.activations(chunks))[self._target.layer - 1]
        channel = self._target.channel
        return found.square().mean().sqrt() if channel is None else found[:, channel].mean()


def _check(tagger: Tagger, target: DreamTarget) -> None:
    if bool(target.tag) == bool(target.layer):
        raise DreamError("expected a tag or a layer to dream of, one of them")
    if target.tag:
        if target.channel is not None:
            raise DreamError(f"channel {target.channel} of tag {target.tag!r}: expected a layer with a channel")
        if target.tag not in tagger.shape.tags:
            raise DreamError(f"no tag {target.tag!r}; the tagger knows {', '.join(tagger.shape.tags)}")
        return
    layers = [layer.shape[1] for layer in tagger.activations(torch.zeros(1, tagger.chunk))]
    if not 1 <= target.layer <= len(layers):
        raise DreamError(f"no layer {target.layer}; the tagger has layers 1 to {len(layers)}")
    channels = layers[target.layer - 1]
    if target.channel is not None and not 0 <= target.channel < channels:
        raise DreamError(f"no channel {target.channel}; layer {target.layer} has channels 0 to {channels - 1}")
