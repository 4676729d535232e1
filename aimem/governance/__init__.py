"""Governance: policies, approvals and quotas. Facts in, a Decision out.

Owns the rules by which an act is allowed, denied or has to wait. Must never read the store: services gather the facts
inside the write's transaction and hand them in.
"""

from aimem.governance.acts import Act, acts_of
from aimem.governance.decide import Allow, Ask, Decision, Deny, Ruling, decide
from aimem.governance.keyring import Keyring
from aimem.governance.lockout import Electorate, cautions, lasts, lockouts
from aimem.governance.policies import PARENTS_MAX, approver_text, chain, dump_policy, lineage, parse_policy
from aimem.governance.quotas import Buckets, Held, Rate

__all__ = [
    "PARENTS_MAX",
    "Act",
    "Allow",
    "Ask",
    "Buckets",
    "Decision",
    "Deny",
    "Electorate",
    "Held",
    "Keyring",
    "Rate",
    "Ruling",
    "acts_of",
    "approver_text",
    "cautions",
    "chain",
    "decide",
    "dump_policy",
    "lasts",
    "lineage",
    "lockouts",
    "parse_policy",
]
