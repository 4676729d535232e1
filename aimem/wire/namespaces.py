"""What is set for namespaces: standards and policies."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType, field

from aimem.model import Approver, GovernancePolicy
from aimem.wire.responses import MemoryOut


class NamespacesQuery(Struct, kw_only=True):
    """Query of GET /namespaces: without `namespace` the list, with it that namespace's standard."""

    namespace: str | None = None
    inherit: bool = False


class StandardQuery(Struct, kw_only=True):
    """Query of GET /namespaces/{namespace}/standard: that of the namespace, or all that it inherits as well."""

    inherit: bool = False


class NamespaceQuery(Struct, kw_only=True):
    """Query of DELETE /namespaces."""

    namespace: str


class AccessQuery(Struct, kw_only=True):
    """Query of GET /namespaces/{namespace}/access: of the caller, or, for operators, of any agent."""

    agent_id: str | None = None


class HistoryQuery(Struct, kw_only=True):
    """Query of GET /namespaces/{namespace}/history."""

    limit: int = 64


class StandardFields(Struct, kw_only=True):
    """What may be set for a namespace; what is absent stays.

    Attributes:
      id: of the memory that becomes the standard; without it the present one stays, or one is made.
      parent: a namespace whose standards hold here too, besides those of the ancestors.
      governance: the policy (`GovernancePolicy`), read by itself so that each fault names its field.
      content: text of the standard that is made, or that replaces the present one's; excludes `id`.
      owner: the agent that `owner` means in the policy; only operators name it.
    """

    namespace: str | None = None
    id: str | None = None
    parent: str | None = None
    governance: dict[str, object] | None = None
    content: str | None = None
    owner: str | None = None


class StandardRequest(StandardFields, kw_only=True):
    """Body of POST /namespaces and /namespaces/{namespace}/standard.

    Attributes:
      standard: the same fields once more, which win over those beside it.
      force: set a policy although it locks everybody out.
      dry_run: only say whether it would be set, and what would hold.
    """

    standard: StandardFields | None = None
    force: bool = False
    dry_run: bool = False


class PolicyOut(Struct, kw_only=True):
    """A policy; `approver` is `human`, {"agent": id} or {"consensus": n}."""

    write: str
    promote: str
    delete: str
    policy: str
    approver: str | dict[str, str | int]


class NamespaceStandard(Struct, kw_only=True):
    """What is set for one namespace, and which policy holds there.

    Attributes:
      standard_id: the memory that is its standard, or None.
      warning: if that memory is not there, or not for the caller.
      governance: its own policy, or None.
      governance_error: why the policy that holds cannot be read; then it denies.
      effective, from_: the policy that holds (its own, or the nearest one that it inherits) and whose that is; None if
        no policy holds: then everybody may do everything.
      owner: the agent that `owner` means in its own policy.
    """

    namespace: str
    standard_id: str | None
    title: str | UnsetType = UNSET
    content: str | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    warning: str | UnsetType = UNSET
    governance: PolicyOut | None = None
    governance_error: str | UnsetType = UNSET
    effective: PolicyOut | None = None
    from_: str | None = field(default=None, name="from")
    parent: str | UnsetType = UNSET
    owner: str | UnsetType = UNSET
    changed_by: str | UnsetType = UNSET
    changed_at: str | UnsetType = UNSET


class NamespaceStandards(Struct, kw_only=True):
    """The standards that hold in one namespace, the most general first, and where they were looked for.

    `effective`, `from` and `governance_error` are as in NamespaceStandard.
    """

    namespace: str
    chain: tuple[str, ...]
    standards: tuple[NamespaceStandard, ...]
    count: int
    effective: PolicyOut | None = None
    from_: str | None = field(default=None, name="from")
    governance_error: str | UnsetType = UNSET


class StandardSet(Struct, kw_only=True):
    """Answer to setting.

    Attributes:
      standard_id: the standard as it is now; None in a dry run that would make one.
      governance: the policy that was set, complete.
      owner: None if nobody is.
      warnings: what whoever set it should know.
      decision: in a dry run: `allow`, or `ask` if it would wait for approval.
    """

    set: bool
    namespace: str
    standard_id: str | None
    parent: str | UnsetType = UNSET
    governance: PolicyOut | UnsetType = UNSET
    owner: str | None = None
    warnings: tuple[str, ...] = ()
    version: str | UnsetType = UNSET
    dry_run: bool | UnsetType = UNSET
    decision: str | UnsetType = UNSET


class StandardCleared(Struct, kw_only=True):
    """Answer to clearing: whether anything was set, and the memory that was the standard, which stays."""

    cleared: bool
    namespace: str
    standard_id: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class AccessRow(Struct, kw_only=True):
    """Whether an agent may do one thing.

    Attributes:
      level: None if no policy holds, or the one that does cannot be read.
      from_: the namespace whose policy says so.
      decision: allow, ask or deny, for what is new or its own.
      on_others: the same for memories of other authors.
      reason, on_others_reason: of a denial.
      approver: who approves, if that is asked.
    """

    verb: str
    level: str | None
    from_: str | None = field(name="from")
    decision: str
    on_others: str
    reason: str | UnsetType = UNSET
    on_others_reason: str | UnsetType = UNSET
    approver: str | UnsetType = UNSET


class AccessOut(Struct, kw_only=True):
    """What an agent may do in a namespace.

    Attributes:
      role: `open` while no agent has a key.
      registered: whether the level of that name lets it act.
      owner: the agent that `owner` means for write and policy.
      warning: if it could not get in at all.
    """

    namespace: str
    agent_id: str
    role: str
    home: str | UnsetType = UNSET
    registered: bool
    owner: str | UnsetType = UNSET
    access: tuple[AccessRow, ...]
    warning: str | UnsetType = UNSET


class PastStandard(Struct, kw_only=True):
    """What one write set for a namespace; `version` is its stamp, whose order is that of the writes."""

    version: str
    standard_id: str | None
    parent: str | None
    governance: PolicyOut | None
    governance_error: str | UnsetType = UNSET
    owner: str | None
    changed_by: str
    changed_at: str


class HistoryOut(Struct, kw_only=True):
    """What was set for a namespace, as far as this node knows, the latest first."""

    namespace: str
    history: tuple[PastStandard, ...]
    count: int


class InjectedStandard(MemoryOut, kw_only=True):
    """A standard beside what was asked for; `standard_of` is the namespace whose standard it is."""

    standard_of: str


def policy_out(policy: GovernancePolicy) -> PolicyOut:
    """A policy in wire form."""
    match policy.approver:
        case Approver(agent=str(agent)):
            approver: str | dict[str, str | int] = {"agent": agent}
        case Approver(consensus=int(count)):
            approver = {"consensus": count}
        case _:
            approver = "human"
    return PolicyOut(
        write=policy.write, promote=policy.promote, delete=policy.delete, policy=policy.policy, approver=approver
    )
