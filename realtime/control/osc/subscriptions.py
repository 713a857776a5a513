"""Subscriptions: the peers that receive values and meters, how often, and until when."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Generic, Literal, TypeVar

from gramophone.models.parameters import ParameterError
from gramophone.realtime.control.osc.address_space import AddressSpace
from gramophone.realtime.control.osc.method import Answer, OscMethod
from gramophone.realtime.control.osc.parameter_methods import (
    MeterMethod,
    NormalisedMethod,
    ParameterMethod,
    SpectrumMethod,
)
from gramophone.realtime.control.osc.parameter_page import PageMethod
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import encode

P = TypeVar("P")
View = Literal["values", "normalised", "page"]
"""What a subscriber is sent: all with parameters in their unit or normalised, or the page of eight alone."""

LIFETIME_S = 60.0
USUAL_HZ = 30.0
_SLOWEST_HZ, _FASTEST_HZ = 0.1, 100.0
_MOST = 32


@dataclass
class _Subscription(Generic[P]):
    owner: P
    period_s: float
    ends_at: float
    next_at: float
    seen: tuple[int, int] | None = None
    sent: dict[str, Answer] = field(default_factory=dict)


class Subscriptions(Generic[P]):
    """The subscribed peers. Each receives the values that differ from those it received or set last, and all meters.

    Who subscribes to values and to normalised ones gets the meters with the former only.
    """

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._all: dict[tuple[P, View], _Subscription[P]] = {}

    @property
    def next_at(self) -> float | None:
        """When the next subscription is due, on the clock of `now`; None without any."""
        return min((each.next_at for each in self._all.values()), default=None)

    def add(self, owner: P, target: P, view: View, rate_hz: float, now: float) -> None:
        """Send values to `target`, at `rate_hz` for the next minute, but not those that `owner` has set itself.

        Raises:
            RefusedError: the rate is not possible, or there are too many subscribers.
        """
        if not _SLOWEST_HZ <= rate_hz <= _FASTEST_HZ:
            expected = f"expected a number from {_SLOWEST_HZ:g} to {_FASTEST_HZ:g} Hz"
            raise RefusedError("refused value", f"subscription at {rate_hz:g} Hz: {expected}")
        known = self._all.get((target, view))
        if not known and len(self._all) >= _MOST:
            raise RefusedError(
                "too many subscribers", f"more than {_MOST}; each ends {LIFETIME_S:g} s after its last call"
            )
        if known:
            known.owner, known.period_s, known.ends_at = owner, 1 / rate_hz, now + LIFETIME_S
        else:
            self._all[target, view] = _Subscription(owner, 1 / rate_hz, now + LIFETIME_S, now)

    def remove(self, target: P) -> None:
        """End the subscriptions of `target`."""
        for key in [key for key in self._all if key[0] == target]:
            del self._all[key]

    def targets(self, owner: P) -> set[P]:
        """Return where the values that `owner` has subscribed to are sent."""
        return {target for (target, _), each in self._all.items() if each.owner == owner}

    def has_set(self, owner: P, method: OscMethod, taken: bool) -> None:
        """Note that `owner` has set a value and knows it; or, if the value was refused, that it does not."""
        for (_, view), each in self._all.items():
            if each.owner == owner and _belongs(method, view):
                if taken:
                    each.sent[method.path] = _read(method)
                else:
                    each.sent.pop(method.path, None)
                    each.seen = None

    def tick(self, now: float) -> Iterator[tuple[P, bytes]]:
        """Yield the packets that are due, each with its target."""
        meters: list[bytes] | None = None
        for (target, view), each in list(self._all.items()):
            if now >= each.ends_at:
                del self._all[target, view]
            elif now >= each.next_at:
                each.next_at = max(each.next_at + each.period_s, now)
                if meters is None and view != "page":
                    meters = [encode(path, (float(level),)) for path, level in self._space.meters().items()]
                is_sent_values = view == "normalised" and (target, "values") in self._all
                levels = meters if meters and view != "page" and not is_sent_values else []
                yield from ((target, packet) for packet in (*self._changed(each, view), *levels))

    def _changed(self, each: _Subscription[P], view: View) -> Iterator[bytes]:
        version = self._space.version
        if version == each.seen:
            return
        each.seen = version
        methods = [method for method in self._space.methods.values() if _belongs(method, view)]
        each.sent = {method.path: each.sent[method.path] for method in methods if method.path in each.sent}
        for method in methods:
            answer = _read(method)
            if answer and each.sent.get(method.path) != answer:
                each.sent[method.path] = answer
                yield encode(method.path, answer)


def _belongs(method: OscMethod, view: View) -> bool:
    """Return whether a subscription of this view is sent this method; spectra go to those only who listen to them."""
    if not method.readable or isinstance(method, PageMethod) != (view == "page"):
        return False
    others = ParameterMethod if view == "normalised" else NormalisedMethod
    return not isinstance(method, MeterMethod | SpectrumMethod | others)


def _read(method: OscMethod) -> Answer:
    try:
        return method.read()
    except ParameterError:  # another preset has just come
        return ()
