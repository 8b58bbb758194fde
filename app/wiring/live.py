"""What serves those who wait for news: built once, used by the routes that wait."""

from __future__ import annotations

from app.detached import DetachedWork
from app.flows.audience import Audience
from app.flows.follow import FollowNews
from app.flows.tell import TellNews
from app.flows.vigil import KeepVigil
from app.settings import LiveSettings
from app.store.news_channel import NewsChannel
from app.telemetry import Metrics
from app.wiring.stores import Store


def following(live: LiveSettings, store: Store, metrics: Metrics) -> FollowNews:
    """Return the one place where a process waits for news."""
    audience = Audience(most=live.max_streams, most_per_tenant=live.max_streams_per_tenant)
    # Each listener is written to by one call at a time, so they are its bound.
    work = DetachedWork(limit=live.max_streams)
    tell = TellNews(audience, store.news, store.clock, work)
    vigil = KeepVigil(
        audience, tell, store.news, store.origins, store.clock, work, live.heartbeat_s
    )
    return FollowNews(
        audience=audience,
        channel=NewsChannel(store.redis),
        news=store.news,
        reads=store.reads,
        tell=tell,
        vigil=vigil,
        work=work,
        clock=store.clock,
        metrics=metrics,
    )
