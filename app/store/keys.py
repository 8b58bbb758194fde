"""Every key in Redis: its name, its type and its life.

A tenant's records lie in one of `SHARD_COUNT` shards. All keys of a shard carry its hash tag, so
one script may touch a tenant's records and its shard's schedules, also on a cluster.

    rg:meta                        hash    schema, shard count, epoch; permanent
    rg:key:{<sha256>}              hash    tenant, key id, mode of an API key; permanent. A browser
                                           token's ends with it
    rg:{vendor}:polls:<vendor key> hash    read budget of a vendor key; expires when it is whole
    rg:{vendor}:claim:<vendor id>  string  the doubtful task it is taken for; expires after a minute
    rg:{vendor}:balance            string  the last look at the vendor's balance; 40 days
    rg:{vendor}:balance_turn       string  a process looks at it now; expires after minutes
    rg:{vendor}:stock              string  the last reckoning of what is reserved; a day
    rg:{vendor}:stock_turn         string  a process reckons now; expires after a minute
    rg:{sNN}:epoch                 string  the store's identity, checked by every create; permanent
    rg:{sNN}:marks                 hash    the last marks of admissions and dispatches; permanent
    rg:{sNN}:tenants               set     tenant ids of the shard; permanent
    rg:{sNN}:origins               hash    tenant to the origins of its pages; permanent
    rg:{sNN}:tenant:<tenant>       hash    name, group, state, limits; permanent
    rg:{sNN}:keys:<tenant>         set     ids of the tenant's API keys; permanent
    rg:{sNN}:key:<tenant>:<key>    hash    state, expiry, limits of an API key; permanent. A browser
                                           token's, `<key>~<token>`, ends with it
    rg:{sNN}:tokens:<tenant>:<key> zset    a key's browser tokens by their end; ends with the last
    rg:{sNN}:task:<task>           hash    one task; no expiry while open, then the retention time
    rg:{sNN}:ledger:<task>         list    every movement of the task's money; lives as the task
    rg:{sNN}:story:<task>          list    what an operator reads of a task's way; lives as the task
    rg:{sNN}:request:<task>        string  body for the vendor; deleted once the vendor has it
    rg:{sNN}:idem:<tenant>:…       hash    an idempotency key; no expiry while open, then a day
    rg:{sNN}:slots:<scope>         set     ids of tasks in flight; empties itself
    rg:{sNN}:rate:<scope>          hash    create bucket; expires when it would be full again
    rg:{sNN}:reads:<scope>         hash    read bucket; the same
    rg:{sNN}:usage:<tenant>:…      hash    tasks and credits of a day or month; 400 days
    rg:{sNN}:list:<tenant>:…       zset    task ids by creation time; empties itself
    rg:{sNN}:notice:<task>         string  a notice was heeded; expires after seconds
    rg:{sNN}:queue:<tenant>:<mode> zset    queued tasks by their place; empties itself
    rg:{sNN}:dispatch              zset    tenants with queued tasks, by the next look; permanent
    rg:{sNN}:polls                 zset    submitted tasks by the time of their next read; permanent
    rg:{sNN}:sends                 zset    tasks being sent, by the time of their doubt; permanent
    rg:{sNN}:doubts                zset    tasks in doubt by the time of the next step; permanent
    rg:{sNN}:retires               zset    finished tasks by the time they are forgotten; permanent
    rg:{sNN}:deliveries            zset    receivers with messages to come, by the next; permanent
    rg:{sNN}:delivering            zset    receivers being told, by the end of the lease; permanent
    rg:{sNN}:news:<tenant>:<mode>  stream  the last 1,000 changes of its tasks; a day after the last
    rg:{sNN}:webhooks:<tenant>:…   hash    what its endpoints want to be told; permanent
    rg:{sNN}:webhook:<tenant>:…    hash    a webhook endpoint; permanent
    rg:{sNN}:message:<message>     hash    what is delivered; 14 days
    rg:{sNN}:due:<tenant>:…        zset    messages of a receiver by the next try; empties itself
    rg:{sNN}:log:<tenant>:…        zset    messages of a receiver by creation time; 14 days
    rg:{sNN}:delivery:<receiver>:… hash    how a message fares with a receiver; 14 days
    rg:{sNN}:attempts:<receiver>:… list    what each attempt met with; 14 days
    rg:{sNN}:audit                 stream  what operators did to tenants of the shard; permanent
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, get_args

from app.domain.listing import ListName

SHARD_COUNT: Final = 16
SCHEMA_VERSION: Final = 1
META: Final = "rg:meta"
LAST_BALANCE: Final = "rg:{vendor}:balance"
TURN_OF_BALANCE: Final = "rg:{vendor}:balance_turn"
LAST_STOCK: Final = "rg:{vendor}:stock"
TURN_OF_STOCK: Final = "rg:{vendor}:stock_turn"
NEWS_CHANNEL: Final = "rg:news"
"""Pub/sub: `<tenant> <mode> <task>` after news, `!<tenant>` after a change of tenant or keys."""

LIST_NAMES: Final[tuple[ListName, ...]] = get_args(ListName)

PERMANENT_PATTERNS: Final = (
    r"rg:meta",
    r"rg:key:\{[0-9a-f]{64}\}",
    r"rg:\{s\d\d\}:(epoch|marks|tenants|origins|polls|sends|doubts|dispatch|retires|deliveries|delivering|audit)",
    r"rg:\{s\d\d\}:(tenant|keys|key|list|webhooks|webhook|due):.+",
)
"""Keys that are meant to have no expiry, whatever happens."""

OPEN_PATTERNS: Final = (r"rg:\{s\d\d\}:(task|ledger|story|request|idem|slots|queue):.+",)
"""Keys without expiry only while a task is open."""

USAGE_TTL_MS: Final = 400 * 86_400_000
IDEMPOTENCY_TTL_MS: Final = 86_400_000


def shard_of(tenant_id: str) -> int:
    """Return the number of the shard a tenant lives in."""
    return zlib.crc32(tenant_id.encode("utf-8")) % SHARD_COUNT


def key_index(digest: str) -> str:
    """Return the key that leads from an API key's SHA-256 to its tenant."""
    return f"rg:key:{{{digest}}}"


def poll_budget(vendor_key_id: str) -> str:
    """Return the key of a vendor key's budget of status reads; one for all shards."""
    return f"rg:{{vendor}}:polls:{vendor_key_id}"


def vendor_claim(vendor_id: str) -> str:
    """Return the key that says which doubtful task one of the vendor's tasks is taken for."""
    return f"rg:{{vendor}}:claim:{vendor_id}"


@dataclass(frozen=True, slots=True)
class Shard:
    """Names of the keys of one shard."""

    number: int

    @classmethod
    def of(cls, tenant_id: str) -> Shard:
        """Return the shard of a tenant."""
        return cls(shard_of(tenant_id))

    def _name(self, rest: str) -> str:
        return f"rg:{{s{self.number:02d}}}:{rest}"

    @property
    def epoch(self) -> str:
        """String: the store's identity."""
        return self._name("epoch")

    @property
    def marks(self) -> str:
        """Hash: number of admissions and dispatches so far, and the marks that the last left."""
        return self._name("marks")

    @property
    def tenants(self) -> str:
        """Set: tenant ids."""
        return self._name("tenants")

    @property
    def origins(self) -> str:
        """Hash: tenant id to the origins of the pages that may call for it, between blanks."""
        return self._name("origins")

    @property
    def polls(self) -> str:
        """Sorted set: task id by time of the next status read."""
        return self._name("polls")

    @property
    def sends(self) -> str:
        """Sorted set: task id by the time its send becomes doubtful."""
        return self._name("sends")

    @property
    def dispatch(self) -> str:
        """Sorted set: `QueueName.member` by the time its queue is looked at next."""
        return self._name("dispatch")

    @property
    def doubts(self) -> str:
        """Sorted set: task id by the time of the next step of working off its doubt."""
        return self._name("doubts")

    @property
    def retires(self) -> str:
        """Sorted set: `task_record.Retiring` by the time a finished task is forgotten."""
        return self._name("retires")

    @property
    def deliveries(self) -> str:
        """Sorted set: `<tenant> <mode> <target>` by the time of its earliest message."""
        return self._name("deliveries")

    @property
    def delivering(self) -> str:
        """Sorted set: `<tenant> <mode> <target>` by the end of its process's lease on it."""
        return self._name("delivering")

    @property
    def audit(self) -> str:
        """Stream: acts of operators, oldest first."""
        return self._name("audit")

    def tenant(self, tenant_id: str) -> str:
        """Hash: a tenant."""
        return self._name(f"tenant:{tenant_id}")

    def keys(self, tenant_id: str) -> str:
        """Set: ids of the tenant's API keys."""
        return self._name(f"keys:{tenant_id}")

    def key(self, tenant_id: str, key_id: str) -> str:
        """Hash: an API key."""
        return self._name(f"key:{tenant_id}:{key_id}")

    def tokens(self, tenant_id: str, key_id: str) -> str:
        """Sorted set: ids of the browser tokens minted with a key, by their end."""
        return self._name(f"tokens:{tenant_id}:{key_id}")

    def task(self, task_id: str) -> str:
        """Hash: a task."""
        return self._name(f"task:{task_id}")

    def ledger(self, task_id: str) -> str:
        """List: the movements of a task's money."""
        return self._name(f"ledger:{task_id}")

    def story(self, task_id: str) -> str:
        """List: instant, word and detail of every step of a task."""
        return self._name(f"story:{task_id}")

    def notice(self, task_id: str) -> str:
        """String: a vendor's notice about the task was heeded lately."""
        return self._name(f"notice:{task_id}")

    def news(self, tenant_id: str, mode: str) -> str:
        """Stream: every change of what the tasks of a tenant's mode show."""
        return self._name(f"news:{tenant_id}:{mode}")

    def webhooks(self, tenant_id: str, mode: str) -> str:
        """Hash: endpoint id to `on` or `off` and, between commas, the events it is told of."""
        return self._name(f"webhooks:{tenant_id}:{mode}")

    def webhook(self, tenant_id: str, endpoint_id: str) -> str:
        """Hash: a webhook endpoint."""
        return self._name(f"webhook:{tenant_id}:{endpoint_id}")

    def message(self, message_id: str) -> str:
        """Hash: event, task, instant and body of a message to be delivered."""
        return self._name(f"message:{message_id}")

    def due(self, tenant_id: str, mode: str, target: str) -> str:
        """Sorted set: message ids of a receiver by the time of their next try."""
        return self._name(f"due:{tenant_id}:{mode}:{target}")

    def log(self, tenant_id: str, mode: str, target: str) -> str:
        """Sorted set: message ids of a receiver by the time they were made."""
        return self._name(f"log:{tenant_id}:{mode}:{target}")

    def delivery(self, target: str, message_id: str) -> str:
        """Hash: how a message fares with a receiver; none as long as it was never tried."""
        return self._name(f"delivery:{target}:{message_id}")

    def attempts(self, target: str, message_id: str) -> str:
        """List: what each attempt met with, newest last."""
        return self._name(f"attempts:{target}:{message_id}")

    def queue(self, tenant_id: str, mode: str) -> str:
        """Sorted set: a tenant's queued tasks by their place."""
        return self._name(f"queue:{tenant_id}:{mode}")

    def request(self, task_id: str) -> str:
        """String: the body for the vendor."""
        return self._name(f"request:{task_id}")

    def idempotency(self, tenant_id: str, mode: str, digest: str) -> str:
        """Hash: one use of an Idempotency-Key; `digest` is that of path and key."""
        return self._name(f"idem:{tenant_id}:{mode}:{digest}")

    def slots(self, tenant_id: str, mode: str, family: str = "") -> str:
        """Set: tasks in flight of a tenant's mode, or of one key and those it was rotated to."""
        return self._name(f"slots:{tenant_id}:{mode}:{family}")

    def rate(self, tenant_id: str, mode: str, family: str = "") -> str:
        """Hash: the create bucket of a tenant's mode, or of one key's family."""
        return self._name(f"rate:{tenant_id}:{mode}:{family}")

    def reads(self, tenant_id: str, mode: str, family: str = "") -> str:
        """Hash: the read bucket of a tenant's mode, or of one key's family."""
        return self._name(f"reads:{tenant_id}:{mode}:{family}")

    def usage(self, tenant_id: str, mode: str, window: str) -> str:
        """Hash: figures of a window (`20261122` or `202611`).

        `tasks`, `completed`, `failed`, and in microcredits `held` and `settled`; each for the
        tenant, with `:<family>` for a key, with `@<model>` for a model.
        """
        return self._name(f"usage:{tenant_id}:{mode}:{window}")

    def listed(self, tenant_id: str, mode: str, which: ListName, model: str = "") -> str:
        """Sorted set: ids of a tenant's tasks by creation time; of one model, or of all of them."""
        return self._name(f"list:{tenant_id}:{mode}:{which}:{model}")


def caller_keys(tenant_id: str, key_id: str) -> dict[str, str]:
    """Return the keys by which a script checks that a caller may act, by their names there."""
    shard = Shard.of(tenant_id)
    return {
        "epoch": shard.epoch,
        "tenant": shard.tenant(tenant_id),
        "key": shard.key(tenant_id, key_id),
    }


def windows(at_ms: int) -> tuple[str, str]:
    """Return the names of the UTC day and month an instant lies in."""
    moment = datetime.fromtimestamp(at_ms / 1000, UTC)
    return f"{moment:%Y%m%d}", f"{moment:%Y%m}"


def month_before(at_ms: int) -> str:
    """Return the name of the month before that of an instant."""
    day_of_month = datetime.fromtimestamp(at_ms / 1000, UTC).day
    return windows(at_ms - day_of_month * 86_400_000)[1]


ALL_SHARDS: Final = tuple(Shard(number) for number in range(SHARD_COUNT))
