"""`gramophone play --audio file`: what does not go with a file is refused, never silently left undone."""

import pytest
from typer.testing import CliRunner

from gramophone.offline.cli.main import app
from gramophone.presets import CLIPS


@pytest.mark.parametrize("option", ["--record", "--inputs"])
def test_what_goes_with_a_device_alone_is_refused_for_a_file(option, tmp_path):
    asked = [option, str(tmp_path / "take") if option == "--record" else "1,2"]
    result = CliRunner().invoke(
        app, ["play", str(CLIPS / "voice.flac"), "--preset", "lo-fi", "--audio", "file", *asked]
    )
    assert result.exit_code == 2
    assert option in result.output
    assert not any(tmp_path.iterdir())
