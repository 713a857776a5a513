"""The control page in a real browser: it shows what is, turns knobs, and follows what others turn."""

import pytest
from support.browser import BROWSER, opened
from support.jack_server import until
from support.osc import Setup

from gramophone.presets import load, save_own
from gramophone.realtime.control.oscquery import oscquery_server
from gramophone.realtime.midi.decoder import Control, Moved

pytestmark = [pytest.mark.peer, pytest.mark.skipif(not BROWSER, reason="needs chromium: apt-get install chromium")]


def test_the_page_turns_knobs_and_follows_others(tmp_path):
    setup = Setup(load("stack"), meters=lambda: {"input.peak_db": -9.0, "output.peak_db": -20.0, "load": 0.3})
    with oscquery_server(setup.space, 0, 0, advertise=False) as server, opened(f"{server.url}#edit", tmp_path) as page:
        stages = [stage.name for stage in setup.controller.preset.stages]
        assert page.tell("[...document.querySelectorAll('.stage .fold')].map(h => h.textContent)") == [
            name.replace("-", " ") for name in stages
        ]
        page.tell("document.querySelectorAll('#edit details.more').forEach(d => { d.open = true; })")
        page.wait_for("[...document.querySelectorAll('#edit details.more')].every(d => d.children.length === 2)")
        dials = page.tell("document.querySelectorAll('.knob [role=slider]').length")
        assert dials == sum(knob.is_number for knob in setup.controller.parameters.values())

        before = setup.controller.get("style.strength")
        page.drag("[aria-label=strength]", -40)
        dragged = ("set", "style.strength", pytest.approx(before - 40 / 180, abs=0.01))
        setup.sink.wait_for(lambda calls: dragged in calls)

        setup.controller.set("style.strength", 0.25)
        page.wait_for("document.querySelector('[aria-label=strength]').getAttribute('aria-valuetext') === '0.25'")
        page.wait_for("document.querySelector('#meters [role=meter]').getAttribute('aria-valuetext') === '-9.0 dB'")

        page.tell("document.getElementById('mute').click(); document.getElementById('panic').click()")
        setup.sink.wait_for(lambda calls: ("mute", True) in calls and ("panic",) in calls)

        keep_pictures(page, tmp_path)
        page.tell("document.getElementById('preset').click()")
        page.wait_for("document.querySelectorAll('#browser .load').length > 20")
        page.call("Input.insertText", text="talking synth")
        page.wait_for("document.querySelectorAll('#browser .load').length === 1")
        press_enter(page)
        setup.sink.wait_for(lambda calls: ("change", "robot") in calls)
        page.wait_for("[...document.querySelectorAll('.stage .fold')].some(h => h.textContent === 'throat')")
        assert page.problems == []


@pytest.fixture
def own(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config" / "gramophone" / "presets"


def test_a_control_is_learned_and_the_preset_saved_on_the_page(tmp_path, own):
    setup = Setup(load("stack"), surfaces=True)
    with oscquery_server(setup.space, 0, 0, advertise=False) as server, opened(f"{server.url}#edit", tmp_path) as page:
        chip = "document.querySelectorAll('.stage .knob .chip')[1]"
        page.tell("document.getElementById('learn').click()")
        address = page.tell(f"{chip}.getAttribute('aria-label').split(':')[0]")
        page.tell(f"{chip}.click()")
        page.wait_for(f"{chip}.classList.contains('waiting')")
        page.wait_for("document.getElementById('message').textContent.includes('move a control')")
        page.call("Input.dispatchKeyEvent", type="keyDown", key="Escape")
        page.wait_for(f"{chip}.textContent === 'learn'")
        until(lambda: setup.controller_map.learning == "")

        page.tell(f"{chip}.click()")
        page.wait_for(f"{chip}.classList.contains('waiting')")
        page.picture(tmp_path / "learning.png", 1200, 900)
        page.picture(tmp_path / "learning-phone.png", 390, 844)
        for value in range(10, 60, 4):
            setup.controller_map.receive(Moved(Control("cc", 3, 21), value))
        page.wait_for(f"{chip}.textContent === 'CC 21 ch 3'")
        assert [mapping.knob for mapping in setup.controller_map.mappings] == [address.replace(" ", ".", 1)]
        page.wait_for("document.getElementById('message').textContent.includes('CC 21 ch 3')")

        page.tell("document.getElementById('save').click()")
        page.picture(tmp_path / "saving.png", 1200, 900)
        page.tell("document.getElementById('name').value = 'Late Night'; document.getElementById('keep').click()")
        page.wait_for("document.getElementById('preset').textContent === 'late-night'")
        page.wait_for("document.getElementById('message').textContent === 'saved as late-night'")
        assert load(own / "late-night.toml").midi[0]["number"] == 21
        page.picture(tmp_path / "saved.png", 1200, 900)

        page.tell(f"{chip}.nextSibling.click()")
        page.wait_for(f"{chip}.textContent === 'learn'")
        setup.saved()
        assert load(own / "late-night.toml").midi == ()
        assert page.problems == []


ENTER = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 13}


def press_enter(page):
    """Press Enter as a keyboard does: with its text, on which buttons act."""
    page.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **ENTER)
    page.call("Input.dispatchKeyEvent", type="keyUp", **ENTER)


def test_enter_saves_once_and_only_the_button_replaces_a_preset(tmp_path, own):
    setup = Setup(load("stack"), surfaces=True)
    is_open, question = "document.getElementById('naming').open", "document.getElementById('question')"
    save_own(load("wide"), "precious")
    precious = (own / "precious.toml").read_bytes()
    with oscquery_server(setup.space, 0, 0, advertise=False) as server, opened(server.url, tmp_path) as page:

        def type_name(name):
            page.tell("document.getElementById('save').focus(); document.getElementById('save').click()")
            page.tell("document.getElementById('name').select()")
            page.call("Input.insertText", text=name)

        type_name("Late Night")
        page.call("Input.dispatchKeyEvent", type="keyDown", text="\r", **ENTER)
        page.wait_for(f"!{is_open}")
        assert page.tell("document.activeElement === document.querySelector('#more summary')")
        page.call("Input.dispatchKeyEvent", type="keyDown", text="\r", autoRepeat=True, **ENTER)  # it is held
        page.call("Input.dispatchKeyEvent", type="keyUp", **ENTER)
        assert not page.tell(f"{is_open} || document.getElementById('more').open")
        page.wait_for("document.getElementById('preset').textContent === 'late-night'")
        assert setup.saved() == ["saved as late-night"]

        type_name("PRECIOUS!")  # in words, a name that is taken
        for count in range(3):
            press_enter(page)
            until(lambda count=count: len(setup.notices) == 2 + count)
            page.wait_for(f"{question}.textContent.includes('precious is there already')")
            assert page.tell(is_open)
        assert (own / "precious.toml").read_bytes() == precious
        page.call("Input.insertText", text=" 2")
        assert page.tell(f"{question}.hidden && document.getElementById('keep').textContent === 'Save'")
        page.tell("document.getElementById('name').value = 'precious'; document.getElementById('keep').click()")
        page.wait_for("document.getElementById('keep').textContent === 'Replace'")
        page.tell("document.getElementById('name').value = 'late-night'; document.getElementById('keep').click()")
        page.wait_for(f"{question}.textContent.includes('late-night is there already')")  # the button was for another
        page.tell("document.getElementById('name').value = 'precious'; document.getElementById('keep').click()")
        page.wait_for(f"{question}.textContent.includes('precious is there already')")
        assert (own / "precious.toml").read_bytes() == precious
        page.tell("document.getElementById('keep').click()")
        page.wait_for(f"!{is_open}")
        assert setup.saved()[-1] == "saved as precious"
        assert load("precious").stages == load("late-night").stages
        assert page.problems == []


def test_the_page_opens_with_its_token_from_elsewhere(tmp_path):
    setup = Setup()
    with oscquery_server(setup.space, 0, 0, "0.0.0.0", advertise=False) as server:
        url = f"http://127.0.0.1:{server.port}/ui?token={server.token}"
        with opened(url, tmp_path) as page:
            page.tell("document.getElementById('bypass').click()")
            setup.sink.wait_for(lambda calls: ("bypass", True) in calls)
            assert page.problems == []


def keep_pictures(page, folder):
    """For human eyes: pytest keeps the folder of the last three runs."""
    page.picture(folder / "page.png", 1200, 900)
    page.picture(folder / "phone.png", 390, 844)


def test_macros_come_first_and_set_their_targets_in_one_change(tmp_path):
    setup = Setup(load("hall"))
    with oscquery_server(setup.space, 0, 0, advertise=False) as server, opened(server.url, tmp_path) as page:
        names = page.tell("[...document.querySelectorAll('#play .name')].map(n => n.textContent)")
        assert names == [macro.name for macro in setup.controller.preset.macros]
        assert page.tell("[...document.querySelectorAll('main > section')].map(s => s.hidden).indexOf(false)") == 0

        page.tell("document.querySelector('#play [aria-label=Space]').focus()")
        page.call("Input.dispatchKeyEvent", type="keyDown", key="End", code="End", windowsVirtualKeyCode=35)
        setup.sink.wait_for(lambda calls: ("set", "hall.wet", 0.45) in calls)
        assert {"hall.wet": 0.45, "hall.room": 0.95} in setup.sink.together
        page.tell("location.hash = 'edit'")
        page.wait_for("document.querySelector('#edit [aria-label=room]').getAttribute('aria-valuetext') === '0.95'")
        assert page.problems == []


def test_a_swipe_scrolls_and_turns_no_knob_and_a_finger_that_goes_sideways_turns_one(tmp_path):
    setup = Setup(load("hall"))
    with oscquery_server(setup.space, 0, 0, advertise=False) as server, opened(server.url, tmp_path) as page:
        page.call("Emulation.setTouchEmulationEnabled", enabled=True)
        page.picture(tmp_path / "macros-phone.png", 390, 844)

        def swipe(dial, *points):
            box = f"document.querySelector('{dial}').getBoundingClientRect()"
            width, height = page.tell(f"{box}.width"), page.tell(f"{box}.height")
            assert min(width, height) >= 44
            x, y = page.tell(f"{box}.x") + width / 2, page.tell(f"{box}.y") + height / 2
            kinds = ["touchStart", *["touchMove"] * (len(points) - 1)]
            for kind, (right, down) in zip(kinds, points, strict=True):
                page.call("Input.dispatchTouchEvent", type=kind, touchPoints=[{"x": x + right, "y": y + down}])
            page.call("Input.dispatchTouchEvent", type="touchEnd", touchPoints=[])

        page.tell("location.hash = 'edit'")
        page.wait_for("!document.getElementById('edit').hidden")
        swipe("#edit [role=slider]", *((0, -up) for up in range(0, 200, 5)))
        page.wait_for("scrollY > 100")
        assert setup.sink.calls == []

        page.tell("location.hash = 'play'")
        page.wait_for("!document.getElementById('play').hidden")
        before = setup.controller.get("macro.1")
        swipe("#play [role=slider]", *((right, 0) for right in range(0, 60, 5)))
        setup.sink.wait_for(lambda calls: calls)
        assert setup.controller.get("macro.1") > before
        assert {call[1] for call in setup.sink.calls} == {"style.strength"}
        assert page.problems == []
        page.call("Emulation.setTouchEmulationEnabled", enabled=False)
        page.picture(tmp_path / "macros.png", 1440, 900)
