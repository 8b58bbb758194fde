"""Submit a video and follow it to its end.

python examples/client.py http://127.0.0.1:8080 rg_live_…    (or GATEWAY and KEY set)
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import httpx2

REQUEST = {"model": "sora-character", "video_url": "https://example.com/video.mp4"}
ATTEMPTS = 6
SILENT_STREAMS = 2  # in a row, until the task is asked for instead


def ask(http: httpx2.Client, method: str, path: str, **more: Any) -> Any:
    """Return the answer to a request that may be repeated, and is, as long as it may help."""
    told, wait_s = "", 0.0
    for _ in range(ATTEMPTS):
        time.sleep(wait_s)
        try:
            answer = http.request(method, path, **more)
        except httpx2.TransportError as failure:
            told, wait_s = repr(failure), 2.0
            continue
        if answer.is_success:
            return answer.json()
        told, wait_s = answer.text, float(answer.headers.get("retry-after", 0))
        if not wait_s:
            break  # an error that does not say when to come back would be the same again
        more.pop("params", None)  # what the gateway cannot wait for it may still answer at once
    sys.exit(f"{method} {path}: {told}")


def submit(http: httpx2.Client, request: dict[str, Any]) -> Any:
    """Create a task; however often the request is sent, its name makes it one task."""
    name = {"Idempotency-Key": str(uuid.uuid4())}
    return ask(http, "POST", "/v1/videos/generations", json=request, headers=name)


def changes(http: httpx2.Client, task_id: str) -> Iterator[Any]:
    """Yield the task as it is, and whenever it has changed: told by events, else asked for."""
    path, last_id, retry_s, silent = f"/v1/tasks/{task_id}", "", 1.0, 0
    while silent < SILENT_STREAMS:
        silent += 1
        resumed = {"Last-Event-ID": last_id} if last_id else {}
        with (
            suppress(httpx2.HTTPError),
            http.stream("GET", f"{path}/events", headers=resumed) as stream,
        ):
            for event in httpx2.EventSource(stream.raise_for_status()):
                last_id, silent = event.id or last_id, 0
                retry_s = event.retry / 1000 if event.retry else retry_s
                if event.event.startswith("task."):
                    yield event.json()
        time.sleep(retry_s)
    while True:
        # Answered when the task has changed; also at once, if it has ended.
        yield ask(http, "GET", path, params={"wait": 30})
        time.sleep(retry_s)


def main(gateway: str, key: str) -> int:
    """Submit the request, show each change, and print the result."""
    headers = {"Authorization": f"Bearer {key}"}
    # The gateway says something every 15 s; a line that is silent for longer is dead.
    with httpx2.Client(base_url=gateway, headers=headers, timeout=45) as http:
        for task in changes(http, submit(http, REQUEST)["id"]):
            print(task["id"], task["status"], f"{task['progress']} %", flush=True)
            if task["status"] in ("completed", "failed"):
                print(json.dumps(task.get("result_data") or task.get("error"), indent=2))
                return 0 if task["status"] == "completed" else 1
    return 1


if __name__ == "__main__":
    usual = "http://127.0.0.1:8080"
    sys.exit(main(*(sys.argv[1:] or [os.environ.get("GATEWAY", usual), os.environ["KEY"]])))
