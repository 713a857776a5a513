"""What can go wrong with a plug-in: the preset is mistaken about it, or the plug-in itself fails."""

from __future__ import annotations

from gramophone.realtime.stage import StageError


class PluginError(StageError):
    """A plug-in cannot be used as the preset says; the message says what to change."""


class PluginFailedError(RuntimeError):
    """A plug-in hung, crashed or gave up; the message names it and says what happened. The sound goes on without it."""
