"""`reelgate demo`: a newcomer's first minute, made of the commands a user starts."""

from __future__ import annotations

import json
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Final

import httpx2
import typer
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.text import Text

from app.cli.console import CommandFailed, out
from app.cli.demo_children import (
    Child,
    Children,
    StopAsked,
    StopSignals,
    environment_with,
    free_port,
    refusal_of,
)

USUAL_PORT: Final = 8080
TASK_TIMEOUT_S: Final = 30.0
ANSWER_TIMEOUT_S: Final = 10.0
WATCH_INTERVAL_S: Final = 0.5
VIDEO_SECONDS: Final = "2"
CREATE_PATH: Final = "/v1/videos/generations"
LIMITS: Final = '{"credits_per_day": "10", "tasks_in_flight": 5}'
REQUEST: Final = {
    "model": "sora-character",
    "video_url": "https://example.com/video.mp4",
    "timestamps": "1,3",
}
FAILING_URL: Final = (
    "https://example.com/video.mp4?sandbox=outcome:failed,code:service_error,seconds:2"
)

Show = Callable[[str, int], None]


def demo(
    once: Annotated[
        bool, typer.Option("--once", help="End after the first task instead of serving on.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            help="Port of the gateway; 8080 where it is free. 0 takes a free one.",
            min=0,
            max=65_535,
        ),
    ] = None,
) -> None:
    """Start everything with a sandbox vendor, follow one video to its end, serve until Ctrl-C."""
    with StopSignals() as signals:
        try:
            with tempfile.TemporaryDirectory(prefix="reelgate-demo-") as folder:
                _run(Path(folder), signals, _choose_port(port), once=once)
        except StopAsked:
            if once:
                raise CommandFailed("stopped before the task was completed") from None
    _say("Everything is stopped and removed.")


def _run(folder: Path, signals: StopSignals, port: int, *, once: bool) -> None:
    url, vendor_port = f"http://127.0.0.1:{port}", free_port()
    variables = {
        "REELGATE_DATA_DIR": str(folder),
        "REELGATE_VENDOR__BASE_URL": f"http://127.0.0.1:{vendor_port}",
        "REELGATE_VENDOR__KEYS": "sk-demo-not-a-real-key",
        "REELGATE_POLL__FIRST_DELAY_S": "1",
        "REELGATE_POLL__MIN_INTERVAL_S": "0.5",
        "REELGATE_POLL__MAX_INTERVAL_S": "1",
        # A receiver of webhooks on this machine, such as the one in examples/, may be called.
        "REELGATE_WEBHOOK__ALLOW_NETWORKS": "127.0.0.0/8",
        "REELGATE_WEBHOOK__ALLOW_HTTP": "true",
    }
    _say("A gateway, its store and a sandbox in the vendor's place, all on this machine.\n")
    for name, value in variables.items():
        _say(f"$ export {name}={shlex.quote(value)}", style="cyan")
    with Children(
        folder, environment_with(variables), signals, lambda line: _say(line, style="cyan")
    ) as children:
        key = _start_all(children, url, vendor_port)
        client = httpx2.Client(
            base_url=url,
            trust_env=False,
            timeout=ANSWER_TIMEOUT_S,
            headers={"authorization": f"Bearer {key}"},
        )
        with client as http, _translated(children):
            task_id = _submit(http)
            finished = _follow(http, task_id, children, signals)
        _say_result(finished, children)
        if once:
            _say("\nWithout --once the demo goes on serving and shows what to try next.")
            return
        _say_next_steps(url, key, task_id, children.shown("task", "show", task_id), folder)
        while True:
            signals.pause(WATCH_INTERVAL_S)
            children.check()


def _choose_port(wanted: int | None) -> int:
    if wanted is None:
        refusal = refusal_of(USUAL_PORT)
        if refusal is None:
            return USUAL_PORT
        chosen = free_port()
        _say(f"Port {USUAL_PORT} cannot be used ({refusal}), so the gateway takes {chosen}.")
        return chosen
    if wanted and (refusal := refusal_of(wanted)):
        raise CommandFailed(
            f"cannot listen on port {wanted} ({refusal}): name another with --port, or leave it out"
        )
    return wanted or free_port()


def _start_all(children: Children, url: str, vendor_port: int) -> str:
    """Start the servers and, while they come up, make a tenant and a key; return the key."""
    children.start("sandbox", "--port", str(vendor_port), "--seconds", VIDEO_SECONDS, serves=True)
    children.start("serve", "--port", url.rpartition(":")[2], serves=True)
    # The command line works on the store, which whoever comes first starts and the others join.
    children.output_of(children.start("tenant", "add", "demo", "--json", "--limits", LIMITS))
    issued: dict[str, str] = json.loads(
        children.output_of(children.start("key", "issue", "demo", "--json"))
    )
    _wait_for(children, f"{url}/readyz")
    _wait_for(children, f"http://127.0.0.1:{vendor_port}/_sandbox/clock")
    return issued["key"]


def _wait_for(children: Children, address: str) -> None:
    for _ in children.glances(f"an answer at {address}"):
        try:
            if httpx2.get(address, trust_env=False, timeout=ANSWER_TIMEOUT_S).is_success:
                return
        except httpx2.TransportError:
            continue


@contextmanager
def _translated(children: Children) -> Iterator[None]:
    """Tell a lost answer of the gateway as the death behind it, where there is one."""
    try:
        yield
    except httpx2.TransportError as failure:
        children.check()
        raise CommandFailed(f"the gateway did not answer ({type(failure).__name__})") from failure


def _submit(http: httpx2.Client) -> str:
    _say(f"\nPOST {CREATE_PATH}  {_compact(REQUEST)}")
    answer = http.post(CREATE_PATH, json=REQUEST)
    if answer.status_code != httpx2.codes.OK:
        raise CommandFailed(f"the gateway refused the request: {answer.text}")
    task_id: str = answer.json()["id"]
    _say(f"GET  /v1/tasks/{task_id}  until it is completed")
    return task_id


def _follow(
    http: httpx2.Client, task_id: str, children: Children, signals: StopSignals
) -> dict[str, Any]:
    """Ask for the task as often as the gateway allows, and return it completed."""
    until_s = time.monotonic() + TASK_TIMEOUT_S
    with _progress() as show:
        while time.monotonic() < until_s:
            answer = http.get(f"/v1/tasks/{task_id}")
            if answer.status_code == httpx2.codes.OK:
                task: dict[str, Any] = answer.json()
                show(task["status"], int(task["progress"]))
                if task["status"] == "completed":
                    return task
                if task["status"] == "failed":
                    raise CommandFailed(f"the task failed: {json.dumps(task['error'])}")
            elif "retry-after" not in answer.headers:
                raise CommandFailed(f"the gateway refused to show the task: {answer.text}")
            signals.pause(float(answer.headers.get("retry-after", "1")))
            children.check()
    raise CommandFailed(f"the task was not completed within {TASK_TIMEOUT_S:.0f} s")


@contextmanager
def _progress() -> Iterator[Show]:
    """Show a bar on a terminal; elsewhere a plain line for each change."""
    if not sys.stdout.isatty() or out.is_dumb_terminal:
        shown: list[str] = []

        def say_change(status: str, percent: int) -> None:
            line = f"     {status} {percent}%"
            if shown[-1:] != [line]:
                shown.append(line)
                _say(line)

        yield say_change
        return
    columns = (TextColumn("     {task.description:<12}"), BarColumn(), TaskProgressColumn())
    with Progress(*columns, TimeElapsedColumn(), console=out) as bar:
        row = bar.add_task("pending", total=100)
        yield lambda status, percent: bar.update(row, description=status, completed=percent)


def _say_result(task: dict[str, Any], children: Children) -> None:
    _say("\n" + json.dumps(task, indent=2, ensure_ascii=False) + "\n")
    looking: Child = children.start("task", "show", task["id"], "--json")
    record: dict[str, Any] = json.loads(children.output_of(looking))
    _say(f"Charged to tenant demo: {record['charged_credits']} credits.", style="bold")


def _say_next_steps(url: str, key: str, task_id: str, show_command: str, folder: Path) -> None:
    failing = REQUEST | {"video_url": FAILING_URL}
    submit = f'  curl -s {url}{CREATE_PATH} -H "Authorization: Bearer $KEY" \\\n'
    submit += "    -H 'Content-Type: application/json' -d"
    _say("\nGo on from another terminal, in this directory:", style="bold")
    _say(f"  export KEY={key}")
    _say(f"{submit} '{_compact(REQUEST)}'")
    _say(f'  curl -s {url}/v1/tasks/{task_id} -H "Authorization: Bearer $KEY"')
    _say("\nA task that fails, for testing (the sandbox reads its part from the address):")
    _say(f"{submit} '{_compact(failing)}'")
    _say("\nThe task as operators see it, with its ledger:")
    _say(f"  REELGATE_DATA_DIR={shlex.quote(str(folder))} {show_command}")
    _say(f"\nThe API, to read and to try: {url}/docs")
    _say(f"Logs of this demo: {folder}/serve.log and {folder}/sandbox.log")
    _say("\nServing until Ctrl-C.", style="bold")


def _compact(value: dict[str, str]) -> str:
    return json.dumps(value, separators=(",", ":"))


def _say(text: str, *, style: str = "") -> None:
    # As Text, so that nothing in it is taken for markup; printed at once, also into a pipe.
    out.print(Text(text, style))
