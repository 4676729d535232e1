"""Governance: policies, approvals and quotas. Facts in, a Decision out.

Owns the rules by which an act is allowed, denied or has to wait. Must never read the store: services gather the facts
inside the write's transaction and hand them in.
"""

from aimem.governance.acts import Act, acts_of
from aimem.governance.approval import (
    APPROVE,
    REJECT,
    Question,
    Standing,
    approver_of,
    is_entitled,
    quorum_of,
    stand,
    vote_key,
    voter_key,
)
from aimem.governance.decide import Allow, Ask, Decision, Deny, Ruling, decide
from aimem.governance.keyring import Keyring, refuse_ended
from aimem.governance.lockout import Electorate, cautions, lasts, lockouts
from aimem.governance.policies import PARENTS_MAX, approver_text, chain, dump_policy, lineage, parse_policy
from aimem.governance.quotas import Buckets, Held, Rate

__all__ = [
    "APPROVE",
    "PARENTS_MAX",
    "REJECT",
    "Act",
    "Allow",
    "Ask",
    "Buckets",
    "Decision",
    "Deny",
    "Electorate",
    "Held",
    "Keyring",
    "Question",
    "Rate",
    "Ruling",
    "Standing",
    "acts_of",
    "approver_of",
    "approver_text",
    "cautions",
    "chain",
    "decide",
    "dump_policy",
    "is_entitled",
    "lasts",
    "lineage",
    "lockouts",
    "parse_policy",
    "quorum_of",
    "refuse_ended",
    "stand",
    "vote_key",
    "voter_key",
]
