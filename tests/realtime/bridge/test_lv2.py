"""The plug-in's LV2 bundles, as lilv reads them."""

import pytest

pytestmark = pytest.mark.peer


@pytest.mark.parametrize(("uri", "inputs"), [("urn:gramophone:bridge", 2), ("urn:gramophone:bridge-mono", 1)])
def test_an_lv2_host_finds_ports_presets_latency_and_what_it_sets_in_bounces(installed, uri, inputs):
    shown = installed.run(["lv2info", uri]).stdout
    assert "http://lv2plug.in/ns/lv2core#freeWheeling" in shown
    assert "Has latency:       yes" in shown
    assert all(f"macro_{number}" in shown for number in range(1, 9))
    assert shown.count("http://lv2plug.in/ns/lv2core#AudioPort") == 2 * inputs
    assert "choir" in shown or "(default)" in shown
