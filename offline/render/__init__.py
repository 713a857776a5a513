"""`gramophone render`: files through a preset, several at once, each one whole or not at all."""

from __future__ import annotations

from gramophone.offline.render.batch import RenderOutcome, render_all
from gramophone.offline.render.inputs import Inputs, find_inputs
from gramophone.offline.render.manifest import Manifest, ManifestError
from gramophone.offline.render.plan import RenderPlan, announced_seconds, plan
from gramophone.offline.render.render_file import Rendered, RenderError, RenderRequest, render_file
from gramophone.offline.urls import Place

__all__ = [
    "Inputs",
    "Manifest",
    "ManifestError",
    "RenderError",
    "RenderOutcome",
    "RenderPlan",
    "RenderRequest",
    "Rendered",
    "announced_seconds",
    "find_inputs",
    "open_manifest",
    "plan",
    "render_all",
    "render_file",
]


def open_manifest(at: Place, request: RenderRequest) -> Manifest:
    """Return the manifest at a place, for runs of this request; it need not be there yet.

    Raises:
        ManifestError: another file is there.
        UrlError: it cannot be read.
    """
    return Manifest(at, request.settings)
