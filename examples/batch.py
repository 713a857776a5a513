"""A folder of sounds through a preset, from Python: what `gramophone render` does, where you need it as a function.

python batch.py FOLDER OUT [PRESET] [stage.knob=value ...]
"""

import sys
from pathlib import Path

from gramophone.presets import load
from gramophone.realtime.engine import Engine
from gramophone.realtime.files import EXTENSIONS, AudioReader, AudioWriter, SoundFileError
from gramophone.realtime.parameter_table import overridden

folder, out = Path(sys.argv[1]), Path(sys.argv[2])
name = sys.argv[3] if len(sys.argv) > 3 else "choir"
preset = overridden(load(name), sys.argv[4:])
out.mkdir(parents=True, exist_ok=True)

for source in sorted(path for path in folder.iterdir() if path.suffix.lower() in EXTENSIONS):
    try:
        with AudioReader(source) as reader:
            engine = Engine(preset, reader.rate, reader.channels)
            result = out / f"{source.stem}.wav"
            with AudioWriter(result, reader.rate, reader.channels) as writer:
                for block in engine.aligned(reader.blocks(4096)):  # in line with the input, and of its length
                    writer.write(block)
            engine.close()
            print(f"{source.name} -> {result}")
    except SoundFileError as error:  # one bad file ends nothing; what was begun of its result is gone
        print(f"{source.name}: {error}", file=sys.stderr)
