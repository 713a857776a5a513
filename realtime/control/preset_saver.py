"""The saver: writes what plays to the user's own presets, in a thread of its own, since disks take their time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gramophone.models.parameters import Value
from gramophone.presets import Preset, is_own, own_folder, read, save, save_own
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.parameter_table import concise, table


class PresetSaver:
    """Saves a desk's preset. `snapshot` returns what plays with what its stages hold beside their knobs.

    `tell` is given the outcome in words that name no folder. Any thread may call; nothing waits but `close`.
    """

    def __init__(self, controller: Controller, snapshot: Callable[[], Preset], tell: Callable[[str], None]) -> None:
        self._controller, self._snapshot, self._tell = controller, snapshot, tell
        self._thread = ThreadPoolExecutor(1, "saver")

    def save(self, wanted: str = "", replaces: bool = True) -> None:
        """Save what plays as `wanted`, or under its own name; from then on it is called so.

        Where there is a preset of that name, it is written over if `replaces`; else nothing is saved.
        """
        self._thread.submit(self._guarded, lambda: self._save(wanted, replaces))

    def keep_mappings(self) -> None:
        """Write the mappings, and nothing else, to the preset that plays if it is one of the user's own."""
        self._thread.submit(self._guarded, self._keep_mappings)

    def close(self) -> None:
        """Finish what is being saved."""
        self._thread.shutdown()

    def _save(self, wanted: str, replaces: bool) -> None:
        saved = save_own(self._playing(), wanted, replaces)
        self._controller.rename(saved)
        self._tell(f"saved as {saved.name}")

    def _playing(self) -> Preset:
        """Return the desk's preset with the state of its stages, as briefly as it can be said."""
        held = self._snapshot()
        preset = self._controller.preset
        knobs, chain = table(preset), {(stage.name, stage.kind) for stage in preset.stages}
        state: dict[tuple[str, str], Value] = {
            (stage.name, key): value
            for stage in held.stages
            if (stage.name, stage.kind) in chain
            for key, value in stage.values.items()
            if f"{stage.name}.{key}" not in knobs
        }
        written = read(preset.path) if preset.path and preset.path.is_file() else None
        return concise(preset.with_values(state), written)

    def _keep_mappings(self) -> None:
        preset = self._controller.preset
        if is_own(preset) and preset.path:
            save(replace(read(preset.path), midi=preset.midi), preset.path)

    def _guarded(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as error:  # whatever it is, somebody waits for an answer
            self._tell(f"not saved: {error}".replace(str(own_folder()), "presets"))
