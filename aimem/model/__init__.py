"""The values of ai-memory and their arithmetic: frozen, without I/O and without async.

Owns identifiers, moments, causality, ops, memories and the limits of every field. Must never import another room than
errors, and never know how a value is stored or sent.
"""

from aimem.model import rules, words
from aimem.model.causality import (
    HLC_MAX,
    Dot,
    Hlc,
    Stamp,
    Vector,
    covers,
    dominates,
    hlc_at,
    instant_of,
    join,
    next_hlc,
    parse_dot,
    parse_stamp,
    unpack_stamp,
)
from aimem.model.ids import (
    GLOBAL,
    SYSTEM_AGENT,
    AgentId,
    MemoryId,
    Namespace,
    StreamId,
    derived_memory_id,
    new_memory_id,
    stream_id,
)
from aimem.model.instant import DAY_S, SECOND_US, Instant, after, format_instant, parse_instant
from aimem.model.memory import (
    ArchivedMemory,
    Candidate,
    JsonObject,
    Lifetimes,
    Link,
    LinkKey,
    Memory,
    Relation,
    Scope,
    Tier,
)
from aimem.model.op import (
    MAX_OP_ENTRIES,
    Blank,
    Cell,
    Create,
    Entry,
    FieldConflict,
    FieldValue,
    Merged,
    ObjectState,
    Op,
    StreamHead,
    blank_entry,
    chain_hash,
    decode_entry,
    encode_entry,
    entry_hash,
    is_blank,
    pack_entries,
    unpack_entries,
)
from aimem.model.principal import SYSTEM, Credential, Principal
from aimem.model.words import Words

__all__ = [
    "DAY_S", "GLOBAL", "HLC_MAX", "MAX_OP_ENTRIES", "SECOND_US", "SYSTEM", "SYSTEM_AGENT",
    "AgentId", "ArchivedMemory", "Blank", "Candidate", "Cell", "Create", "Credential", "Dot", "Entry",
    "FieldConflict", "FieldValue", "Hlc", "Instant", "JsonObject", "Lifetimes", "Link", "LinkKey", "Memory",
    "MemoryId", "Merged", "Namespace", "ObjectState", "Op", "Principal", "Relation", "Scope", "Stamp", "StreamHead",
    "StreamId", "Tier", "Vector", "Words",
    "after", "blank_entry", "chain_hash", "covers", "decode_entry", "derived_memory_id", "dominates", "encode_entry",
    "entry_hash", "format_instant", "generated_title", "hlc_at", "instant_of", "is_blank", "join", "new_memory_id",
    "next_hlc", "pack_entries", "parse_dot", "parse_instant", "parse_stamp", "rules", "stream_id", "unpack_entries",
    "unpack_stamp", "words",
]

generated_title = rules.generated_title
