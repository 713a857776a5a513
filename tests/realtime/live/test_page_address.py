"""`play --host 0.0.0.0` shows where other machines open the page: the address works as it is shown."""

import re
import urllib.error
import urllib.request
from contextlib import ExitStack

import pytest

from gramophone.presets import load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.session_settings import SessionSettings
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.parameter_table import complete

pytest.importorskip("starlette", reason="needs the page's server: pip install gramophone[osc]")


@pytest.mark.parametrize("host", ["0.0.0.0", "127.0.0.1"])
def test_the_address_for_other_machines_is_shown_with_its_token(host):
    said = []
    with ExitStack() as stack:
        session = stack.enter_context(Session(SessionSettings("osc:0")))
        controller = Controller(complete(load("lo-fi")), session)
        surfaces = Surfaces(osc_port=None, http_port=0, host=host, midi=None)
        for surface in surfaces.on(controller, session, said.append):
            server = stack.enter_context(surface)
        if host == "127.0.0.1":
            assert not said
            return
        (url,) = re.findall(r"http://\S+/ui\?token=\S+", " ".join(said))
        assert url == server.url
        assert urllib.request.urlopen(url, timeout=20).status == 200
        with pytest.raises(urllib.error.HTTPError):
            urllib.request.urlopen(url.partition("?")[0], timeout=20)
