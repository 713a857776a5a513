"""Saving over OSC: by a name for the user's own preset folder, never by a path."""

from __future__ import annotations

from gramophone.presets import PresetError, name_of
from gramophone.realtime.control.osc.method import OscMethod
from gramophone.realtime.control.preset_saver import PresetSaver
from gramophone.realtime.osc import arguments
from gramophone.realtime.osc.error_log import RefusedError
from gramophone.realtime.osc.packet import Message


class SaveMethod(OscMethod):
    """Save what plays; without a name, under the one that it has."""

    types = "s"
    readable = False

    def __init__(self, path: str, saver: PresetSaver) -> None:
        super().__init__(path, path, "save what plays, values and mappings and all, as a preset of this name")
        self._saver = saver

    def check(self, message: Message) -> str:
        """Return the name that is wanted, empty for the one that plays."""
        wanted = arguments.text(message).strip() if message.types else ""
        try:
            if wanted:
                name_of(wanted)
        except PresetError as error:
            raise RefusedError("refused value", f"{message.address}: {error}") from None
        return wanted

    def write(self, checked: str) -> None:
        """Save, in a thread that may take its time."""
        self._saver.save(checked)
