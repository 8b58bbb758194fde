"""Reading what a caller sent: bodies within a limit and strict, headers within their grammar."""

from __future__ import annotations

import re
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final

from fastapi import Request
from fastapi.routing import APIRoute
from starlette.responses import Response

from app.domain import strict_json
from app.errors import InvalidRequest, RequestTooLarge, UnsupportedMediaType

_LENGTH: Final = re.compile(r"[0-9]{1,19}")
_VISIBLE_ASCII: Final = re.compile(r"[\x21-\x7e]{1,255}")


class StrictRequest(Request):
    """A request whose body is read only as far as the limit, and whose JSON is strict."""

    async def body(self) -> bytes:
        """Return the whole body.

        Raises:
            RequestTooLarge: it passes the limit; it was not read to its end.
        """
        if not hasattr(self, "_body"):
            limit: int = self.app.state.max_body_bytes
            declared = self.headers.get("content-length", "")
            if _LENGTH.fullmatch(declared) and int(declared) > limit:
                raise RequestTooLarge(f"Request body too large: at most {limit} bytes are read")
            read = bytearray()
            async for chunk in self.stream():
                read += chunk
                if len(read) > limit:
                    raise RequestTooLarge(f"Request body too large: at most {limit} bytes are read")
            self._body = bytes(read)
        return self._body

    async def json(self) -> Any:
        """Return the body as a strict JSON object.

        Raises:
            UnsupportedMediaType: it is not declared as JSON, or compressed.
            MalformedJson: it is not strict JSON.
        """
        return strict_json.parse_object(await self.json_bytes())

    async def json_bytes(self) -> bytes:
        """Return the body of a request that declares it as JSON.

        Raises:
            UnsupportedMediaType: it is declared as something else, or not at all, or compressed.
        """
        # Nothing is unpacked: a kilobyte could become a gigabyte.
        if set(_listed(self, "content-encoding")) - {"identity", ""}:
            raise UnsupportedMediaType(
                "Unsupported content encoding: send the body uncompressed, without Content-Encoding"
            )
        declared = {
            each.partition(";")[0].strip().lower() for each in self.headers.getlist("content-type")
        }
        if declared != {"application/json"}:
            raise UnsupportedMediaType
        return await self.body()


def _listed(request: Request, header: str) -> Iterator[str]:
    """Return the members of a header that is a list, in lower case."""
    for line in request.headers.getlist(header):
        yield from (member.strip().lower() for member in line.split(","))


class StrictRoute(APIRoute):
    """A FastAPI route whose handler is given a `StrictRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wrap the framework's handler."""
        handle = super().get_route_handler()

        async def handle_strictly(request: Request) -> Response:
            return await handle(StrictRequest(request.scope, request.receive))

        return handle_strictly


def idempotency_key(request: Request) -> str:
    """Return the `Idempotency-Key` of a request, or "" where it has none.

    `X-Evo-Run-Id` is a synonym that counts where the other is missing; a quoted string means its
    content.

    Raises:
        InvalidRequest: repeated, empty, too long, or not visible ASCII.
    """
    for header in ("Idempotency-Key", "X-Evo-Run-Id"):
        given = request.headers.getlist(header)
        if not given:
            continue
        value = given[0].strip()
        if len(value) >= 2 and value[0] == value[-1] == '"':
            value = value[1:-1]
        if len(given) > 1 or _VISIBLE_ASCII.fullmatch(value) is None:
            raise InvalidRequest(
                f"{header} must be given once, as 1 to 255 visible ASCII characters", param=header
            )
        return value
    return ""
