"""A real browser, without a window, driven over its own debugging protocol."""

import base64
import contextlib
import json
import shutil
import subprocess
import time

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

    def picture(self, path, width, height):
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600
        )
        time.sleep(0.3)  # let it be drawn; nothing is asserted about it
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot")["data"]))


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
        for _ in range(600):
            if port_file.is_file() and len(lines := port_file.read_text().splitlines()) == 2:
                break
            time.sleep(0.05)
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
