"""What the scripted node of these tests answers to tools on policies, approvals and webhooks."""

from __future__ import annotations

from typing import Final

from aimem.wire import (
    Approved,
    NamespaceStandard,
    NamespaceStandards,
    PendingPage,
    Rejected,
    StandardCleared,
    StandardSet,
    Subscribed,
    SubscriptionsOut,
    Unsubscribed,
)

THEN: Final = "2026-01-01T21:00:00.000000Z"
GOVERNED_ANSWERS: Final[dict[str, object]] = {
    "list_pending": PendingPage(count=0, pending=()),
    "approve_pending": Approved(approved=True, id="9e", status="approved", decided_by="me", executed=True),
    "reject_pending": Rejected(rejected=True, id="9e", status="rejected", decided_by="me"),
    "set_standard": StandardSet(set=True, namespace="crm", standard_id="7f3a", owner="me", version="s:6"),
    "standard": NamespaceStandard(namespace="crm", standard_id="7f3a"),
    "standards": NamespaceStandards(namespace="crm", chain=("*", "crm"), standards=(), count=0),
    "clear_standard": StandardCleared(cleared=True, namespace="crm", standard_id="7f3a", version="s:7"),
    "subscribe": Subscribed(
        id="5b", url="https://example.org/hook", events="*", namespace=None, namespace_filter=None, agent_filter=None,
        created_by="me", agent_id="me", created_at=THEN, signed=False, sent=True, version="s:8",
    ),
    "unsubscribe": Unsubscribed(id="5b", removed=True, count=1),
    "list_subscriptions": SubscriptionsOut(count=0, total=0, subscriptions=()),
}
