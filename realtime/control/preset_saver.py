"""Saving what plays to the user's own presets, in a thread of its own, since disks take their time."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

from gramophone.models.parameters import Value
from gramophone.presets import Preset, is_own, own_folder, read, save, save_own
from gramophone.realtime.control.controller import Controller
from gramophone.realtime.parameter_table import concise, table


class PresetSaver:
    """Saves a controller's preset. `snapshot` returns what plays with what its stages hold beside their parameters.

    `report` is called with the outcome, a sentence that names no folder. Any thread may call; only `close` waits.
    """

    def __init__(self, controller: Controller, snapshot: Callable[[], Preset], report: Callable[[str], None]) -> None:
        self._controller, self._snapshot, self._report = controller, snapshot, report
        self._thread = ThreadPoolExecutor(1, "saver")

    def save(self, wanted: str = "", replaces: bool = True) -> None:
        """Save what plays under the name `wanted`, or its own; that is its name from then on.

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
        self._report(f"saved as {saved.name}")

    def _playing(self) -> Preset:
        """Return the controller's preset with the state of its stages, without values that are defaults."""
        held = self._snapshot()
        preset = self._controller.preset
        parameters, chain = table(preset), {(stage.name, stage.kind) for stage in preset.stages}
        state: dict[tuple[str, str], Value] = {
            (stage.name, key): value
            for stage in held.stages
            if (stage.name, stage.kind) in chain
            for key, value in stage.values.items()
            if f"{stage.name}.{key}" not in parameters
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
        except Exception as error:  # whatever it is, it has to be reported
            self._report(f"not saved: {error}".replace(str(own_folder()), "presets"))
