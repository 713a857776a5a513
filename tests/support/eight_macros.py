"""A preset whose eight macros sound each its own way, values for all of the plug-in's parameters, what they give."""

import numpy as np

from gramophone.presets import load
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.parameter_table import complete
from support.bridge import rendered

SET = {"mix": 0.75} | {f"macro_{i}": i / 10 + 0.05 for i in range(1, 9)}  # none is that of `default`
FREE = {
    "free_1": ("room.damping", 0.3),
    "free_2": ("room.width", 0.4),
    "free_3": ("room.dry", 0.7),
    "free_4": ("room.mix", 0.6),
    "free_5": ("room.room", 0.5),
}
TARGETS = {
    "level.gain": (-12, 0),
    "drive.drive": (0, 20),
    "nasal.frequency": (500, 3000),
    "nasal.gain": (-6, 6),
    "nasal.q": (0.5, 2),
    "echo.wet": (0, 1),
    "echo.feedback": (0, 0.8),
    "room.wet": (0, 0.4),
}
KINDS = {
    "level": "gain",
    "drive": "distortion",
    "nasal": "peak",
    "echo": "delay",
    "room": "reverb",
    "ceiling": "brickwall",
}
EIGHT = "\n".join(
    [
        'title = "Eight"',
        'description = "Eight macros over stages that forget silence, which some hosts play before a bounce."',
        *(f'[[stages]]\nname = "{name}"\nkind = "{kind}"' for name, kind in KINDS.items()),
        *(
            f'[[macros]]\nname = "{knob}"\ntargets = [{{ parameter = "{knob}", low = {low}, high = {high} }}]'
            for knob, (low, high) in TARGETS.items()
        ),
    ]
)


def expected_of(preset, values, free, sound, rate):
    """Return what `render` gives with the host's values and those of its free parameters."""
    controller = Controller(complete(load(preset)), Silent())
    settings = [f"{key.replace('_', '.')}={value}" for key, value in values.items() if key.startswith("macro")]
    for address, position in free.values():
        controller.set_0to1(address, position)
        settings.append(f"{address}={controller.get(address)}")
    wet = rendered(preset, sound, *settings, rate=rate)
    return sound + np.float32(values["mix"]) * (wet - sound)


class Silent:
    """A sink of the controller's changes."""

    def set_many(self, changes):
        """Take values."""

    def change(self, preset):
        """Take a preset."""
