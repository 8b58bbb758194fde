"""Receive webhooks: check the signature, keep each message once, answer at once, work later.

WEBHOOK_SECRET=whsec_… python examples/receiver.py 8099
"""

from __future__ import annotations

import json
import os
import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from standardwebhooks import Webhook, WebhookVerificationError

LONGEST_BODY_BYTES = 1024 * 1024
SILENCE_S = 10


class Inbox:
    """The messages that were received; what a message asks for is done from here, and not before.

    It is kept in a file: a message that was answered with 200 will not come again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._opened() as store:
            store.execute("CREATE TABLE IF NOT EXISTS inbox (id TEXT PRIMARY KEY, body BLOB)")

    def put(self, message_id: str, body: bytes) -> bool:
        """Keep a message; False if it was received before, as happens when an answer is lost."""
        with self._opened() as store:
            kept = store.execute("INSERT OR IGNORE INTO inbox VALUES (?, ?)", (message_id, body))
            return kept.rowcount == 1

    @contextmanager
    def _opened(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self._path, timeout=SILENCE_S)) as store, store:
            yield store


class Receiver(BaseHTTPRequestHandler):
    """Answers 204 to what is genuine and new or known, 400 and 401 to all else."""

    timeout = SILENCE_S
    verifier: Webhook
    inbox: Inbox

    def do_POST(self) -> None:
        """Take one message."""
        length = self.headers.get("content-length", "")
        if not length.isdecimal() or int(length) > LONGEST_BODY_BYTES:
            self._answer(413 if length.isdecimal() else 411)
            return
        # The signature is of these bytes: JSON that is read and written anew would be others.
        body = self.rfile.read(int(length))
        try:
            message = self.verifier.verify(body, dict(self.headers.items()))
        except WebhookVerificationError as failure:
            print(f"refused: {failure}", flush=True)
            self._answer(401)
            return
        except ValueError as failure:
            print(f"refused, for it is malformed: {failure}", flush=True)
            self._answer(400)
            return
        message_id = self.headers["webhook-id"]
        is_new = self.inbox.put(message_id, body)
        print("received" if is_new else "again", message_id, told(message), flush=True)
        self._answer(204)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *words: Any) -> None:
        """Keep quiet: what happens is printed above."""


def told(message: dict[str, Any]) -> str:
    """Say what a message tells: an endpoint is sent an envelope, a callback_url the bare task."""
    task = message.get("data", message)
    return json.dumps({"id": task.get("id"), "status": task.get("status")})


def main(port: int) -> None:
    """Receive on a loopback port until Ctrl-C."""
    Receiver.verifier = Webhook(os.environ["WEBHOOK_SECRET"])
    Receiver.inbox = Inbox(Path(os.environ.get("INBOX", "inbox.sqlite3")))
    with ThreadingHTTPServer(("127.0.0.1", port), Receiver) as server:
        print(f"receiving at http://127.0.0.1:{server.server_port}/", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 8099)
