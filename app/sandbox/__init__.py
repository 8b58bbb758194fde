"""An imitation of the video vendor, so that everything can be tried without a vendor key.

Written from the vendor's public documents alone and importing nothing of the gateway, so that a
misreading of the contract on one side is not repeated on the other. It has two forms with one code:

* in process (`SandboxOptions(stateless=True)`): every answer follows from the request and the
  clock, so any process may answer for any task;
* over HTTP (`app.sandbox.server`): the same, with a journal, faults, a movable clock, idempotency,
  credits and callbacks.
"""

from app.sandbox.app import create_sandbox
from app.sandbox.options import SandboxOptions

__all__ = ["SandboxOptions", "create_sandbox"]
