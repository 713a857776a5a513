"""The descent, in rounds: a round is all there is to keep and go on from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor

from gramophone.offline.stylise.method import TransferMethod

ROUND = TransferMethod.round_steps
"""Steps of a round, unless the method has others."""


@dataclass
class Descent:
    """Where a descent is: after `steps`, with one row of losses for each round's start and end.

    `curve` holds dictionaries of every term by name, `content.…` and `style.…`, and their weighted sum, `all`.
    """

    x: Tensor
    steps: int = 0
    curve: list[dict[str, float]] = field(default_factory=list)


Keep = Callable[[Descent], None]
"""Called after every round."""


def descend(method: TransferMethod, strength: float, steps: int, keep: Keep, descent: Descent | None = None) -> Descent:
    """Go on from `descent`, or from the method's start, for `steps` in all; KeyboardInterrupt keeps the last round.

    `strength`, 0 to 1, is the style's share of the loss; the rest is the content's. The loss never rises from one round
    to the next.
    """
    if descent is None:
        start = method.start()
        descent = Descent(start, 0, [_losses(method, start, strength)])
    try:
        while descent.steps < steps:
            descent = _round(method, descent, strength, min(method.round_steps, steps - descent.steps))
            keep(descent)
    except KeyboardInterrupt:
        pass
    return descent


def _round(method: TransferMethod, before: Descent, strength: float, steps: int) -> Descent:
    x = method.advanced(before.x, strength, before.steps, steps)
    after = _losses(method, x, strength)
    # a line search that failed may end higher than it began: then the round counts for nothing
    better = after["all"] <= before.curve[-1]["all"]
    return Descent(
        x if better else before.x,
        before.steps + steps,
        [*before.curve, after if better else before.curve[-1]],
    )


@torch.no_grad()
def _losses(method: TransferMethod, x: Tensor, strength: float) -> dict[str, float]:
    content, style = method.content_losses(x), method.style_losses(x)
    terms = {f"content.{name}": float(value) for name, value in content.items()}
    terms |= {f"style.{name}": float(value) for name, value in style.items()}
    return {**terms, "all": float(method.weighted(content, style, strength))}
