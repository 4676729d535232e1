"""Replication: how ops merge, and how they travel, are counted and caught up.

Owns the fold, the judge of inbound ops, the state of each peer, the quorum, and the tasks that carry ops between nodes.
Must never hold SQL, and never decide what an op means by anything that differs between nodes: clock, policy, settings.
"""

from aimem.replication.absence import ALARM_AFTER_S
from aimem.replication.catchup import known_to_all, trim_log
from aimem.replication.closure import evidence_for, heads_heard, hear_closed, note_received, told
from aimem.replication.cluster import SHOWN_CHARS, hear_asker, settle
from aimem.replication.comparison import FOUND_MAX, Compared, Mending, compare_span
from aimem.replication.counts import LATENCIES_S, HeadCounts, MeshCounts
from aimem.replication.differences import Difference, Different
from aimem.replication.divergence import Judged, Lost, judge
from aimem.replication.driver import ask_untrusted, count_received, run_mesh
from aimem.replication.following import run_for_peers
from aimem.replication.headproof import proofs_for
from aimem.replication.intake import CLOCK_BOUND_S, CLOCK_WARN_S, examine, is_ahead
from aimem.replication.judging import trust_command
from aimem.replication.members import Agreement, shared_names
from aimem.replication.merge import merge_entry
from aimem.replication.mesh import Mesh
from aimem.replication.neighbour import Peer
from aimem.replication.peer import PeerRules, PeerState, Standing
from aimem.replication.proof import RequestProof, is_sound_request, read_request
from aimem.replication.quorum import (
    Consistency,
    HeldThere,
    Report,
    Rule,
    Tally,
    consistently,
    count_acks,
    middle_offset,
    wished_consistency,
)
from aimem.replication.reach import breaker, is_reachable, lag
from aimem.replication.receiving import receive, wait_known
from aimem.replication.road import KNOWN_OTHERWISE, NotSecured, PeerRoad
from aimem.replication.roll import Roll, roll_of
from aimem.replication.settings import MeshSettings
from aimem.replication.thin import thin_answer, whole_request
from aimem.replication.trust import Trust, Trusted, Waiting
from aimem.replication.untaken import full_in, shipped_to, told_full, with_all_of

__all__ = [
    "ALARM_AFTER_S",
    "CLOCK_BOUND_S",
    "CLOCK_WARN_S",
    "FOUND_MAX",
    "KNOWN_OTHERWISE",
    "LATENCIES_S",
    "SHOWN_CHARS",
    "Agreement",
    "Compared",
    "Consistency",
    "Difference",
    "Different",
    "HeadCounts",
    "HeldThere",
    "Judged",
    "Lost",
    "Mending",
    "Mesh",
    "MeshCounts",
    "MeshSettings",
    "NotSecured",
    "Peer",
    "PeerRoad",
    "PeerRules",
    "PeerState",
    "Report",
    "RequestProof",
    "Roll",
    "Rule",
    "Standing",
    "Tally",
    "Trust",
    "Trusted",
    "Waiting",
    "ask_untrusted",
    "breaker",
    "compare_span",
    "consistently",
    "count_acks",
    "count_received",
    "evidence_for",
    "examine",
    "full_in",
    "heads_heard",
    "hear_asker",
    "hear_closed",
    "is_ahead",
    "is_reachable",
    "is_sound_request",
    "judge",
    "known_to_all",
    "lag",
    "merge_entry",
    "middle_offset",
    "note_received",
    "proofs_for",
    "read_request",
    "receive",
    "roll_of",
    "run_for_peers",
    "run_mesh",
    "settle",
    "shared_names",
    "shipped_to",
    "thin_answer",
    "told",
    "told_full",
    "trim_log",
    "trust_command",
    "wait_known",
    "whole_request",
    "wished_consistency",
    "with_all_of",
]
