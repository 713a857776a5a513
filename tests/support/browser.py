"""A real browser, without a window, driven over its own debugging protocol."""

import base64
import contextlib
import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from websockets.sync.client import connect

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Page:
    """A page in a headless browser, driven over its own debugging protocol."""

    def __init__(self, socket):
        self._socket = socket
        self._count = 0
        self.problems = []

    def call(self, method, **params):
        self._count += 1
        self._socket.send(json.dumps({"id": self._count, "method": method, "params": params}))
        while True:
            answer = json.loads(self._socket.recv(30))
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.problems.append(answer["params"])
            if answer.get("id") == self._count:
                return answer["result"]

    def tell(self, expression):
        """Return what an expression is in the page."""
        result = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")

    def wait_for(self, expression, seconds=20):
        end = time.monotonic() + seconds
        while not self.tell(expression):
            assert time.monotonic() < end, (expression, self.problems)
            time.sleep(0.05)

    def drag(self, selector, up):
        """Drag an element by its middle, `up` pixels upwards."""
        self.tell(f"document.querySelector({json.dumps(selector)}).scrollIntoView({{ block: 'center' }})")
        box = f"document.querySelector({json.dumps(selector)}).getBoundingClientRect()"
        x, y = self.tell(f"{box}.x + {box}.width / 2"), self.tell(f"{box}.y + {box}.height / 2")
        for kind, where in (("mousePressed", y), ("mouseMoved", y - up), ("mouseReleased", y - up)):
            self.call("Input.dispatchMouseEvent", type=kind, x=x, y=where, button="left", buttons=1, clickCount=1)

    def violations(self):
        """Return what axe-core finds wrong in the page as it is: rule and element."""
        if not self.tell("'axe' in window"):
            self.tell(axe_source() + "; 0")
        run = "axe.run(document, { resultTypes: ['violations'] })"
        return self.tell(f"{run}.then(r => r.violations.map(v => [v.id, v.nodes[0].html, v.nodes[0].failureSummary]))")

    def picture(self, path, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        time.sleep(0.3)  # let it be drawn; nothing is asserted about it
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


def axe_source():
    """Return the source of axe-core; skip the test where it is not installed."""
    places = [os.environ.get("NODE_PATH", "")]
    if shutil.which("npm"):
        places.append(subprocess.run(["npm", "root", "-g"], capture_output=True, text=True).stdout.strip())
    files = [Path(place) / "axe-core" / "axe.min.js" for place in places if place]
    found = next((file for file in files if file.is_file()), None)
    if not found:
        pytest.skip("needs axe-core: npm install -g axe-core")
    return found.read_text("utf-8")


@contextlib.contextmanager
def opened(url, folder):
    browser = subprocess.Popen(
        [
            BROWSER, "--headless=new", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-port=0",
            "--remote-allow-origins=*", "--window-size=1200,900", f"--user-data-dir={folder}", "about:blank",
        ],
        stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        port_file = folder / "DevToolsActivePort"
        lines: list[str] = []
        end = time.monotonic() + 120  # the first one after the machine's start takes longest
        while len(lines) != 2:
            assert browser.poll() is None, "the browser ended at its start"
            assert time.monotonic() < end, "the browser does not start"
            time.sleep(0.05)
            lines = port_file.read_text().splitlines() if port_file.is_file() else []
        with connect(f"ws://127.0.0.1:{lines[0]}{lines[1]}", proxy=None, max_size=None) as whole:
            whole.send(json.dumps({"id": 1, "method": "Target.createTarget", "params": {"url": "about:blank"}}))
            target = json.loads(whole.recv(30))["result"]["targetId"]
        address = f"ws://127.0.0.1:{lines[0]}/devtools/page/{target}"
        with connect(address, proxy=None, max_size=None) as socket:
            page = Page(socket)
            for domain in ("Page", "Runtime", "Log"):
                page.call(f"{domain}.enable")
            page.call("Page.navigate", url=url)
            page.wait_for("document.getElementById('light')?.className === 'on'")
            yield page
    finally:
        browser.kill()
        browser.wait()
