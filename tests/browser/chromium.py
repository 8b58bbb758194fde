"""A headless Chromium, spoken to in its DevTools protocol over a WebSocket."""

from __future__ import annotations

import asyncio
import base64
import itertools
import json
import os
import shutil
import signal
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Self

import aiohttp

from tests.support.wait import Found, wait_in_thread, wait_until

START_TIMEOUT_S = 20.0
STOP_TIMEOUT_S = 10.0
ANSWER_TIMEOUT_S = 20.0
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--remote-debugging-port=0",
    # Whatever a page may try: there is nobody but this machine.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)
KEYS = {"Tab": ("Tab", 9, ""), "Enter": ("Enter", 13, "\r")}


def find_chromium() -> str | None:
    """Return the program, or None where there is none."""
    return next(filter(None, map(shutil.which, PROGRAMS)), None)


class Chromium:
    """A browser with a profile of its own, from construction to `close`."""

    def __init__(self, program: str, folder: Path) -> None:
        self._port_file = folder / "profile" / "DevToolsActivePort"
        self.log = folder / "chromium.log"
        with self.log.open("wb") as output:
            self._process = subprocess.Popen(
                [program, *FLAGS, f"--user-data-dir={folder / 'profile'}", "about:blank"],
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        try:
            self.address = wait_in_thread(
                self._find_address, describing="Chromium to listen", within_s=START_TIMEOUT_S
            )
        except BaseException:
            self.close()
            raise

    def _find_address(self) -> str:
        assert self._process.poll() is None, self.log.read_text("utf-8", "replace")
        if not self._port_file.exists():
            return ""
        port, _, path = self._port_file.read_text().partition("\n")
        return f"ws://127.0.0.1:{port}{path}" if path else ""

    def close(self) -> None:
        """End it with all its processes."""
        if self._process.poll() is None:
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_TIMEOUT_S)
        with suppress(ProcessLookupError):
            # It leads a group of its own, in which nobody else is.
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()

    @asynccontextmanager
    async def tab(self) -> AsyncIterator[Tab]:
        """Open a page in a fresh profile, which is forgotten with it."""
        async with (
            aiohttp.ClientSession() as http,
            http.ws_connect(self.address, max_msg_size=0) as line,
        ):
            tab = Tab(line)
            await tab.open()
            yield tab
            await tab.close()


class Tab:
    """One page: what it shows, what it asked the network for, what it complained about.

    `events` are all that the browser told, in order, each with `method` and `params`.
    """

    def __init__(self, line: aiohttp.ClientWebSocketResponse) -> None:
        self._line = line
        self._numbers = itertools.count(1)
        self._session = ""
        self._profile = ""
        self.events: list[dict[str, Any]] = []

    async def open(self) -> Self:
        """Make the profile and the page, and listen."""
        self._profile = (await self.call("Target.createBrowserContext"))["browserContextId"]
        target = await self.call(
            "Target.createTarget", url="about:blank", browserContextId=self._profile
        )
        attached = await self.call(
            "Target.attachToTarget", targetId=target["targetId"], flatten=True
        )
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Network", "Log", "Audits"):
            await self.call(f"{domain}.enable")
        return self

    async def close(self) -> None:
        """Forget the page and its profile."""
        self._session = ""
        await self.call("Target.disposeBrowserContext", browserContextId=self._profile)

    async def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Give the browser an order and return its answer; events before it are kept."""
        number = next(self._numbers)
        order = {"id": number, "method": method, "params": params}
        if self._session:
            order["sessionId"] = self._session
        await self._line.send_json(order)
        async with asyncio.timeout(ANSWER_TIMEOUT_S):
            while True:
                said: dict[str, Any] = await self._line.receive_json()
                if said.get("id") == number:
                    assert "error" not in said, f"{method}: {said['error']}"
                    found: dict[str, Any] = said["result"]
                    return found
                self.events.append(said)

    async def go(self, address: str) -> None:
        """Load a page."""
        await self._load("Page.navigate", url=address)

    async def reload(self) -> None:
        """Load the page again."""
        await self._load("Page.reload")

    async def _load(self, order: str, **params: Any) -> None:
        before = len(self.events)
        begun = await self.call(order, **params)
        assert "errorText" not in begun, begun
        await self.until(
            lambda: any(each["method"] == "Page.loadEventFired" for each in self.events[before:]),
            describing="the page to be loaded",
        )

    async def run(self, script: str) -> Any:
        """Return what a script comes to in the page; a promise is waited for."""
        done = await self.call(
            "Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    async def until(self, condition: Callable[[], Found], *, describing: str) -> Found:
        """Wait for a condition on what the browser has told."""

        async def glance() -> Found:
            # An order that changes nothing: whatever is told before its answer is read.
            await self.call("Page.enable")
            return condition()

        return await wait_until(glance, describing=describing, within_s=ANSWER_TIMEOUT_S)

    async def texts(self, *parts: str) -> list[str]:
        """Return what parts of the page say at one moment; "" where one is hidden."""
        shown = await self.run(
            f"{json.dumps(parts)}.map((id) => document.getElementById(id))"
            ".map((part) => part?.checkVisibility() ? part.innerText : '')"
        )
        return [str(each) for each in shown]

    async def text(self, part: str) -> str:
        """Return what a part of the page says to those who see it."""
        return (await self.texts(part))[0]

    async def until_text(self, part: str, wanted: str) -> str:
        """Wait until a part of the page says something."""

        async def said() -> str:
            found = await self.text(part)
            return found if wanted in found else ""

        return await wait_until(
            said, describing=f"{wanted!r} in #{part}", within_s=ANSWER_TIMEOUT_S
        )

    async def write(self, part: str, words: str) -> None:
        """Put words into a field in place of what it holds, as if typed."""
        await self.run(f"document.getElementById({json.dumps(part)}).select()")
        await self.call("Input.insertText", text=words)

    async def press(self, key: str) -> None:
        """Press a key and let it go."""
        code, number, text = KEYS[key]
        common = {"key": key, "code": code, "windowsVirtualKeyCode": number}
        await self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
        await self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    async def click(self, part: str) -> None:
        """Click in the middle of a part of the page."""
        x, y = await self.run(
            f"(() => {{ const part = document.getElementById({json.dumps(part)});"
            " part.scrollIntoView({block: 'nearest'});"
            " const box = part.getBoundingClientRect();"
            " return [box.x + box.width / 2, box.y + box.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            await self.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )

    async def picture(self) -> bytes:
        """Return what the page looks like, as a PNG."""
        taken = await self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        return base64.b64decode(taken["data"])

    def told(self, method: str) -> list[dict[str, Any]]:
        """Return what was told by events of one kind."""
        return [each["params"] for each in self.events if each["method"] == method]

    def requests(self, ending: str = "") -> list[dict[str, Any]]:
        """Return the requests that the page made, to addresses that end so.

        What the browser asks by itself, whether the page may ask, is not among them.
        """
        made = [told["request"] for told in self.told("Network.requestWillBeSent")]
        return [
            each
            for each in made
            if each["url"].partition("?")[0].endswith(ending) and each["method"] != "OPTIONS"
        ]

    async def bodies(self, origin: str) -> str:
        """Return all that a server has sent the page."""
        told = self.told("Network.requestWillBeSent")
        ours = {each["requestId"] for each in told if each["request"]["url"].startswith(origin)}
        found = [
            await self.call("Network.getResponseBody", requestId=each["requestId"])
            for each in self.told("Network.loadingFinished")
            if each["requestId"] in ours
        ]
        return "\n".join(each["body"] for each in found)

    def complaints(self) -> list[str]:
        """Return what stands in the console: errors, warnings and what was never caught."""
        logged = [told["entry"] for told in self.told("Log.entryAdded")]
        said = [told for told in self.told("Runtime.consoleAPICalled") if told["type"] != "log"]
        issues = [told["issue"]["code"] for told in self.told("Audits.issueAdded")]
        return [
            *(f"{entry['level']}: {entry['text']}" for entry in logged),
            *(json.dumps(told["args"]) for told in said),
            *(told["exceptionDetails"]["text"] for told in self.told("Runtime.exceptionThrown")),
            *issues,
        ]
