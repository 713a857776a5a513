"""The panels Sounds, Record and Devices in a real browser: from a file to its sound in two actions."""

import json
import os
import shutil
from contextlib import ExitStack, suppress

import numpy as np
import pytest
from support.browser import BROWSER, opened
from support.jack_server import own_server, until

from gramophone.presets import CLIPS, load
from gramophone.presets.clips import own_clips
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.performance.takes import takes
from gramophone.realtime.files import read
from gramophone.realtime.live.messages import Compiling
from gramophone.realtime.live.session import Session, SessionSettings
from gramophone.realtime.live.surfaces import Surfaces
from gramophone.realtime.parameter_table import complete

pytestmark = [
    pytest.mark.peer,
    pytest.mark.slow,
    pytest.mark.skipif(not BROWSER, reason="needs chromium: apt-get install chromium"),
]
SERVER = f"gramophone-panels-{os.getpid()}"
WIDTHS = (390, 768, 1440)


class Live:
    """A session on JACK with its page."""

    def __init__(self, session, controller, url):
        self.session, self.controller, self.url = session, controller, url


@pytest.fixture(scope="module")
def live(tmp_path_factory):
    with ExitStack() as stack:
        stack.enter_context(own_server(SERVER, tmp_path_factory.mktemp("data")))
        session = stack.enter_context(Session(SessionSettings("jack", recorded=True)))
        preset = complete(load("hall"))
        session.start(preset)
        controller = Controller(preset, session)
        surfaces = Surfaces(osc_port=None, http_port=0, midi=None)
        for surface in surfaces.on(controller, session, lambda _news: None):
            server = stack.enter_context(surface)
        session.wait_until_playing()
        yield Live(session, controller, server.url)


@pytest.fixture
def page(live, tmp_path):
    with opened(live.url, tmp_path) as page:
        yield page
        assert page.problems == []


def click(page, selector):
    page.wait_for(
        f"document.querySelector({json.dumps(selector)}) && !document.querySelector({json.dumps(selector)}).hidden"
    )
    page.tell(f"document.querySelector({json.dumps(selector)}).click()")


def choose_file(page, selector, path):
    """Choose a file as the browser's dialog does."""
    document = page.call("DOM.getDocument")["root"]["nodeId"]
    node = page.call("DOM.querySelector", nodeId=document, selector=selector)["nodeId"]
    page.call("DOM.setFileInputFiles", files=[str(path)], nodeId=node)


PROGRESS = """window.shown = [];
new MutationObserver(() => shown.push(document.querySelector('#sounds .progress')?.textContent))
  .observe(document.getElementById('sounds'), { subtree: true, childList: true, characterData: true }); 0"""
"""Keeps all that the line of progress shows: a remark on the clip may come after what is waited for."""


def test_sound_like_this_clip_takes_two_actions(live, page, tmp_path):
    """Those of a person: open the section, and choose the file; the stage learns it and plays it."""
    click(page, "a[href='#sounds']")
    page.wait_for("document.querySelector('.drop input') !== null")
    page.tell(PROGRESS)
    shutil.copy(CLIPS / "voice.flac", tmp_path / "Ann, at home.flac")
    choose_file(page, ".drop input", tmp_path / "Ann, at home.flac")
    page.wait_for("document.querySelector('.sounds .row input')?.value === 'ann-at-home'", 60)
    until(lambda: live.controller.get("style.clip") == str(own_clips()["ann-at-home"].file), 60)
    page.wait_for("shown.includes('style plays ann-at-home')", 90)

    page.tell(
        "document.querySelectorAll('.wave input')[1].value = 6; document.querySelectorAll('.wave input')[1].oninput()"
    )
    page.tell("[...document.querySelectorAll('.sounds button')].find(b => b.textContent.startsWith('Cut to')).click()")
    until(lambda: 5 < own_clips()["ann-at-home"].seconds < 6.5, 60)


def test_what_is_no_sound_is_refused_on_the_page(page, tmp_path):
    click(page, "a[href='#sounds']")
    page.wait_for("document.querySelector('.drop input') !== null")
    (tmp_path / "letter.wav").write_text("Dear Ann, " * 100)
    choose_file(page, ".drop input", tmp_path / "letter.wav")
    page.wait_for("document.querySelector('#sounds [role=alert]')?.textContent.includes('not a sound file')", 60)
    page.problems[:] = [each for each in page.problems if "422" not in json.dumps(each)]  # which Chromium reports


def test_the_input_is_recorded_as_a_sound_until_it_is_stopped(live, page):
    import jack

    rng = np.random.default_rng(1)
    client = jack.Client("singer", servername=SERVER, no_start_server=True)
    sings = client.outports.register("out")
    client.set_process_callback(
        lambda frames: sings.get_array().__setitem__(slice(None), 0.2 * rng.normal(size=frames))
    )
    with client:
        client.connect("singer:out", "gramophone:in_1")
        click(page, "a[href='#sounds']")
        click(page, ".from-input button")
        page.wait_for("document.querySelector('.from-input button').textContent === 'Stop'")
        page.wait_for("document.querySelector('#sounds .progress progress').value > 0.1", 30)
        click(page, ".from-input button")
        until(lambda: any(name.startswith("recording") for name in own_clips()), 60)
        page.wait_for("[...document.querySelectorAll('.sounds .row input')].some(i => i.value === 'recording')", 30)
    sound, rate = read(own_clips()["recording"].file)
    assert rate == 48_000
    assert sound[0].std() == pytest.approx(0.2, rel=0.1)
    page.wait_for("[...document.querySelectorAll('.warning')].some(w => w.textContent.startsWith('noise'))")


def test_a_take_is_recorded_played_back_and_rendered_with_another_preset(live, page):
    click(page, "a[href='#record']")
    click(page, "#record .record")
    # A busy page may show 0:02 after 0:00.
    page.wait_for("/^recording 0:(?!00)/.test(document.querySelector('#record .progress').textContent)", 30)
    click(page, "#record .record")
    page.wait_for("document.querySelectorAll('.takes audio').length === 1", 30)
    page.wait_for("document.querySelector('#record .record').getAttribute('aria-pressed') === 'false'")
    page.tell(
        "document.querySelector('.takes audio').preload = 'metadata'; document.querySelector('.takes audio').load()"
    )
    page.wait_for("document.querySelector('.takes audio').duration > 0.5", 30)
    duration = page.tell("document.querySelector('.takes audio').duration")
    assert abs(duration - takes()[0].seconds) < 0.05
    page.tell("document.querySelectorAll('.takes select')[1].value = 'telephone'")
    click(page, "[aria-label^='render ']")
    page.wait_for("document.querySelector('#record .progress').textContent.startsWith('rendered')", 120)
    page.wait_for("document.querySelectorAll('.takes select')[0].options.length === 3")
    assert takes()[0].sounds[-1] == "render-telephone.wav"


def test_the_delay_is_chosen_and_shown(live, page):
    click(page, "a[href='#devices']")
    page.wait_for(
        "[...document.querySelectorAll('#devices option')].some(o => o.textContent.startsWith('JACK, block'))", 40
    )
    before = page.tell("document.querySelector('.parts .sum td').textContent")
    quality = (
        "[...document.querySelectorAll('#devices select')].find(s => [...s.options].some(o => o.value === 'safe'))"
    )
    page.tell(f"(() => {{ const s = {quality}; s.value = 'safe'; s.onchange(); }})()")
    until(lambda: live.session.report()["block"] == 512)
    page.wait_for(f"document.querySelector('.parts .sum td').textContent !== {json.dumps(before)}")
    page.wait_for("document.querySelector('#devices strong').textContent.includes('block 512')")
    page.tell(f"(() => {{ const s = {quality}; s.value = 'balanced'; s.onchange(); }})()")
    until(lambda: live.session.report()["block"] == 256)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_violation_in_any_of_the_six_views(page, width, scheme):
    page.call("Emulation.setDeviceMetricsOverride", width=width, height=900, deviceScaleFactor=1, mobile=width < 600)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    for view in ("play", "edit", "sounds", "record", "devices"):
        click(page, f"a[href='#{view}']")
        page.wait_for(f"!document.getElementById('{view}').hidden && document.getElementById('{view}').children.length")
        assert page.violations() == [], view
        assert page.tell("document.documentElement.scrollWidth <= innerWidth"), view
    click(page, "#preset")
    page.wait_for("document.querySelectorAll('#browser .load').length > 20")
    assert page.violations() == [], "browser"


@pytest.mark.parametrize("scheme", ["dark", "light"])
def test_axe_finds_no_violation_with_all_pressed_lit_off_learning_and_locked(page, scheme):
    page.call("Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False)
    page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    for view in ("play", "edit", "sounds", "record", "devices"):
        click(page, f"a[href='#{view}']")
        page.wait_for(f"!document.getElementById('{view}').hidden && document.getElementById('{view}').children.length")
        page.tell(
            "for (const e of document.querySelectorAll('[aria-pressed]')) e.setAttribute('aria-pressed', true);"
            "document.body.classList.add('learning', 'locked');"
            "for (const [kind, states] of [['.lamp', ['lit']], ['.knob, .wide', ['modified']], ['.stage', ['off']],"
            "    ['.chip', ['mapped', 'waiting']]])"
            "  for (const e of document.querySelectorAll(kind)) e.classList.add(...states); 0"
        )
        assert page.violations() == [], view


FOCUSED = """(() => {
  const e = document.activeElement;
  const again = seen.has(e);
  seen.add(e);
  return { again, body: e === document.body, html: e.outerHTML.slice(0, 120),
    marked: getComputedStyle(e).outlineStyle !== 'none' && e.getBoundingClientRect().width > 0 };
})()"""
UNREACHED = """[...document.querySelectorAll('button, select, input, a, summary, [tabindex="0"]')]
  .filter(e => e.checkVisibility() && !e.closest('details:not([open]) > :not(summary)'))
  .filter(e => !e.disabled && e.tabIndex >= 0 && !seen.has(e)).map(e => e.outerHTML.slice(0, 120))"""


def press_tab(page):
    """Press until the focus has moved: a busy machine shows it late, and a browser may lose a key."""
    before = page.tell("moves")
    for _ in range(3):
        for kind in ("keyDown", "keyUp"):
            page.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab", windowsVirtualKeyCode=9)
        with suppress(AssertionError):
            page.wait_for(f"moves > {before}", 5)
            return
    raise AssertionError("the focus does not move: " + page.tell("document.activeElement.outerHTML.slice(0, 200)"))


@pytest.mark.parametrize("view", ["play", "edit", "sounds", "record", "devices"])
def test_the_tab_key_reaches_every_control_and_shows_where_it_is(page, view):
    page.call("Emulation.setDeviceMetricsOverride", width=1440, height=900, deviceScaleFactor=1, mobile=False)
    click(page, f"a[href='#{view}']")
    page.wait_for(f"!document.getElementById('{view}').hidden && document.getElementById('{view}').children.length")
    page.wait_for("!document.getElementById('offer').hidden")  # a clip, since nothing comes in
    page.tell("window.seen = new Set(); document.activeElement.blur(); 0")
    page.tell(
        "window.moves = 0; for (const e of ['focusin', 'focusout']) addEventListener(e, () => { moves += 1; }); 0"
    )
    for _ in range(400):
        press_tab(page)
        focused = page.tell(FOCUSED)
        if focused["again"] and not focused["body"]:
            break
        assert focused["marked"] or focused["body"], focused["html"]
    assert page.tell(UNREACHED) == []


@pytest.mark.parametrize("width", WIDTHS)
def test_nothing_is_wider_than_the_screen_or_too_small_for_a_finger(page, tmp_path, width):
    for section in ("sounds", "record", "devices"):
        click(page, f"a[href='#{section}']")
        page.wait_for(f"document.querySelector('#{section} h2') !== null")
        page.picture(tmp_path / f"{section}-{width}.png", width, 900)
        assert page.tell("document.documentElement.scrollWidth <= innerWidth"), section
        small = page.tell(
            f"[...document.querySelectorAll('#{section} button, #{section} select, #{section} a')]"
            ".filter(e => e.offsetParent && (e.offsetHeight < 44 || e.offsetWidth < 44)).map(e => e.outerHTML)"
        )
        assert small == [], section
        if folder := os.environ.get("GRAMOPHONE_PICTURES"):
            shutil.copy(tmp_path / f"{section}-{width}.png", folder)


def test_where_it_is_reached_and_what_is_compiled_are_shown_as_they_are(live, page):
    """The countdown stays above every section while the worker compiles, and goes with the last message."""
    session = live.session

    def report(left_s):
        with session._lock:
            session.received(Compiling(left_s, "the voice"))
        session._processes._changed.set()

    words = "compiling the voice for this machine, what plays goes on, about 12 s left"
    report(12)
    message = "document.querySelector('#message')"
    page.wait_for(f"!{message}.hidden && {message}.textContent === {json.dumps(words)}")
    report(0)
    page.wait_for(f"{message}.textContent.endsWith('a moment longer')")
    report(None)
    page.wait_for(f"{message}.hidden")
    page.tell("location.hash = '#devices'")
    page.wait_for(f"document.querySelector('#devices').textContent.includes({json.dumps(live.url)})")
    page.wait_for(
        "[...document.querySelectorAll('#devices td')].filter((each) => each.textContent === 'closed').length === 2"
    )
