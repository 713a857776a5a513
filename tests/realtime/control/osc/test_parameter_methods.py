"""Routing over OSC: what a message means, and what is refused."""

import pytest

from gramophone.realtime.control.osc.parameter_methods import RoutingMethod
from gramophone.realtime.dsp.channel_matrix import Route, one_to_one
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import Message


def test_routes_come_as_text_or_whole_numbers_and_wrong_ones_change_nothing() -> None:
    routed_to: list[Route] = []
    command = RoutingMethod("/gramophone/outputs", "output", lambda: one_to_one(2), lambda: 4, routed_to.append)
    for types, arguments, meant in (
        ("s", ("3,4",), ((3,), (4,))),
        ("ii", (1, 0), ((1,), ())),
        ("ff", (1.0, 2.0), ((1,), (2,))),
        ("if", (4, 0.0), ((4,), ())),
        ("hd", (2, 3.0), ((2,), (3,))),
        ("s", ("1+2,0",), ((1, 2), ())),
    ):
        command.write(command.check(Message("/gramophone/outputs", types, arguments)))
        assert routed_to.pop() == meant
    for types, arguments in (
        ("s", ("5,1",)),
        ("s", ("x",)),
        ("i", (1,)),
        ("ff", (1.0, 2.5)),
        ("ff", (1.0, 5.0)),
        ("fs", (1.0, "2")),
        ("TT", (True, True)),
        ("", ()),
        ("ii", (1, -2)),
    ):
        with pytest.raises(RefusedError):
            command.check(Message("/gramophone/outputs", types, arguments))
    assert command.read() == ("1,2",)
