"""The plug-in stage: a VST3 or Audio Unit in a chain, which continues without it when it hangs or crashes.

[[stages]]
name = "comp"
kind = "plugin"
plugin = "ZamCompX2"       # its name in the standard plug-in folders, or a path
threshold = -20            # its parameters, by their names in small letters
"""

from __future__ import annotations

import base64
import binascii
import logging
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from gramophone.models.parameters import Value
from gramophone.realtime.dsp.delay_line import DelayLine
from gramophone.realtime.stage import Audio, Format, Keys, Stage, refuse_setting
from gramophone.realtime.stages.plugins import scan
from gramophone.realtime.stages.plugins.child_main import PluginSource
from gramophone.realtime.stages.plugins.description import SETTINGS, PluginError, PluginFailedError
from gramophone.realtime.stages.plugins.host import PluginHost

_log = logging.getLogger(__name__)
_SETTLE_MS = 2.0
"""Time constant at which the step from a failed plug-in's last sample to the dry sound decays."""


class PluginStage(Stage):
    """Plays a plug-in in a child process. Once the plug-in fails, it is bypassed for the rest of the stage's life.

    Raises:
        PluginError: there is no such plug-in, or its settings do not fit it.
    """

    @classmethod
    def keys(cls, values: Mapping[str, Value], folder: Path | None) -> Keys:
        """Return the plug-in's parameters, cached or read from it, and the stage's settings.

        Raises:
            PluginError: there is no such plug-in, or its settings do not fit it.
        """
        settings = _settings(values, folder)
        try:
            knobs = scan.describe(
                str(settings["plugin"]), _source(settings), float(settings["load_timeout"])
            ).parameters
        except PluginFailedError:
            return Keys((), settings, open=True)
        return Keys(knobs, settings)

    def __init__(self, form: Format, values: Mapping[str, Value]) -> None:
        settings = _settings(values, None)
        self._name = name = str(settings["plugin"])
        source, load_s = _source(settings), float(settings["load_timeout"])
        self._host: PluginHost | None = None
        self._status = ""
        try:
            scan.describe(name, source, load_s)  # raises at once if it failed before
            self._host = PluginHost(name, source, form, values, load_s)
        except PluginFailedError as failure:
            self._give_up(failure)
        self.delay = self._host.delay if self._host else 0
        self._dry = DelayLine(form.channels, self.delay)
        self._last = np.zeros((form.channels, 1), np.float32)
        self._settle = np.float32(np.exp(-1000 / (_SETTLE_MS * form.rate)))

    @property
    def status(self) -> str:
        """Why the plug-in failed; empty while it plays."""
        return self._status

    @property
    def pid(self) -> int | None:
        """The id of the plug-in's process; None once it has failed."""
        return self._host.pid if self._host else None

    def set(self, name: str, value: Value) -> None:
        """Set a target, effective from the next block on.

        Raises:
            StageError: `name` is not a parameter but a setting of the stage.
        """
        refuse_setting(name, SETTINGS)
        if self._host:
            self._host.set(name, value)

    def process(self, block: Audio) -> Audio:
        """Return the plug-in's output for `block`, or `block` itself once it has failed; `delay` samples late."""
        dry = self._dry.process(block)
        if not block.shape[1]:
            return dry
        if self._host:
            try:
                wet = self._host.process(block)
                if not np.isfinite(wet).all():  # it would stay in the state of every later filter
                    raise PluginFailedError(f"{self._name}: while playing: sent out NaN or infinity")
            except PluginFailedError as failure:
                self._give_up(failure)
                self._last -= dry[:, :1]
            else:
                self._last = wet[:, -1:].copy()
                return wet
        return self._without_step(dry)

    def snapshot(self) -> Mapping[str, Value]:
        """Return the plug-in's state as a setting; nothing once it has failed."""
        if not self._host:
            return {}
        try:
            return {"state": base64.b64encode(self._host.state()).decode()}
        except PluginFailedError as failure:
            self._give_up(failure)
            return {}

    def close(self) -> None:
        """End the plug-in's process."""
        if self._host:
            self._host.close()
            self._host = None

    def _give_up(self, failure: PluginFailedError) -> None:
        self._status = f"{failure}; bypassed"
        _log.warning("plug-in %s", self._status)
        self.close()

    def _without_step(self, dry: Audio) -> Audio:
        """Return the dry sound plus the decaying remainder, `_last`, of the step that it would begin with."""
        if not self._last.any():
            return dry
        fading = self._last * self._settle ** np.arange(dry.shape[1], dtype=np.float32)
        self._last = fading[:, -1:] * self._settle
        self._last[np.abs(self._last) < 1e-6] = 0
        return dry + fading


def _settings(values: Mapping[str, Value], folder: Path | None) -> dict[str, Value]:
    """Return all settings, with a relative path of the plug-in made absolute.

    Raises:
        PluginError: a setting is missing or of another type.
    """
    settings = {key: values.get(key, default) for key, default in SETTINGS.items()}
    for key, default in SETTINGS.items():
        wanted, expected = (str, "a text") if isinstance(default, str) else (float | int, "a number of seconds above 0")
        value = settings[key]
        if not isinstance(value, wanted) or isinstance(value, bool) or (not isinstance(value, str) and not value > 0):
            raise PluginError(f"{key} = {value!r}: expected {expected}")
    plugin = str(settings["plugin"])
    if not plugin:
        raise PluginError("key 'plugin' is missing: the name or the path of a plug-in")
    if folder and scan.is_path(plugin):
        settings["plugin"] = str(folder.absolute() / Path(plugin).expanduser())
    return settings


def _source(settings: Mapping[str, Value]) -> PluginSource:
    """Return the plug-in that settings name.

    Raises:
        PluginError: there is none, or the state is not base64.
    """
    try:
        state = base64.b64decode(str(settings["state"]), validate=True)
    except binascii.Error:
        raise PluginError("state: expected base64, as it was saved") from None
    return PluginSource(str(scan.find(str(settings["plugin"]))), str(settings["plugin_name"]), state)
