"""What every evaluation needs: its error, and the judges that it asks installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable


class EvaluationError(RuntimeError):
    """An evaluation cannot be made; the message says what is missing."""


def need(libraries: Iterable[str]) -> None:
    """Check that the judges' libraries are there.

    Raises:
        EvaluationError: the extra `evaluate` is not installed.
    """
    missing = [name for name in libraries if not importlib.util.find_spec(name)]
    if missing:
        raise EvaluationError(f"not installed: {', '.join(missing)}; pip install 'gramophone[evaluate]' has them")
