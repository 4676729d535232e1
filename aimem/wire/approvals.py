"""Actions that wait for approval: the list, one with its diff, votes and comments."""

from __future__ import annotations

from msgspec import UNSET, Struct, UnsetType

PendingJson = dict[str, object]
"""What was asked for, in v0.6.3's shapes."""


class PendingQuery(Struct, kw_only=True):
    """Query of GET /pending. Without `status` it lists all."""

    status: str | None = None
    namespace: str | None = None
    requested_by: str | None = None
    action: str | None = None
    limit: int = 100
    offset: int = 0


class DecisionRequest(Struct, kw_only=True):
    """Body of POST /pending/{id}/approve and /reject; it may be absent."""

    comment: str | None = None
    agent_id: str | None = None


class CommentRequest(Struct, kw_only=True):
    """Body of POST /pending/{id}/comment."""

    text: str
    agent_id: str | None = None


class ApprovalOut(Struct, kw_only=True):
    """An approval that counts, as v0.6.3 has it."""

    agent_id: str
    approved_at: str


class VoteOut(Struct, kw_only=True):
    """A vote.

    Attributes:
      counts: whether it counts, or counted, for the decision.
      late: whether the action was decided without it.
    """

    agent_id: str
    vote: str
    voted_at: str
    counts: bool
    late: bool
    comment: str | UnsetType = UNSET


class CommentOut(Struct, kw_only=True):
    """Something that was said about an action."""

    agent_id: str
    text: str
    made_at: str


class ChangeOut(Struct, kw_only=True, rename={"before": "from", "after": "to"}):
    """One field that would change, against the state of now; texts are cut to 2,000 characters.

    Attributes:
      effect: create, change or delete, of the object.
      cut: whether one of the two is cut.
    """

    kind: str
    id: str
    effect: str
    field: str
    before: object = None
    after: object = None
    cut: bool | UnsetType = UNSET


class PendingOut(Struct, kw_only=True):
    """An action that waits, or has waited: the fields of v0.6.3, then ours.

    Attributes:
      approvals: those that count.
      approver: who decides: "human", {"agent": id} or {"consensus": n}; absent if its policy cannot be read.
      rule: what asked for the approval.
      label: of the op that it is.
      quorum: how many approvals it takes.
      executed: whether it was done.
      result_id: the memory that it made or was done to.
      home: the stream that decides.
      orphaned: whether whoever writes that stream, or did, is no member of the mesh any more.
      asked_again_as: the action that took its place; its own id where it could be done at once.
      payload_cut: whether texts of the payload are cut, as lists do.
    """

    id: str
    action_type: str
    namespace: str
    payload: PendingJson
    requested_by: str
    requested_at: str
    status: str
    approvals: tuple[ApprovalOut, ...]
    memory_id: str | UnsetType = UNSET
    decided_by: str | UnsetType = UNSET
    decided_at: str | UnsetType = UNSET
    expires_at: str
    quorum: int
    votes: tuple[VoteOut, ...]
    rule: str
    label: str
    home: str
    approver: object = UNSET
    executed: bool | UnsetType = UNSET
    result_id: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    orphaned: bool | UnsetType = UNSET
    asked_again_as: str | UnsetType = UNSET
    payload_cut: bool | UnsetType = UNSET


class PendingDetail(PendingOut, kw_only=True):
    """GET one: with what would change, at most 200 fields of `changes_total`, and what was said about it."""

    changes: tuple[ChangeOut, ...]
    changes_total: int
    comments: tuple[CommentOut, ...]


class PendingPage(Struct, kw_only=True):
    """Some actions, the latest asked for first. `more` says that there are further ones."""

    count: int
    pending: tuple[PendingOut, ...]
    more: bool = False


class Approved(Struct, kw_only=True):
    """Answer to an approval.

    Attributes:
      approved: whether it is decided so; false while it waits for further votes, or for the node that decides, and
        with `decided_by` where it was decided otherwise.
      executed: whether it was done; false with `error` where what it was about has changed.
      memory_id: the memory that it made or was done to.
    """

    approved: bool
    id: str
    status: str
    decided_by: str | UnsetType = UNSET
    executed: bool | UnsetType = UNSET
    memory_id: str | UnsetType = UNSET
    votes: int | UnsetType = UNSET
    quorum: int | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    error: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class Rejected(Struct, kw_only=True):
    """Answer to a rejection. Without `decided_by` it waits for the nodes that decide on it and keep it.

    `rejected` is false where it was decided otherwise before.
    """

    rejected: bool
    id: str
    status: str
    decided_by: str | UnsetType = UNSET
    reason: str | UnsetType = UNSET
    version: str | UnsetType = UNSET


class Commented(Struct, kw_only=True):
    """Answer to a comment."""

    commented: bool
    id: str
    comment_id: str
    version: str | UnsetType = UNSET


class AskedAgainOut(Struct, kw_only=True):
    """Answer to asking again.

    Attributes:
      status: pending, or done if the policy of now let it be done at once.
      pending_id: the action that takes the place of `id`; absent if nothing had to be asked.
      executed: whether it was done.
    """

    asked_again: bool
    id: str
    status: str
    executed: bool
    pending_id: str | UnsetType = UNSET
    memory_id: str | UnsetType = UNSET
    namespace: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET
    version: str | UnsetType = UNSET
