"""The lines that a training run sends to its caller, as text for people."""

from __future__ import annotations

from typing import Any


def described(line: dict[str, Any]) -> str:
    """Return a line of the run's log as text.

    A line has `words`, what the run is doing or a remark; or `step` and `seconds`, with `bits`, the mean training loss
    since the last line, or `held_out`, the validation losses by name. `steps` is the total and `left_s` the time left.
    """
    if "words" in line:
        return str(line["words"])
    held_out = "".join(f"  {name} {bits:.3f}" for name, bits in line.get("held_out", {}).items())
    figures = f"held out:{held_out}" if held_out else f"{line['bits']:.3f} bits"
    total = f" of {line['steps']}" if "steps" in line else ""
    left = f"  {_duration(line['left_s'])} left" if line.get("left_s") is not None else ""
    return f"step {line['step']:7d}{total}  {line['seconds']:8.0f} s{left}  {figures}"


def show(line: dict[str, Any]) -> None:
    """Print a line of the run's log as text."""
    print(described(line), flush=True)


def _duration(seconds: float) -> str:
    """Return a duration in its largest unit but one: `45 s`, `12 min`, `3 h 05 min`."""
    minutes = round(seconds / 60)
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60:02d} min"
