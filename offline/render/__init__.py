"""`gramophone render`: files through a preset, several at once, each one whole or not at all."""

from __future__ import annotations

from gramophone.offline.render.batch import RenderOutcome, render_all
from gramophone.offline.render.inputs import Inputs, find_inputs
from gramophone.offline.render.plan import RenderPlan, announced_seconds, plan
from gramophone.offline.render.render_file import Rendered, RenderError, RenderRequest, render_file

__all__ = [
    "Inputs",
    "RenderError",
    "RenderOutcome",
    "RenderPlan",
    "RenderRequest",
    "Rendered",
    "announced_seconds",
    "find_inputs",
    "plan",
    "render_all",
    "render_file",
]
