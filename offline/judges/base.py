"""The error of evaluations."""

from __future__ import annotations


class EvaluationError(RuntimeError):
    """An evaluation cannot be made; the message says what is missing."""
