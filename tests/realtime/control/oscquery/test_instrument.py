"""The control page as an instrument, in a real browser at three widths: what a performer does, in how many actions."""

import json

import pytest
from support.browser import BROWSER, opened
from support.jack_server import until
from support.osc import Setup

from gramophone.presets import load
from gramophone.realtime.control.oscquery import oscquery_server
from gramophone.realtime.control.oscquery.app import PAGE
from gramophone.realtime.midi.decoder import Control, Moved

pytestmark = [pytest.mark.peer, pytest.mark.skipif(not BROWSER, reason="needs chromium: apt-get install chromium")]

WIDTHS = ((390, 844), (768, 1024), (1440, 900))
MOST_BYTES = 300_000
TARGET_PX = 44


class Instrument:
    """A set-up, its page, and the count of clicks and keys since `begin`."""

    def __init__(self, setup, page):
        self.setup, self.page, self.actions = setup, page, 0
        self.listened = 0

    @property
    def controller(self):
        return self.setup.controller

    @property
    def chain(self):
        return [stage.name for stage in self.controller.preset.stages]

    def begin(self, section="play", preset="hall"):
        """Go back to a preset as it is, and to a section."""
        drawn = self.page.tell("window.drawn")
        self.controller.change(preset)
        self.page.wait_for(f"window.drawn > {drawn}")
        self.page.tell("document.querySelectorAll('dialog').forEach(d => d.close())")
        self.page.tell("document.getElementById('more').open = false")
        self.page.tell(f"location.hash = '{section}'")
        self.page.wait_for(f"!document.getElementById('{section}').hidden")
        self.page.wait_for(f"document.getElementById('preset').textContent === '{preset}'")
        self.actions = 0

    def click(self, selector):
        """Click in the middle of what a selector finds, as a mouse does."""
        self.actions += 1
        where = f"document.querySelector({json.dumps(selector)})"
        self.page.wait_for(f"{where}?.getBoundingClientRect().width")
        self.page.tell(f"{where}.scrollIntoView({{ block: 'center' }})")
        x, y = (
            self.page.tell(f"(b => b.{a} + b.{size} / 2)({where}.getBoundingClientRect())")
            for a, size in (("x", "width"), ("y", "height"))
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.page.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def press(self, key, code="", modifiers=0):
        """Press a key: a letter's own text goes with it, as from a keyboard."""
        self.actions += 1
        text = {"text": key} if len(key) == 1 and not modifiers & 2 else {"text": "\r"} if key == "Enter" else {}
        self.page.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code or key, modifiers=modifiers, **text)
        self.page.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code or key, modifiers=modifiers)

    def focus(self, selector):
        self.page.wait_for(f"document.querySelector({json.dumps(selector)}) !== null")
        self.page.tell(f"document.querySelector({json.dumps(selector)}).focus()")

    def centre(self, selector):
        """Return where the middle of what a selector finds is on the screen, x and y."""
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y, width, height = (self.page.tell(f"{box}.{name}") for name in ("x", "y", "width", "height"))
        return x + width / 2, y + height / 2

    def fold(self, expanded):
        """Press the headings of the stages that are unfolded ("true") or folded ("false")."""
        self.page.tell(f"document.querySelectorAll('.fold[aria-expanded={expanded}]').forEach(f => f.click())")

    def size(self, width, height, touch=False):
        self.page.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=touch
        )
        self.page.call("Emulation.setTouchEmulationEnabled", enabled=touch)
        media = [{"name": "pointer", "value": "coarse" if touch else "fine"}]
        self.page.call("Emulation.setEmulatedMedia", features=media)


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    folder = tmp_path_factory.mktemp("instrument")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CONFIG_HOME", str(folder / "config"))
        meters = {"input.peak_db": -9.0, "input.rms_db": -20.0, "output.peak_db": -6.0, "output.rms_db": -18.0,
                  "load": 0.3, "underruns": 0.0, "latency_ms": 33.3}  # fmt: skip
        instrument = Instrument(None, None)

        def spectrum():
            instrument.listened += 1
            return bytes(range(96))

        setup = Setup(
            load("hall"), lambda: meters, surfaces=True, performs=True, spectra={"input": spectrum, "output": spectrum}
        )
        with oscquery_server(setup.space, 0, 0, advertise=False) as server, opened(server.url, folder) as page:
            instrument.setup, instrument.page, instrument.meters = setup, page, meters
            page.tell("window.drawn = 0; window.counter = new MutationObserver(() => { drawn += 1 })")
            page.tell("counter.observe(document.getElementById('macros'), { childList: true })")
            yield instrument


@pytest.fixture
def instrument(shared):
    shared.size(1440, 900)
    shared.begin()
    yield shared
    assert shared.page.problems == []


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_next_song_is_one_action(instrument, width, height):
    instrument.size(width, height)
    before = instrument.controller.name
    instrument.click("#next")
    until(lambda: instrument.controller.name != before)
    assert instrument.actions == 1
    instrument.press("[")
    until(lambda: instrument.controller.name == before)


@pytest.mark.parametrize(("width", "height"), WIDTHS)
def test_a_fader_is_mapped_in_three_actions(instrument, width, height):
    instrument.size(width, height)
    instrument.click("#more summary")
    instrument.click("#learn")
    instrument.click("#macros .chip")
    until(lambda: instrument.setup.controller_map.learning == "macro.1")
    assert instrument.actions <= 3
    for value in range(10, 60, 4):
        instrument.setup.controller_map.receive(Moved(Control("cc", 1, 7), value))
    until(lambda: [each.knob for each in instrument.setup.controller_map.mappings] == ["macro.1"])
    instrument.setup.controller_map.unlearn("macro.1")
    instrument.page.tell("document.getElementById('learn').click()")


def test_this_sound_is_kept_as_a_snapshot_in_one_action_and_as_a_preset_in_three(instrument):
    instrument.controller.set("macro.1", 0.25)
    instrument.click(".number")
    until(lambda: "snapshot-1" in instrument.setup.space.library.snapshots)
    assert instrument.actions == 1
    instrument.controller.set("macro.1", 0.75)
    instrument.press("1", "Digit1")
    until(lambda: instrument.controller.get("macro.1") == 0.25)

    instrument.actions = 0
    instrument.click("#more summary")
    instrument.click("#save")
    instrument.press("Enter")
    assert instrument.actions <= 3
    instrument.page.wait_for("document.getElementById('preset').textContent === 'my-hall'")
    assert load("my-hall").stages


def test_presets_are_found_by_text_and_tag_and_put_on_the_set_list(instrument):
    library = instrument.setup.space.library
    instrument.click("#preset")
    instrument.page.wait_for("document.querySelectorAll('#browser .load').length > 20")
    instrument.page.call("Input.insertText", text="cello")
    instrument.page.wait_for("document.querySelectorAll('#browser .load').length < 6")
    for name in ("cello", "sing-a-cello"):
        instrument.page.tell(f"document.querySelector('[data-focus=\"setlist {name}\"]').click()")
        until(lambda name=name: name in library.lists["setlist"])
    instrument.page.tell("document.querySelector('[data-focus=\"favourites cello\"]').click()")
    until(lambda: library.lists["favourites"] == ("cello",))
    instrument.page.tell("document.querySelector('[data-focus=\"tag setlist\"]').click()")
    instrument.page.wait_for("document.querySelectorAll('#browser [aria-label$=earlier]').length === 2")
    instrument.page.tell("document.querySelectorAll('#browser [aria-label$=earlier]')[1].click()")
    until(lambda: library.lists["setlist"] == ("sing-a-cello", "cello"))
    instrument.page.tell("document.getElementById('browser').close(); document.activeElement.blur()")
    instrument.press("]")
    until(lambda: instrument.controller.name == "sing-a-cello")
    library.lists.put("setlist", ())


def test_the_chain_is_edited_by_keyboard_and_every_step_taken_back(instrument):
    instrument.begin("edit")
    first, second, *rest = instrument.chain
    instrument.focus(f"[data-stage='{first}'] .grip")
    instrument.press("ArrowDown")
    until(lambda: instrument.chain == [second, first, *rest])
    instrument.page.wait_for(f"document.activeElement === document.querySelector('[data-stage={first}] .grip')")
    instrument.page.tell("const add = document.querySelector('select.add'); add.value = 'delay'; add.onchange()")
    until(lambda: instrument.chain[-1] == "delay")
    instrument.page.wait_for("document.querySelector('[data-stage=delay]') !== null")
    for press, expected in (
        ("Duplicate", [second, first, *rest, "delay", "delay-2"]),
        ("Remove", [second, first, *rest, "delay-2"]),
    ):
        buttons = "[...document.querySelectorAll('[data-stage=delay] .menu button')]"
        instrument.page.tell(f"{buttons}.find(b => b.textContent === '{press}').click()")
        until(lambda expected=expected: instrument.chain == expected)
        instrument.page.wait_for(f"document.querySelectorAll('.stage').length === {len(expected)}")
    for _ in range(4):
        instrument.page.tell("document.activeElement.blur()")
        before = instrument.chain
        instrument.press("z", "KeyZ", 2)
        until(lambda before=before: instrument.chain != before)
    assert instrument.chain == [first, second, *rest]


def test_a_stage_is_dragged_to_another_place(instrument):
    instrument.begin("edit")
    first, second, third, *rest = instrument.chain
    instrument.size(390, 844)
    instrument.page.tell("scrollTo(0, 0)")
    instrument.fold("true")
    (x, y), (_, lower) = (instrument.centre(f"[data-stage={name}] .grip") for name in (first, third))
    for kind, at in (
        ("mousePressed", y),
        ("mouseMoved", y + 10),
        ("mouseMoved", lower + 10),
        ("mouseReleased", lower + 10),
    ):
        instrument.page.call("Input.dispatchMouseEvent", type=kind, x=x, y=at, button="left", buttons=1, clickCount=1)
    until(lambda: instrument.chain == [second, third, first, *rest])
    instrument.page.wait_for(f"document.querySelector('.stage').dataset.stage === '{second}'")
    instrument.fold("false")


def test_values_are_typed_marked_and_go_back_to_the_presets_own(instrument):
    instrument.begin("edit", "stack")
    own = instrument.controller.get("drive.drive")
    dial = "[data-stage=drive] [aria-label=drive]"
    instrument.focus(dial)
    instrument.press("Enter")
    instrument.page.tell("document.activeElement.select()")
    instrument.page.call("Input.insertText", text="31,5 dB")
    instrument.press("Enter")
    until(lambda: instrument.controller.get("drive.drive") == 31.5)
    instrument.page.wait_for(f"document.querySelector('{dial}').parentElement.classList.contains('modified')")
    instrument.focus(dial)
    instrument.press("Delete")
    until(lambda: instrument.controller.get("drive.drive") == own)
    instrument.page.wait_for(f"!document.querySelector('{dial}').parentElement.classList.contains('modified')")


def test_two_fingers_on_the_pad_move_four_macros_and_a_swipe_beside_its_points_none(instrument):
    instrument.size(390, 844, touch=True)
    macros = [f"macro.{number}" for number in range(1, 5)]
    for macro in macros:
        instrument.controller.set(macro, 0.5)
    instrument.controller.set("macro.3", 0.1)
    instrument.page.wait_for(
        "document.querySelector('.point.second').style.getPropertyValue('--x') === '0.10000000149011612'"
    )
    instrument.page.tell("document.getElementById('pad').scrollIntoView({ block: 'center' })")

    def touch(kind, *points):
        touches = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(points)]
        instrument.page.call("Input.dispatchTouchEvent", type=kind, touchPoints=touches)

    (x1, y1), (x2, y2) = instrument.centre(".point.first"), instrument.centre(".point.second")
    touch("touchStart", (x1, y1))
    touch("touchStart", (x1, y1), (x2, y2))
    touch("touchMove", (x1 + 50, y1 - 40), (x2 + 30, y2 + 40))
    least = {"macro.1": 0.55, "macro.2": 0.55, "macro.3": 0.12}
    until(lambda: all(instrument.controller.get(macro) > value for macro, value in least.items()))
    until(lambda: instrument.controller.get("macro.4") < 0.45)
    touch("touchEnd")
    moved = [instrument.controller.get(macro) for macro in macros]
    x, y = instrument.page.tell("document.querySelector('.surface').getBoundingClientRect().x") + 12, y1
    touch("touchStart", (x, y))
    for step in range(0, 120, 10):
        touch("touchMove", (x, y - step))
    touch("touchEnd")
    assert [instrument.controller.get(macro) for macro in macros] == moved


def test_a_locked_page_turns_nothing_and_its_switches_still_act(instrument):
    instrument.click("#more summary")
    instrument.click("#lock")
    calls = len(instrument.setup.sink.calls)
    instrument.page.drag("#macros [role=slider]", 60)
    instrument.press("n")
    instrument.click("#mute")
    until(lambda: instrument.controller.get("mute") is True)
    assert instrument.setup.sink.calls[calls:] == [("mute", True)]
    instrument.click("#mute")
    instrument.click("#more summary")
    instrument.click("#lock")
    instrument.page.wait_for("!document.querySelector('main').inert")


def test_spectra_come_only_while_the_picture_is_in_view(instrument):
    instrument.page.tell("document.getElementById('picture').scrollIntoView()")
    seen = instrument.listened
    until(lambda: instrument.listened > seen + 5)
    pixel = "[...document.querySelector('#picture canvas').getContext('2d').getImageData(359, 10, 1, 1).data].join()"
    instrument.page.wait_for(f"{pixel} !== '16,12,10,255'")
    instrument.page.tell("location.hash = 'edit'")
    instrument.page.wait_for("document.getElementById('play').hidden")

    def rests():
        before = instrument.listened
        instrument.page.tell("new Promise(done => setTimeout(done, 300, 1))")
        return instrument.listened == before

    until(rests)


def test_the_clip_light_stays_until_it_is_pressed(instrument):
    instrument.meters["output.peak_db"] = 0.4
    instrument.page.wait_for("document.querySelectorAll('.clip.lit').length === 1")
    instrument.meters["output.peak_db"] = -6.0
    instrument.page.wait_for(
        "document.querySelectorAll('[role=meter]')[1].getAttribute('aria-valuetext') === '-6.0 dB'"
    )
    instrument.click(".clip.lit")
    instrument.page.wait_for("document.querySelectorAll('.clip.lit').length === 0")


@pytest.mark.parametrize("section", ["play", "edit"])
def test_every_target_of_a_finger_is_large_enough(instrument, section):
    instrument.size(390, 844, touch=True)
    instrument.begin(section, "default")
    targets = "[...document.querySelectorAll('button, select, summary, a, input, [role=slider]:not(.point *)')]"
    size = f"b.width && Math.min(b.width, b.height) < {TARGET_PX}"
    small = instrument.page.tell(
        f"{targets}.filter(e => {{ const b = e.getBoundingClientRect(); return {size} }}).map(e => e.outerHTML)"
    )
    assert small == []


def test_the_page_weighs_little_and_says_what_it_loads():
    files = list(PAGE.iterdir())
    assert sum(file.stat().st_size for file in files) <= MOST_BYTES
    page = (PAGE / "index.html").read_text("utf-8")
    needed, waiting = set(), ["page.js"]
    while waiting:
        name = waiting.pop()
        imports = {
            line.split('"')[-2].removeprefix("./")
            for line in (PAGE / name).read_text("utf-8").splitlines()
            if line.startswith("import ")
        }
        waiting += imports - needed
        needed |= imports
    preloaded = {line.split("/ui/")[1].split('"')[0] for line in page.splitlines() if "modulepreload" in line}
    assert preloaded == needed


def test_the_page_can_be_installed_and_comes_back_by_itself(tmp_path):
    setup = Setup(load("hall"))
    with (
        oscquery_server(setup.space, 0, 0, advertise=False, token="s3cret") as server,
        opened(server.url, tmp_path) as page,
    ):
        manifest = page.tell("fetch(document.querySelector('link[rel=manifest]').href).then(r => r.json())")
        assert manifest["start_url"] == "/ui?token=s3cret"
        for icon in manifest["icons"]:
            assert page.tell(f"fetch('{icon['src']}').then(r => r.ok)")
        port = server.port
        server.stop()
        page.wait_for("document.getElementById('light').className === '' && !document.getElementById('notice').hidden")
        other = Setup(load("stack"))
        with oscquery_server(other.space, port, 0, advertise=False, token="s3cret"):
            page.wait_for("document.getElementById('light').className === 'on'")
            page.wait_for("document.getElementById('preset').textContent === 'stack'")
