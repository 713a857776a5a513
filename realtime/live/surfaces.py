"""The control surfaces of a live session: OSC, OSCQuery with the control page, and MIDI."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from gramophone.presets import Preset
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.control.midi import MidiError, midi_controls
from gramophone.realtime.control.midi.controller_map import ControllerMap
from gramophone.realtime.control.midi.tempo_sources import following
from gramophone.realtime.control.preset_saver import PresetSaver
from gramophone.realtime.live.capture import capture_input, record_take
from gramophone.realtime.live.pictures import LevelTap, SpectrumTap
from gramophone.realtime.live.rig import SessionRig
from gramophone.realtime.live.session import Session
from gramophone.realtime.live.shared_state import BlockRing
from gramophone.realtime.live.supervisor import ATTACHED

if TYPE_CHECKING:  # they take time to load, and may not be used
    from gramophone.realtime.control.osc import AddressSpace
    from gramophone.realtime.control.osc.method import OscMethod
    from gramophone.realtime.control.osc.server import OscServer
    from gramophone.realtime.control.oscquery.app import MoreRoutes
    from gramophone.realtime.control.oscquery.server import OscQueryServer
    from gramophone.realtime.control.performance.clips import OwnClips
    from gramophone.realtime.control.performance.devices import Devices
    from gramophone.realtime.live.messages import Event

_FOLDERS = re.compile(r"/(?:[^/\n:'\"]+/)+")
"""What the network is not shown: where files lie."""

ShowNews = Callable[[str], None]
ShowSurface = Callable[[str, Callable[[], str]], None]
_REACHED = {"page": "the address of the control page", "OSC": "the UDP port", "MIDI": "the inputs that are open"}
_CLOSED = "closed"


class SurfaceView(Protocol):
    """Shows where control surfaces can be reached."""

    def show_surface(self, name: str, where: Callable[[], str]) -> None:
        """Show a surface, and where it is reached; `where` returns that as it is now."""

    def show_code(self, url: str) -> None:
        """Show an address so that a phone's camera reads it."""


@dataclass(frozen=True)
class Surfaces:
    """Which controls are open. Ports: None is closed; `host` other than this machine needs `allow` (OSC peers).

    `midi`: names of inputs, none for every one that is plugged in; None is closed. `midi_backend`: by which of
    `control.midi.backends()`, None for the first that works. `token` guards the page beyond this machine. `tempo`:
    sources of the tempo beside MIDI clock, `jack`, `jack:SERVER` or `link`.
    """

    osc_port: int | None = 9000
    http_port: int | None = 9001
    host: str = "127.0.0.1"
    allow: tuple[str, ...] = ()
    token: str = ""
    midi: tuple[str, ...] | None = ()
    tempo: tuple[str, ...] = ()
    midi_backend: str | None = None

    def on(
        self,
        controller: Controller,
        session: Session,
        show_news: ShowNews,
        controller_map: ControllerMap | None = None,
        view: SurfaceView | None = None,
    ) -> Iterator[AbstractContextManager[object]]:
        """Yield the controls, to be opened one after the other; `show_news` shows errors, and what was saved.

        `controller_map` is used, and closed, where the caller has made one. `view` shows where they are reached.

        Raises:
            OSError: a port is taken, or the host is open to others without a list of those allowed.
            TempoError: a source of the tempo cannot be used.
        """
        from gramophone.realtime.control.osc import AddressSpace, ErrorLog
        from gramophone.realtime.control.oscquery.uploads import clip_routes, take_routes
        from gramophone.realtime.control.performance.actions import Performance
        from gramophone.realtime.control.performance.audition_clip import AuditionClip
        from gramophone.realtime.control.performance.clips import OwnClips
        from gramophone.realtime.control.performance.devices import Devices
        from gramophone.realtime.control.performance.history import History
        from gramophone.realtime.control.performance.takes import Takes

        def publish(news: str) -> None:
            show_news(news)
            space.notices.publish(news)

        def go_back(_playing: Preset) -> None:
            space.notices.publish(f"{controller.name} cannot be played; the terminal says why")
            controller.revert(lambda: session.preset)

        def report_failure(error: Exception) -> None:
            space.notices.publish("the preset cannot be played; the terminal says why")
            show_news(str(error))

        def show_surface(name: str, where: Callable[[], str]) -> None:
            reached[name] = where
            space.changed()
            if view:
                view.show_surface(name, where)

        def tap(ring: BlockRing) -> Callable[[], bytes]:
            return SpectrumTap(ring, shared.status).levels

        def rate() -> int:
            return int(shared.status["rate"])

        def levels() -> dict[str, float]:
            sides = {"input": inputs.level().as_dict(), "output": outputs.level().as_dict()}
            newest = {f"{side}.{name}": level for side, both in sides.items() for name, level in both.items()}
            return session.meters() | newest

        shared = session.shared
        reached: dict[str, Callable[[], str]] = {}
        osc_ports: list[int] = []
        inputs, outputs = LevelTap(shared.inputs, shared.status), LevelTap(shared.outputs, shared.status)
        controller_map = controller_map or ControllerMap(controller)
        saver = PresetSaver(controller, session.snapshot, publish)
        space = AddressSpace(
            controller,
            levels,
            errors=ErrorLog(show_news),
            controller_map=controller_map,
            saver=saver,
            router=session,
            spectra={"input": tap(shared.inputs), "output": tap(shared.outputs)},
        )
        Performance(controller, space.library, space.morpher, controller_map)
        clips = OwnClips(controller, space, partial(capture_input, session.shared))
        takes = Takes(controller, space, partial(record_take, session, show_news))
        auditions = (
            [] if session.audio.choice == ATTACHED else [AuditionClip(controller, space, shared.audition.put, rate)]
        )
        devices = None if session.audio.choice == ATTACHED else Devices(SessionRig(session), space)
        _follow(session, clips, devices)
        History(controller)
        space.add(_session_methods(session, reached))
        session.on_refused, session.on_status = go_back, space.changed
        controller.listen_failures(report_failure)
        for part in (controller_map, space, saver, clips, takes):
            yield closing(part)
        for audition in auditions:
            yield closing(audition)
        if self.osc_port is not None:
            yield self._osc(space, self.osc_port, show_surface, osc_ports)
        if self.http_port is not None:
            more: list[MoreRoutes] = [partial(clip_routes, clips), take_routes]
            osc_port = osc_ports[0] if osc_ports else 0
            yield self._page(space, self.http_port, osc_port, show_news, show_surface, view, more)
        if self.midi is not None:
            yield _midi(controller_map, self.midi, self.midi_backend, show_news, show_surface, space, devices)
        if self.tempo:
            yield following(controller_map, self.tempo)

    @contextmanager
    def _osc(self, space: AddressSpace, port: int, show_surface: ShowSurface, ports: list[int]) -> Iterator[OscServer]:
        """Serve OSC; its port, which is another where 0 asks for a free one, is added to `ports`."""
        from gramophone.realtime.control.osc import osc_server

        with osc_server(space, port, self.host, self.allow) as server:
            ports.append(server.port)
            show_surface("OSC", lambda: f"port {server.port}")
            yield server

    @contextmanager
    def _page(
        self,
        space: AddressSpace,
        port: int,
        osc_port: int,
        show_news: ShowNews,
        show_surface: ShowSurface,
        view: SurfaceView | None,
        more: Sequence[MoreRoutes],
    ) -> Iterator[OscQueryServer]:
        """Serve OSCQuery and the page; where other machines reach it, show its address, with the token they need."""
        from gramophone.realtime.control.oscquery import oscquery_server

        with oscquery_server(space, port, osc_port, self.host, token=self.token, more=more) as server:
            if server.token:
                show_news(f"control page for other machines: {server.url}")
            show_surface("page", lambda: server.url)
            if view and server.token:
                view.show_code(server.url)
            yield server


def midi_inputs(names: Sequence[str] | None) -> tuple[str, ...] | None:
    """Return `Surfaces.midi` for the names given on the command line; the one name `none` closes MIDI."""
    return None if names and list(names) == ["none"] else tuple(names or ())


def _session_methods(session: Session, reached: Mapping[str, Callable[[], str]]) -> Iterator[OscMethod]:
    """Yield what shows where the session is reached, and what has to be done before the chosen preset plays."""
    from gramophone.realtime.control.osc.address_space import ROOT
    from gramophone.realtime.control.osc.parameter_methods import ReadOnlyMethod

    def where(name: str) -> tuple[str]:
        return (_without_token(reached[name]() if name in reached else _CLOSED),)

    announcements, root = session.announcements, f"{ROOT}/session"
    for name, description in _REACHED.items():
        yield ReadOnlyMethod(f"{root}/{name.lower()}", "s", description, partial(where, name))
    yield ReadOnlyMethod(
        f"{root}/status", "s", "what is done before the preset plays; empty: it plays", lambda: (announcements.status,)
    )
    left_s = ReadOnlyMethod(
        f"{root}/compiling",
        "i",
        "seconds until the code for this machine is compiled; -1: nothing is compiled",
        lambda: (-1 if announcements.compiling_s is None else announcements.compiling_s,),
    )
    left_s.unit = "s"
    yield left_s


def _without_token(address: str) -> str:
    """Return an address as any peer of OSC may read it: the token is for HTTP."""
    return address.partition("?")[0]


def _follow(session: Session, clips: OwnClips, devices: Devices | None) -> None:
    """Let clips and devices know what the session has to say, beside those who are called already."""
    on_event, on_news = session.on_event, session.on_news

    def note_event(event: Event) -> None:
        on_event(event)
        if event.name == "take":
            clips.learned(event.address)

    def note_news(news: str) -> None:
        on_news(news)
        if not clips.remarked(news) and devices:
            devices.show(_FOLDERS.sub("", news))

    session.on_event, session.on_news = note_event, note_news


@contextmanager
def _midi(
    controller_map: ControllerMap,
    names: tuple[str, ...],
    backend: str | None,
    show_news: ShowNews,
    show_surface: ShowSurface,
    space: AddressSpace,
    devices: Devices | None,
) -> Iterator[None]:
    """Let MIDI controllers play; a machine without MIDI plays on without, unless a device was asked for by name."""
    with ExitStack() as stack:
        try:
            controls = stack.enter_context(midi_controls(controller_map, names or None, backend))
            controls.on_change = space.choices_changed
            show_surface("MIDI", lambda: ", ".join(controls.inputs) or "no device")
            if devices:
                devices.serve_midi(controls, names or None)
        except MidiError as error:
            if names:
                raise
            show_news(str(error))
        yield
