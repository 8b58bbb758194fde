"""Every way Reelgate says no, as one closed list.

GatewayError
├── Refused by the request itself (4xx, nothing was created)
│   ├── InvalidRequest              400  a field breaks a rule
│   │   ├── MalformedJson           400  the body is not strict JSON
│   │   └── InvalidTaskId           400  the id cannot be a task id
│   ├── InvalidKey                  401  no key, or one that is wrong, revoked or expired
│   ├── InvalidAdminToken           401  the admin API was called without its token
│   ├── CreditExhausted             402  the hold would pass a credit limit
│   ├── PriceUnknown                402  no price is known and the tenant's credits are limited
│   ├── TenantDisabled              403  the operator switched the tenant off
│   ├── TokenScope                  403  a browser token may not do this
│   ├── TokenSpent                  403  the browser token's tasks or credits are used up
│   ├── OriginNotAllowed            403  the page is of an origin that is not allowed
│   ├── ModelNotAllowed             403  the tenant or key may not use the model
│   ├── UnknownPath                 404  no such route
│   ├── ModelNotFound               404  the catalogue does not hold the model
│   ├── TaskNotFound                404  unknown, expired, or somebody else's
│   ├── TenantNotFound              404  the admin API was asked for a tenant there is not
│   ├── KeyNotFound                 404  the tenant has no such key
│   ├── WebhookNotFound             404  the caller has no such webhook endpoint
│   ├── DeliveryNotFound            404  the endpoint has no such message any more
│   ├── MethodNotAllowed            405  the path exists, the method does not
│   ├── IdempotencyConflict         409  the key was used with another body
│   ├── IdempotencyInFlight         409  the first call with this key is still running
│   ├── TenantExists                409  the id is, or once was, that of another tenant
│   ├── TasksOpen                   409  the tenant still has unfinished tasks
│   ├── KeyEnded                    409  the key was revoked, has expired or was rotated already
│   ├── CannotCancel                409  the task has left for the vendor, or has ended
│   ├── NotResolvable               409  an operator's word does not fit the task's state
│   ├── TooManyWebhooks             409  the tenant has as many webhook endpoints as it may
│   ├── WebhookDisabled             409  the webhook endpoint is switched off
│   ├── RequestTooLarge             413  the body passes the size limit
│   └── UnsupportedMediaType        415  the body is not declared as JSON, or compressed
├── Refused for now (429)
│   ├── RateLimited                 429  too many creates in a minute, or reads in a second
│   ├── TooManyInFlight             429  every slot is taken
│   ├── QueueFull                   429  as many tasks are queued as may be
│   ├── TooManyStreams              429  as many streams are open as may be
│   └── TooManyTokens               429  the key has as many browser tokens as it may
├── Refused by the vendor
│   ├── VendorRefused               400, 404, 413, 415  the vendor rejected the request itself
│   └── UpstreamRejected            502  the vendor rejected the call for a reason of our own
└── Not able to (5xx, nothing was created)
    ├── InternalError               500  a defect of the gateway
    ├── NoVendorKey                 503  no vendor key is configured
    ├── NoVendorCapacity            503  the vendor accepts none of our keys at present
    ├── VendorUnreachable           503  the vendor cannot be reached; nothing was sent
    ├── Overloaded                  503  too many requests wait for the vendor already
    ├── StoreUnavailable            503  Redis does not answer
    ├── StoreForeign                503  the store is empty or another one than it was
    ├── NotReady                    503  a probe: work cannot be done here at present
    └── Stopping                    503  the process is shutting down

A class fixes status, type and reason; its docstring is the published explanation (`docs/errors.md`
is held against it). Messages say what is true and what to do; none carries an internal detail.
"""

from __future__ import annotations

from app.envelope import TYPE_BY_STATUS as TYPE_BY_STATUS
from app.envelope import GatewayError as GatewayError
from app.envelope import closed_list as closed_list
from app.errors.for_now import QueueFull as QueueFull
from app.errors.for_now import RateLimited as RateLimited
from app.errors.for_now import TooManyInFlight as TooManyInFlight
from app.errors.for_now import TooManyStreams as TooManyStreams
from app.errors.for_now import TooManyTokens as TooManyTokens
from app.errors.refused import CannotCancel as CannotCancel
from app.errors.refused import CreditExhausted as CreditExhausted
from app.errors.refused import DeliveryNotFound as DeliveryNotFound
from app.errors.refused import IdempotencyConflict as IdempotencyConflict
from app.errors.refused import IdempotencyInFlight as IdempotencyInFlight
from app.errors.refused import InvalidAdminToken as InvalidAdminToken
from app.errors.refused import InvalidKey as InvalidKey
from app.errors.refused import InvalidRequest as InvalidRequest
from app.errors.refused import InvalidTaskId as InvalidTaskId
from app.errors.refused import KeyEnded as KeyEnded
from app.errors.refused import KeyNotFound as KeyNotFound
from app.errors.refused import MalformedJson as MalformedJson
from app.errors.refused import MethodNotAllowed as MethodNotAllowed
from app.errors.refused import ModelNotAllowed as ModelNotAllowed
from app.errors.refused import ModelNotFound as ModelNotFound
from app.errors.refused import NotResolvable as NotResolvable
from app.errors.refused import OriginNotAllowed as OriginNotAllowed
from app.errors.refused import PriceUnknown as PriceUnknown
from app.errors.refused import RequestTooLarge as RequestTooLarge
from app.errors.refused import TaskNotFound as TaskNotFound
from app.errors.refused import TasksOpen as TasksOpen
from app.errors.refused import TenantDisabled as TenantDisabled
from app.errors.refused import TenantExists as TenantExists
from app.errors.refused import TenantNotFound as TenantNotFound
from app.errors.refused import TokenScope as TokenScope
from app.errors.refused import TokenSpent as TokenSpent
from app.errors.refused import TooManyWebhooks as TooManyWebhooks
from app.errors.refused import UnknownPath as UnknownPath
from app.errors.refused import UnsupportedMediaType as UnsupportedMediaType
from app.errors.refused import WebhookDisabled as WebhookDisabled
from app.errors.refused import WebhookNotFound as WebhookNotFound
from app.errors.unable import InternalError as InternalError
from app.errors.unable import NotReady as NotReady
from app.errors.unable import NoVendorCapacity as NoVendorCapacity
from app.errors.unable import NoVendorKey as NoVendorKey
from app.errors.unable import Overloaded as Overloaded
from app.errors.unable import Stopping as Stopping
from app.errors.unable import StoreForeign as StoreForeign
from app.errors.unable import StoreUnavailable as StoreUnavailable
from app.errors.unable import UpstreamRejected as UpstreamRejected
from app.errors.unable import VendorRefused as VendorRefused
from app.errors.unable import VendorUnreachable as VendorUnreachable
