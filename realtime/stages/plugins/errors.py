"""The errors of plug-ins: the preset does not fit the plug-in, or the plug-in itself fails."""

from __future__ import annotations

from gramophone.realtime.stage import StageError


class PluginError(StageError):
    """A plug-in cannot be used as the preset says; the message says what to change."""


class PluginFailedError(RuntimeError):
    """A plug-in hung or crashed; the message names it and says what happened. The audio continues without it."""
