"""A real headless Chromium, driven over WebDriver with only the standard library.

The two programs are found by path, and nothing is downloaded. Without them the tests are skipped, and say so.
"""

import base64
import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

_PATIENCE = 30.0  # seconds that the browser may take for anything
_ARGUMENTS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
)
KEYS = {"Enter": "\ue007", "Escape": "\ue00c", "ArrowDown": "\ue015", "ArrowUp": "\ue013", "Tab": "\ue004"}

# For each kind of element with visible text, the lowest contrast with its background (WCAG 2, relative luminance).
_CONTRASTS = """
    const light = (colour) => {
      const [r, g, b] = colour.match(/[\\d.]+/g).map(Number).map((v) => v / 255)
        .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4));
      return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const ground = (one) => {
      for (; one; one = one.parentElement) {
        const colour = getComputedStyle(one).backgroundColor;
        if (!/, 0\\)$/.test(colour)) return colour;
      }
      return "rgb(255, 255, 255)";
    };
    const found = {};
    for (const one of document.querySelectorAll("body *")) {
      const text = [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
      if (!text || one.closest("svg, script, style, noscript, option") || !one.checkVisibility()) continue;
      const [a, b] = [light(getComputedStyle(one).color), light(ground(one))].sort((x, y) => y - x);
      const name = one.tagName + "." + one.className;
      found[name] = Math.min(found[name] ?? 99, (a + 0.05) / (b + 0.05));
    }
    return found
"""


class Browser:
    """One window. Every command is a request to chromedriver (W3C WebDriver), and fails loudly."""

    def __init__(self, port: int, chromium: str, profile: Path) -> None:
        self._base = f"http://127.0.0.1:{port}"
        options = {"binary": chromium, "args": [*_ARGUMENTS, f"--user-data-dir={profile}"]}
        always = {"browserName": "chrome", "goog:chromeOptions": options, "goog:loggingPrefs": {"browser": "ALL"}}
        session = self._ask("POST", "/session", {"capabilities": {"alwaysMatch": always}})
        self._base += f"/session/{session['sessionId']}"

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._base + path, data, {"Content-Type": "application/json"}, method=method)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=_PATIENCE) as answer:  # noqa: S310 (it is ours)
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            with error:
                pytest.fail(f"{method} {path}: {error.read().decode()[:2000]}")

    def open(self, path: Path, fragment: str = "") -> None:
        """Open a file, afresh."""
        self._ask("POST", "/url", {"url": "about:blank"})
        self._ask("POST", "/url", {"url": path.as_uri() + (f"#{fragment}" if fragment else "")})

    def run(self, script: str, *arguments: object) -> Any:
        """Return what a script returns."""
        return self._ask("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def press(self, *keys: str) -> None:
        """Press keys, one after another, wherever the focus is."""
        typed = [KEYS.get(key, key) for key in keys]
        actions = [{"type": kind, "value": key} for key in typed for kind in ("keyDown", "keyUp")]
        self._ask("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": actions}]})

    def click(self, selector: str) -> None:
        """Click the first element of a selector with a mouse."""
        found = self._ask("POST", "/element", {"using": "css selector", "value": selector})
        self._ask("POST", f"/element/{next(iter(found.values()))}/click", {})

    def resize(self, width: int, height: int = 900) -> None:
        """Give the page this much room, also less than a window can be narrow."""
        numbers = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self._devtools("Emulation.setDeviceMetricsOverride", numbers)

    def prefer(self, scheme: str, media: str = "") -> None:
        """Prefer a `dark` or `light` page, or one to be printed."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self._devtools("Emulation.setEmulatedMedia", {"media": media, "features": features})

    def _devtools(self, command: str, parameters: dict[str, Any]) -> None:
        self._ask("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def contrasts(self) -> dict[str, float]:
        """Return how much the text of each kind of element stands out from its ground."""
        found: dict[str, float] = self.run(_CONTRASTS)
        return found

    def log(self) -> list[str]:
        """Return what stood in the console since the last time."""
        return [entry["message"] for entry in self._ask("POST", "/se/log", {"type": "browser"})]

    def screenshot(self, path: Path) -> None:
        """Write what is to be seen as PNG."""
        path.write_bytes(base64.b64decode(self._ask("GET", "/screenshot")))

    def until(self, script: str, *arguments: object) -> Any:
        """Wait until a script returns something that is true, and return it."""
        deadline = time.monotonic() + _PATIENCE
        while not (found := self.run(script, *arguments)):
            if time.monotonic() > deadline:
                pytest.fail(f"never came true: {script}")
            time.sleep(0.02)
        return found

    def quit(self) -> None:
        """Close the window, and with it the browser."""
        self._ask("DELETE", "")


@pytest.fixture(scope="session")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser, driver = (shutil.which(name) for name in ("chromium", "chromedriver"))
    if browser is None or driver is None:
        pytest.skip("chromium and chromedriver are not both installed: no page was looked at in a browser")
    folder = tmp_path_factory.mktemp("chromium")
    port = _free_port()
    with (folder / "driver.log").open("wb") as log:
        process = subprocess.Popen([driver, f"--port={port}"], stdout=log, stderr=log)
        try:
            _wait_for(port, process)
            made = Browser(port, browser, folder / "profile")
            yield made
            made.quit()
        finally:
            process.terminate()
            process.wait(_PATIENCE)


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """A browser that is wide and light. A test in which the console complained has failed."""
    chromium.resize(1280)
    chromium.prefer("light")
    chromium.log()
    yield chromium
    assert chromium.log() == []


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def _wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline and process.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.02)
        else:
            return
    pytest.fail(f"chromedriver did not come up (exit code {process.poll()})")
