"""`play --host 0.0.0.0` shows where other machines open the page: the address works as it is shown."""

import re
import urllib.error
import urllib.request

import pytest

from gramophone.presets import load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.engine import Engine
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.parameter_table import complete

pytest.importorskip("starlette", reason="needs the page's server: pip install gramophone[osc]")


class Playing:
    """An engine in a session's place, as far as control surfaces use one."""

    inputs = outputs = ((1,), (2,))
    sockets = (2, 2)
    on_refused = route_inputs = route_outputs = None

    def __init__(self):
        self.preset = complete(load("lo-fi"))
        engine = Engine(self.preset, 48_000)
        self.change = engine.change
        self.set_many = lambda changes: [engine.set(*each) for each in changes.items()]

    def meters(self):
        return {}

    def snapshot(self):
        return self.preset


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_the_address_for_other_machines_is_shown_with_its_token(host):
    session, said = Playing(), []
    controller = Controller(session.preset, session)
    opened = list(Surfaces(osc_port=None, http_port=0, host=host, midi=None).on(controller, session, said.append))
    page = opened[-1]
    with opened[0], opened[1], opened[2], page as server:
        if host == "127.0.0.1":
            assert not said
            return
        (url,) = re.findall(r"http://\S+/ui\?token=\S+", " ".join(said))
        assert url == server.url
        assert urllib.request.urlopen(url, timeout=20).status == 200
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url.partition("?")[0], timeout=20)
