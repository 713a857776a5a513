"""OSCQuery: the tree says what is, values and changes are streamed, and other sites' pages are refused."""

import contextlib
import json
import os
import shutil
import subprocess
import threading
from pathlib import Path
from socket import SHUT_RDWR

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.osc import Setup
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from gramophone.presets import names
from gramophone.realtime.control.osc import osc_server
from gramophone.realtime.control.oscquery import OscQueryError, oscquery_server
from gramophone.realtime.control.oscquery.app import Authentication
from gramophone.realtime.control.oscquery.tree import tree
from gramophone.realtime.control.oscquery.websockets import ListenState
from gramophone.realtime.osc.arguments import RefusedError
from gramophone.realtime.osc.packet import decode, encode

ROOM = "/gramophone/hall/room"


@pytest.fixture
def setup():
    return Setup(meters=lambda: {"output.peak_db": -6.0})


@pytest.fixture
def server(setup):
    with oscquery_server(setup.space, 0, 9000, advertise=False) as server:
        yield server


@pytest.fixture
def web(server):
    with httpx.Client(base_url=f"http://127.0.0.1:{server.port}", trust_env=False) as web:
        yield web


@pytest.fixture
def socket(server):
    with connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as socket:
        yield socket


def command(name, path):
    return json.dumps({"COMMAND": name, "DATA": path})


def leaves(node):
    if "TYPE" in node:
        yield node
    for child in node.get("CONTENTS", {}).values():
        yield from leaves(child)


def test_every_method_is_in_the_tree_and_nothing_else(setup, web):
    nodes = {node["FULL_PATH"]: node for node in leaves(web.get("/").json())}
    assert set(nodes) == set(setup.space.methods)
    for path, node in nodes.items():
        assert web.get(path).json() == node
        for attribute in ("VALUE", "RANGE", "UNIT", "CLIPMODE"):
            assert attribute not in node or len(node[attribute]) == len(node["TYPE"]), (path, attribute)


def test_a_node_says_what_its_knob_is(web):
    node = web.get("/gramophone/filter/frequency").json()
    assert node == {
        "FULL_PATH": "/gramophone/filter/frequency",
        "TYPE": "f",
        "ACCESS": 3,
        "VALUE": [1000.0],
        "DEFAULT_VALUE": [2000.0],
        "PRESET_VALUE": [1000.0],
        "RANGE": [{"MIN": 20.0, "MAX": 20000.0}],
        "CLIPMODE": ["none"],
        "UNIT": ["time.hz"],
        "DESCRIPTION": "where it turns",
    }
    assert web.get("/gramophone/n/filter/frequency").json()["CLIPMODE"] == ["both"]
    assert web.get("/gramophone/preset").json()["RANGE"] == [{"VALS": sorted([*names(), "test"])}]
    assert web.get("/gramophone/meters/output/peak_db").json()["ACCESS"] == 1
    assert web.get("/gramophone/panic").json()["ACCESS"] == 2


@pytest.mark.parametrize(
    ("question", "status", "answer"),
    [
        ("/gramophone/hall/room?VALUE", 200, {"VALUE": [0.5]}),
        ("/gramophone/hall/room?TYPE", 200, {"TYPE": "f"}),
        ("/gramophone/hall?TYPE", 200, {}),
        ("/gramophone/morph?VALUE", 200, {}),
        ("/gramophone/panic?VALUE", 204, None),
        ("/gramophone/hall?VALUE", 204, None),
        ("/gramophone/hall/room?COLOUR", 400, None),
        ("/gramophone/hall/nothing?VALUE", 404, None),
        ("/etc/passwd", 404, None),
        ("/ui/../../../presets/preset.py", 404, None),
        ("/ui/..%2f..%2fapp.py", 404, None),
    ],
)
def test_single_attributes_and_what_is_not_there(web, question, status, answer):
    response = web.get(question)
    assert response.status_code == status
    if answer is not None:
        assert response.json() == answer


def test_host_info_says_where_osc_goes(web):
    info = web.get("/?HOST_INFO").json()
    assert info["OSC_PORT"] == 9000
    assert info["OSC_TRANSPORT"] == "UDP"
    assert info["EXTENSIONS"]["LISTEN"]
    assert info["EXTENSIONS"]["PATH_CHANGED"]


def test_values_listened_to_are_streamed(setup, socket):
    socket.send(command("LISTEN", ROOM))
    assert decode(socket.recv(10)).arguments == (0.5,)
    setup.controller.set("level.gain", 3.0)
    setup.controller.set("hall.room", 0.25)
    assert decode(socket.recv(10)) == (ROOM, "f", (0.25,))
    socket.send(command("IGNORE", ROOM))
    socket.send(command("LISTEN", "/gramophone/level/gain"))
    assert decode(socket.recv(10)).address == "/gramophone/level/gain"
    setup.controller.set("hall.room", 0.75)
    setup.controller.set("level.gain", 4.0)
    assert decode(socket.recv(10)) == ("/gramophone/level/gain", "f", (4.0,))


def test_osc_comes_in_over_the_websocket_and_answers_go_back(setup, socket):
    socket.send(encode(ROOM, (0.125,)))
    socket.send(encode(ROOM))
    assert decode(socket.recv(10)).arguments == (0.125,)
    socket.send(encode("/gramophone/subscribe", (20.0,)))
    seen = {decode(socket.recv(10)).address for _ in range(60)}
    assert {"/gramophone/subscribed", "/gramophone/meters/output/peak_db", "/gramophone/preset"} <= seen


def test_another_preset_is_announced_as_path_changed(setup, web, socket):
    socket.send(command("LISTEN", ROOM))
    socket.recv(10)
    setup.controller.change("robot")
    assert json.loads(socket.recv(10)) == {"COMMAND": "PATH_CHANGED", "DATA": "/"}
    assert "throat" in web.get("/gramophone").json()["CONTENTS"]


COMMANDS = st.text(max_size=50) | st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["COMMAND", "DATA", "X"]), inner),
).map(json.dumps)


@settings(deadline=None)
@given(COMMANDS)
def test_any_text_is_a_command_or_refused(text):
    listening = ListenState(Setup().space)
    try:
        listening.command(text)
    except RefusedError:
        assert list(listening.updates()) == []


def test_junk_on_a_websocket_is_counted_and_survived(setup, socket):
    for junk in ("{", "[]", command("LISTEN", "/nowhere"), command("EXPLODE", "/"), "[" * 4000, b"", os.urandom(64)):
        socket.send(junk)
        assert decode(socket.recv(10)).address == "/gramophone/news"
    socket.send(encode("/gramophone/errors"))
    assert decode(socket.recv(10)).arguments == ("malformed", 6, "unknown address", 1)


def test_a_client_that_does_not_read_holds_up_no_other(setup, server):
    """It requests every parameter, again and again, and never reads a reply."""
    url = f"ws://127.0.0.1:{server.port}/"
    with connect(url, proxy=None, max_queue=1) as deaf, connect(url, proxy=None) as other:

        def ask():
            with contextlib.suppress(ConnectionClosed, OSError):
                while True:
                    deaf.send(encode("//*"))

        asking = threading.Thread(target=ask)
        asking.start()
        for i in range(200):
            other.send(encode(ROOM, (i / 200,)))
            other.send(encode(ROOM))
            assert decode(other.recv(20)).arguments[0] == pytest.approx(i / 200)
        deaf.socket.shutdown(SHUT_RDWR)
        asking.join()


@pytest.mark.parametrize(
    "headers",
    [{"Origin": "http://evil.example"}, {"Origin": "null"}, {"Origin": "http://127.0.0.1:1"}, {"Host": "evil.example"}],
)
def test_pages_of_others_cannot_come_in(setup, server, web, headers):
    assert web.get("/", headers=headers).status_code == 403
    with (
        pytest.raises(InvalidStatus),
        connect(f"ws://127.0.0.1:{server.port}/", proxy=None, additional_headers=headers),
    ):
        pass
    assert setup.sink.calls == []


def test_the_guard_knows_names_addresses_and_tokens():
    auth = Authentication("secret")
    for host in ("127.0.0.1:8080", "localhost", "[::1]:80", "192.168.1.5"):
        assert auth.refusal({"host": host, "origin": f"http://{host}"}, "secret") == ""
        assert auth.refusal({"host": host, "authorization": "Bearer secret"}, "") == ""
        assert "token" in auth.refusal({"host": host}, "guess")
        assert "token" in auth.refusal({"host": host}, "")
    assert auth.refusal({"host": "rebound.example"}, "secret")
    assert auth.refusal({}, "secret")


def test_beyond_this_machine_a_token_is_asked_for(setup):
    with oscquery_server(setup.space, 0, 9000, "0.0.0.0", advertise=False) as server:
        base = f"http://127.0.0.1:{server.port}"
        assert server.token
        assert server.url.endswith(f":{server.port}/ui?token={server.token}")
        for path in ("/", "/?HOST_INFO", "/ui", "/gramophone"):
            assert httpx.get(base + path, trust_env=False).status_code == 403
            joined = f"{path}{'&' if '?' in path else '?'}token={server.token}"
            assert httpx.get(base + joined, trust_env=False).status_code == 200
        with pytest.raises(InvalidStatus), connect(f"ws://127.0.0.1:{server.port}/", proxy=None):
            pass
        with connect(f"ws://127.0.0.1:{server.port}/?token={server.token}", proxy=None) as socket:
            socket.send(encode(ROOM))
            assert decode(socket.recv(10)).arguments == (0.5,)


def test_it_stops_with_clients_connected_and_gives_the_port_back(setup):
    with contextlib.ExitStack() as client:
        with oscquery_server(setup.space, 0, 9000) as server:
            port = server.port
            socket = client.enter_context(connect(f"ws://127.0.0.1:{port}/", proxy=None))
            socket.send(command("LISTEN", ROOM))
            socket.recv(10)
        with pytest.raises(ConnectionClosed):
            socket.recv(10)
    assert not any(thread.name == "oscquery" for thread in threading.enumerate())
    with (
        oscquery_server(setup.space, port, 9000, advertise=False),
        pytest.raises(OscQueryError, match=f"port {port}"),
        oscquery_server(setup.space, port, 9000),
    ):
        pass


def test_it_is_found_by_zeroconf(setup):
    from zeroconf import IPVersion, ServiceBrowser, Zeroconf

    found = threading.Event()
    ports = []

    class Listener:
        def add_service(self, zeroconf, kind, name):
            if not name.startswith("Gramophone test"):
                return  # another test's, played beside this one
            info = zeroconf.get_service_info(kind, name, 5000)
            ports.append(info.port if info else None)
            found.set()

        update_service = remove_service = lambda *_: None

    try:
        browser = Zeroconf(interfaces=["127.0.0.1"], ip_version=IPVersion.V4Only)
    except OSError as error:
        pytest.skip(f"needs multicast on loopback: {error}")
    with oscquery_server(setup.space, 0, 9000, name="Gramophone test") as server:
        ServiceBrowser(browser, "_oscjson._tcp.local.", Listener())
        came = found.wait(20)
        browser.close()
        if not came and setup.errors.get("not advertised"):
            pytest.skip(f"needs multicast on loopback: {setup.shown}")
        assert ports[:1] == [server.port]


def node_modules():
    """Return where Node finds modules, or None."""
    if not shutil.which("node"):
        return None
    places = [os.environ.get("NODE_PATH", "")]
    if shutil.which("npm"):
        places.append(subprocess.run(["npm", "root", "-g"], capture_output=True, text=True).stdout.strip())
    return next((place for place in places if place and (Path(place) / "oscquery").is_dir()), None)


CLIENT = """
const { OSCQueryDiscovery } = require("oscquery");
new OSCQueryDiscovery().queryNewService("127.0.0.1", Number(process.argv[2])).then((service) => {
  const knob = service.resolvePath("/gramophone/filter/frequency");
  console.log(JSON.stringify({
    name: service.hostInfo.name, osc: service.hostInfo.oscPort, listen: service.hostInfo.extensions.LISTEN,
    value: knob.getValue(0), methods: service.flat(),
  }));
});
"""


@pytest.mark.peer
def test_a_client_of_others_reads_the_whole_tree(setup, server, tmp_path):
    modules = node_modules()
    if not modules:
        pytest.skip("needs Node's oscquery: npm install -g oscquery")
    script = tmp_path / "client.js"
    script.write_text(CLIENT)
    done = subprocess.run(
        ["node", script, str(server.port)],
        env={**os.environ, "NODE_PATH": modules},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not done.stderr
    found = json.loads(done.stdout)
    assert (found["name"], found["osc"], found["listen"], found["value"]) == ("Gramophone", 9000, True, 1000)
    methods = {method["full_path"]: method for method in found["methods"]}
    assert set(methods) == set(setup.space.methods)
    assert methods["/gramophone/filter/frequency"]["arguments"][0]["range"] == {"min": 20, "max": 20_000}
    assert methods["/gramophone/filter/mode"]["arguments"][0]["range"]["vals"][0] == "low-12"


def test_udp_and_web_share_what_they_control(setup, web, server):
    with osc_server(setup.space, 0), connect(f"ws://127.0.0.1:{server.port}/", proxy=None) as socket:
        socket.send(encode("/gramophone/mute", (True,)))
        setup.sink.wait_for(lambda calls: ("mute", True) in calls)
    assert web.get("/gramophone/mute?VALUE").json() == {"VALUE": [True]}


def test_a_tree_is_of_one_preset_whatever_comes_while_it_is_made(setup):
    """While presets change as fast as they can, every parameter of every tree has its value."""
    done = threading.Event()

    def change():
        while not done.is_set():
            setup.controller.change("hall")
            setup.controller.change("wide")

    changing = threading.Thread(target=change)
    changing.start()
    try:
        for _ in range(25):
            contents = tree(setup.space)["CONTENTS"]["gramophone"]["CONTENTS"]
            for stage in contents["order"]["VALUE"]:
                assert all("VALUE" in knob for knob in contents[stage]["CONTENTS"].values())
    finally:
        done.set()
        changing.join()
