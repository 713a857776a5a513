"""One folder of the user's holds everything that can be made again."""

from gramophone.realtime.system.cache_folder import cache_folder


def test_the_xdg_variable_says_where(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "a b"))
    assert cache_folder("onnx", "x.onnx") == tmp_path / "a b" / "gramophone" / "onnx" / "x.onnx"
    assert not (tmp_path / "a b").exists()


def test_without_it_the_folder_is_below_the_home_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache_folder().is_relative_to(tmp_path)
    assert cache_folder().name == "gramophone"
