"""What a slow method of style transfer is: features with losses, and where to start. To add one, name it in `METHODS`.

It optimises by L-BFGS, in rounds, each with an empty history, unless it overrides `advanced`.

Every term of the loss is a share: of content, 0 where nothing of it is lost and 1 where all is; of style, 1 for the
content as it is and 0 for the style. That balances layers and terms of any scale: one default serves all sounds.
"""

from __future__ import annotations

import importlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import ClassVar, Self, cast

import torch
from torch import Tensor

METHODS = {
    "stft": "gramophone.offline.stylise.stft:Stft",
    "texture": "gramophone.offline.stylise.texture:Texture",
    "tagger": "gramophone.offline.stylise.tagger:TaggerStyle",
    "wavenet": "gramophone.offline.stylise.wavenet:WaveNetStyle",
    "wavenet-relaxed": "gramophone.offline.stylise.relaxed:RelaxedWaveNetStyle",
}
"""The class of each method, imported when it is used."""

_LEAST = 1e-12
_MEMORY = 10


class StyliseError(ValueError):
    """A style cannot be transferred; the message states what was found and what was expected."""


class TransferMethod(ABC):
    """A method for one pair: made from mono content and style `(T,)` at `rate` Hz, both at -20 dBFS.

    The variable that it optimises, from `start`, may be a sound or anything that `sound` turns into one.
    """

    rate: ClassVar[int]
    steps: ClassVar[int]
    """How many steps of L-BFGS it needs by default."""

    round_steps: ClassVar[int] = 20

    balance: ClassVar[float]
    """The style's share of the loss at full strength; the rest is the content's."""

    term_weights: ClassVar[Mapping[str, float]] = {}
    """Weights of terms of the loss, by name; 1 if not given."""

    keeps_quiet: ClassVar[bool] = True
    """Whether the result is nowhere louder than the content."""

    usual_model: ClassVar[str] = ""
    """The model that is taken if none is named, where one is needed."""

    @classmethod
    def with_model(cls, model: str) -> type[Self]:
        """Return the method with a certain model, for methods that have one."""
        return cls

    @abstractmethod
    def __init__(self, content: Tensor, style: Tensor) -> None: ...

    @abstractmethod
    def start(self) -> Tensor:
        """Return where to start from: a real tensor of any shape."""

    @abstractmethod
    def content_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return by layer which share of the content is lost."""

    @abstractmethod
    def style_losses(self, x: Tensor) -> Mapping[str, Tensor]:
        """Return by layer how far the style is: 1 for the content as it is, 0 for the style."""

    def sound(self, x: Tensor) -> Tensor:
        """Return the sound `(T,)` of `x`."""
        return x

    def weighted(self, content: Mapping[str, Tensor], style: Mapping[str, Tensor], strength: float) -> Tensor:
        """Return the loss: means over layers, so that all layers weigh the same, but for `term_weights`."""
        return (1 - strength) * self._mean(content) + strength * self._mean(style)

    def advanced(self, x: Tensor, strength: float, done: int, steps: int) -> Tensor:
        """Return where so many `steps` lead from `x`, the `done` ones before it apart."""
        x = x.detach().clone(memory_format=torch.contiguous_format).requires_grad_(True)
        optimiser = torch.optim.LBFGS(
            [x],
            max_iter=steps,
            history_size=_MEMORY,
            tolerance_change=0,
            tolerance_grad=0,
            line_search_fn="strong_wolfe",
        )

        def loss() -> Tensor:
            optimiser.zero_grad()
            value = self.weighted(self.content_losses(x), self.style_losses(x), strength)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimiser.step(loss)  # type: ignore[no-untyped-call]
        return x.detach()

    def _mean(self, terms: Mapping[str, Tensor]) -> Tensor:
        weights = [self.term_weights.get(name, 1.0) for name in terms]
        weighted = [weight * term for weight, term in zip(weights, terms.values(), strict=True)]
        return torch.stack(weighted).sum() / sum(weights)


def share(found: Tensor, wanted: Tensor, otherwise: Tensor) -> Tensor:
    """Return the squared distance of `found` to `wanted`, of that of `otherwise`: 0 is there, 1 no nearer than that."""
    return (found - wanted).square().sum() / apart_by(otherwise, wanted)


def apart_by(one: Tensor, other: Tensor) -> Tensor:
    """Return the squared distance, never quite zero."""
    return (one - other).square().sum().clamp_min(_LEAST)


def load_method(name: str) -> type[TransferMethod]:
    """Return the class of a method.

    Raises:
        StyliseError: there is no such method.
    """
    if name not in METHODS:
        raise StyliseError(f"method {name!r}: expected one of live, mosaic, {', '.join(METHODS)}")
    module, _, kind = METHODS[name].partition(":")
    return cast("type[TransferMethod]", getattr(importlib.import_module(module), kind))
