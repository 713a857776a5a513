"""Figures of the control page on a live JACK session, printed as JSON (`pytest -s`), and the laws behind them.

A singer plays a clip into Gramophone, a listener hears what it plays, and a bare client shows what the server itself
drops. With `GRAMOPHONE_PICTURES` set to a folder, the pictures of the documentation are taken there.
"""

import json
import os
import shutil
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from support.browser import BROWSER, opened
from support.jack_server import start_server, stop, until
from support.osc import Peer

from gramophone.presets import CLIPS, load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.dsp.resampler import read_clip
from gramophone.realtime.live.session import Session, SessionSettings
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.osc.packet import encode
from gramophone.realtime.parameter_table import complete

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="needs chromium: apt-get install chromium"),
]
SERVER = f"gramophone-figures-{os.getpid()}"
RATE = 48_000
RUNS, PRESSES, SECONDS = 7, 40, 10
FIRST_CONTROL = """
new MutationObserver((_, watch) => {
  const knob = document.querySelector('#macros [role=slider]');
  if (!knob) return;
  watch.disconnect();
  window.firstControl = performance.now();
}).observe(document, { childList: true, subtree: true });
"""


class Singer:
    """A client of the server that plays a clip round and round into Gramophone, and a steady tone on request."""

    def __init__(self, client, clip):
        self.clip, self.at, self.level = clip, 0, 0.0
        self.out = client.outports.register("out")
        client.set_process_callback(self.process)

    def process(self, frames):
        places = self.at + np.arange(frames)
        tone = self.level * np.sin(2 * np.pi * 1000 / RATE * places)
        self.out.get_array()[:] = tone if self.level else self.clip[places % len(self.clip)]
        self.at += frames


class Listener:
    """A client that notes the level of each block that Gramophone plays, and when it came."""

    def __init__(self, client):
        self.ear = client.inports.register("in")
        self.levels = []
        client.set_process_callback(self.process)

    def process(self, _frames):
        self.levels.append((time.time(), float(np.abs(self.ear.get_array()).max())))


class Live:
    """A session with its page, a singer, a listener, and the count of what a bare client lost."""

    def __init__(self, session, controller, url, osc_port, singer, listener):
        self.session, self.controller, self.url, self.osc_port = session, controller, url, osc_port
        self.singer, self.listener = singer, listener
        self.bare_xruns = 0

    @property
    def underruns(self):
        return self.session.report()["underruns"]


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    if not shutil.which("jackd") or not shutil.which("jack_wait"):
        pytest.skip("needs jackd: apt install jackd2")
    jack = pytest.importorskip("jack", reason="needs JACK-Client: pip install JACK-Client")
    with ExitStack() as stack:
        environment = stack.enter_context(pytest.MonkeyPatch.context())
        for name, value in (("JACK_DEFAULT_SERVER", SERVER), ("JACK_NO_START_SERVER", "1")):
            environment.setenv(name, value)
        for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
            environment.setenv(name, str(tmp_path_factory.mktemp("own")))
        stack.callback(stop, start_server(SERVER, real_time=True))
        session = stack.enter_context(Session(SessionSettings("jack", recorded=True)))
        preset = complete(load("default"))
        session.start(preset)
        controller = Controller(preset, session)
        probe = Peer(9)
        osc_port = probe.port
        probe.socket.close()
        for surface in Surfaces(osc_port=osc_port, http_port=0, midi=None).on(controller, session, lambda _news: None):
            made = stack.enter_context(surface)
            server = made if hasattr(made, "url") else None
        session.wait_until_playing()
        clients = [
            jack.Client(name, servername=SERVER, no_start_server=True) for name in ("singer", "listener", "bare")
        ]
        singer = Singer(clients[0], read_clip(str(CLIPS / "vocals.flac"), RATE)[0])
        live = Live(session, controller, server.url, osc_port, singer, Listener(clients[1]))
        clients[2].set_xrun_callback(lambda _delay: setattr(live, "bare_xruns", live.bare_xruns + 1))
        for client in clients:
            stack.enter_context(client)
        clients[0].connect("singer:out", "gramophone:in_1")
        clients[1].connect("gramophone:out_1", "listener:in")
        yield live


@pytest.fixture
def page(live, tmp_path):
    with opened(live.url, tmp_path) as page:
        page.wait_for("document.querySelector('#macros [role=slider]') !== null")
        yield page
        assert page.problems == []


def show(**figures):
    """Print figures with the load of the machine."""
    print(json.dumps({**figures, "load": round(os.getloadavg()[0], 1)}))


def spread(values):
    return {"median": round(median(values), 3), "least": round(min(values), 3), "most": round(max(values), 3)}


def play(live, name):
    """Play another preset, and return once its chain is in place."""
    live.controller.change(name)
    until(lambda: live.controller.name == name, 60)
    until(lambda: live.session.meters().get("load", 0) > 0, 60)


def test_how_soon_the_first_control_is_there(live, page):
    page.call("Page.addScriptToEvaluateOnNewDocument", source=FIRST_CONTROL)
    times = []
    for _ in range(RUNS):
        page.tell("delete window.firstControl")
        page.call("Page.reload", ignoreCache=True)
        page.wait_for("window.firstControl > 0")
        times.append(page.tell("window.firstControl") / 1000)
        page.wait_for("document.getElementById('light').className === 'on'")
    show(figure="navigation to first control, s", n=RUNS, **spread(times))


def test_how_long_from_an_input_to_its_sound(live, page):
    """Mute is pressed on the page; the block in which the listener hears nothing more says when."""
    play(live, "stack")
    page.wait_for("document.getElementById('preset').textContent === 'stack'")
    live.singer.level = 0.5
    until(lambda: len(live.listener.levels) > 100)
    page.tell(
        "document.getElementById('mute').addEventListener('click', () => { window.pressed = Date.now() }, true); 0"
    )
    delays = []
    for _ in range(PRESSES):
        until(lambda: all(level > 0.01 for _, level in live.listener.levels[-30:]), 60)
        page.tell("document.getElementById('mute').click()")
        pressed = page.tell("window.pressed") / 1000
        until(lambda pressed=pressed: live.listener.levels[-1][1] < 1e-4 and live.listener.levels[-1][0] > pressed, 30)
        heard = [(when, level) for when, level in live.listener.levels if when >= pressed - 0.002]
        loud = max(level for _, level in heard[:1])
        delays.append(1000 * (next(when for when, level in heard if level < 0.9 * loud) - pressed))
        page.tell("document.getElementById('mute').click()")
    live.singer.level = 0.0
    budget_ms = 1000 * live.session.blocks * live.session.report()["block"] / RATE
    show(
        figure="press on the page to the block that is softer, ms", n=len(delays), **spread(delays), worker_ms=budget_ms
    )


def test_sixty_values_a_second_are_shown_and_nothing_is_dropped_for_them(live, page):
    play(live, "default")
    page.wait_for("document.getElementById('preset').textContent === 'default'")
    knob = "document.querySelectorAll('#macros [role=slider]')[1]"
    page.tell(
        "window.shown = []; window.watch = new MutationObserver(() => shown.push(performance.now()));"
        "watch.observe(document.getElementById('macros'), { subtree: true, attributeFilter: ['aria-valuenow'] }); 0"
    )
    peer = Peer(live.osc_port)
    time.sleep(2)  # the page has just been opened, which is no part of the figure
    before, bare = live.underruns, live.bare_xruns
    spent = time.process_time()
    sent = 60 * SECONDS
    begin = time.monotonic()
    for number in range(sent):
        time.sleep(max(begin + number / 60 - time.monotonic(), 0))
        peer.send(encode("/gramophone/macro/2", (number / sent,)))
    seconds = time.monotonic() - begin
    page.wait_for(f"Math.abs({knob}.getAttribute('aria-valuenow') - {(sent - 1) / sent}) < 1e-3")
    show(
        figure="values a second shown while 60 are sent",
        n=sent,
        shown=round(page.tell("shown.length") / seconds, 1),
        underruns=live.underruns - before,
        bare_client_xruns=live.bare_xruns - bare,
        control_process_cores=round((time.process_time() - spent) / seconds, 3),
    )


def test_what_the_picture_costs_the_control_process(live, page):
    """Its processor time with the page in view, with Edit in its place, and without a page."""
    shares = {}
    for name, section in (("play", "play"), ("edit", "edit")):
        page.tell(f"location.hash = '{section}'")
        page.wait_for(f"!document.getElementById('{section}').hidden")
        shares[name] = cores(SECONDS)
    page.call("Page.navigate", url="about:blank")
    shares["no page"] = cores(SECONDS)
    page.call("Page.navigate", url=live.url)
    page.wait_for("document.getElementById('light')?.className === 'on'")
    show(figure="cores that the control process takes", **shares)


def cores(seconds):
    """Return the processor time of this process over so many seconds, as a share of one core."""
    spent = time.process_time()
    threading.Event().wait(seconds)
    return round((time.process_time() - spent) / seconds, 4)


def test_the_spectra_are_those_of_what_is_played(live, page):
    """A tone of 1 kHz is the brightest row of the input's picture, at its own place."""
    page.tell("location.hash = 'play'")
    page.wait_for("document.querySelectorAll('#picture canvas').length === 3")
    page.tell("document.getElementById('picture').scrollIntoView()")
    live.singer.level = 0.5
    page.tell("window.copy = new OffscreenCanvas(1, 96).getContext('2d', { willReadFrequently: true }); 0")
    column = (
        "copy.drawImage(document.querySelector('#picture canvas'), -359, 0),"
        "[...copy.getImageData(0, 0, 1, 96).data].filter((_, i) => i % 4 === 1)"
    )
    expected = 96 * np.log(1000 / 40) / np.log(16_000 / 40)

    def brightest():
        rows = page.tell(column)
        return 95 - int(np.argmax(rows)) if max(rows) > 150 else -1

    until(lambda: abs(brightest() - expected) <= 1.5, 60)
    live.singer.level = 0.0


@pytest.mark.skipif("GRAMOPHONE_PICTURES" not in os.environ, reason="takes pictures where GRAMOPHONE_PICTURES says")
def test_pictures_are_taken(live, page):
    folder = Path(os.environ["GRAMOPHONE_PICTURES"])
    play(live, "default")
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    page.tell("location.hash = 'play'")
    page.call("Emulation.setDeviceMetricsOverride", width=1440, height=1250, deviceScaleFactor=1, mobile=False)
    page.tell("document.querySelectorAll('.number')[0].click(); document.querySelector('.lamp.xruns').click()")
    time.sleep(14)  # until the pictures of sound are full
    page.tell("document.querySelector('.lamp.xruns').click()")
    page.picture(folder / "page-play.png", 1440, 1250)
    page.tell("location.hash = 'edit'")
    page.wait_for("document.querySelectorAll('#stages > li').length > 2")
    page.tell("scrollTo(0, 0)")
    page.picture(folder / "page-edit.png", 1440, 1100)
    page.tell("location.hash = 'play'; document.getElementById('preset').click()")
    page.wait_for("document.querySelectorAll('#browser .load').length > 20")
    page.tell("document.querySelector('.lamp.xruns').click()")
    page.picture(folder / "page-presets.png", 1440, 900)
    page.tell("document.getElementById('browser').close(); scrollTo(0, 0)")
    page.tell("document.querySelector('.lamp.xruns').click()")
    page.picture(folder / "page-phone.png", 390, 844)
