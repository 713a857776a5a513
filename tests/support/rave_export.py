"""Build a RAVE v2 with random weights by its own code, and export it by its own script: `rave_export.py PACKAGES OUT`.

`PACKAGES` holds `acids-rave` and what it imports (see the Makefile). Its pins are older than what is here, so what has
moved since is put back under its old name: `scipy.signal.kaiser`, `firwin(nyq=)`, arrays of one number taken as
numbers. Stand-ins that raise if they are called are what the export never calls: `torchaudio` (spectrograms of the
training's loss) and `udls` (data sets). Everything that is exported is RAVE's own.
"""

import sys
import types
from pathlib import Path

import numpy as np
import scipy.signal
import torch

LATENTS = 16


class Unused(torch.nn.Module):
    """What only training calls."""

    def __init__(self, *_, **__):
        super().__init__()

    def forward(self, *_):
        raise RuntimeError("a stand-in was called")


class Absent(types.ModuleType):
    """A package that only training uses."""

    __all__ = ()

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Unused


def of_numbers(function):
    """Let a function take arrays of one number, as it did."""
    return lambda *args, **named: function(*(float(a[0]) if np.shape(a) == (1,) else a for a in args), **named)


def put_back():
    for name in ("torchaudio", "torchaudio.transforms", "udls", "udls.transforms", "udls.generated"):
        sys.modules[name] = Absent(name)
    sys.modules["torchaudio"].transforms = sys.modules["torchaudio.transforms"]
    firwin = of_numbers(scipy.signal.firwin)
    scipy.signal.kaiser = scipy.signal.windows.kaiser
    scipy.signal.kaiserord = of_numbers(scipy.signal.kaiserord)
    scipy.signal.firwin = lambda *args, nyq, **named: firwin(*args, fs=2 * nyq, **named)


def save_run(folder):
    """Write a run as RAVE's training leaves it, of random weights and of as many latents as are usual."""
    import gin
    import rave

    gin.parse_config_files_and_bindings(["v2.gin"], [])
    torch.manual_seed(0)
    model = rave.RAVE(n_channels=1)
    model.fidelity.copy_(torch.linspace(0, 1, model.latent_size) >= LATENTS / model.latent_size)
    model.latent_pca.copy_(torch.linalg.qr(torch.randn(model.latent_size, model.latent_size))[0])
    checkpoints = folder / "version_0" / "checkpoints"
    checkpoints.mkdir(parents=True)
    torch.save({"state_dict": model.state_dict()}, checkpoints / "best.ckpt")
    (folder / "config.gin").write_text(gin.config_str())
    gin.clear_config()


if __name__ == "__main__":
    packages, out = sys.argv[1:]
    sys.path.insert(0, packages)
    torch.set_num_threads(1)
    put_back()
    save_run(Path(out) / "run")
    from absl import app
    from scripts import export

    arguments = ["export", f"--run={out}/run", "--streaming", f"--output={out}", "--name=rave"]
    app.run(export.main, arguments)
