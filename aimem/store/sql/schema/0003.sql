-- The newest schema, created outright. Databases of earlier versions reach it by the files in ../migrations.
--
-- Replicated tables (memories, links, aliases, agents, namespaces, agent_keys, pendings, votes, remarks, subscriptions,
-- stream_facts, tombstones) hold the join of all known ops: primary
-- keys only, nothing that could refuse an op. `born` and the packed stamps are 24 bytes whose byte order is the stamps'
-- order. `stamps` is a MessagePack map of the fields whose stamp is not `born`: field -> 24 bytes, or nil where the field
-- is not known.
-- All other tables are this node's own.

CREATE TABLE meta (
    name  TEXT PRIMARY KEY NOT NULL,
    value TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Streams ---------------------------------------------------------------------------------------------------------------

-- The vector: how much of each stream is known. Never pruned.
CREATE TABLE streams (
    stream     TEXT PRIMARY KEY NOT NULL,
    head_seq   INTEGER NOT NULL,
    head_hlc   INTEGER NOT NULL,
    head_hash  BLOB NOT NULL
) STRICT, WITHOUT ROWID;

-- What a stream says of itself in its opening op.
CREATE TABLE stream_facts (
    stream      TEXT PRIMARY KEY NOT NULL,
    born        BLOB,
    author      TEXT,
    node        TEXT,
    public_key  TEXT,
    predecessor TEXT,
    certificate TEXT,
    stamps      BLOB
) STRICT, WITHOUT ROWID;

-- The op log: the order in which this node learned of ops. A buffer and an outbox, not the state.
CREATE TABLE ops (
    position  INTEGER PRIMARY KEY AUTOINCREMENT,
    stream    TEXT NOT NULL,
    seq       INTEGER NOT NULL,
    hlc       INTEGER NOT NULL,
    kind      TEXT NOT NULL,
    previous  BLOB NOT NULL,
    signature BLOB NOT NULL,
    held      TEXT                      -- why the fold did not take it yet; NULL once applied
) STRICT;
CREATE UNIQUE INDEX ops_dot ON ops (stream, seq);

-- The origin's bytes of each entry, or the blank that a delete left.
CREATE TABLE op_entries (
    position INTEGER NOT NULL REFERENCES ops (position) ON DELETE CASCADE,
    ordinal  INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (position, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX op_entries_object ON op_entries (kind, key);

-- Objects ---------------------------------------------------------------------------------------------------------------

CREATE TABLE tombstones (
    kind  TEXT NOT NULL,
    key   TEXT NOT NULL,
    stamp BLOB NOT NULL,
    PRIMARY KEY (kind, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE memories (
    id              TEXT PRIMARY KEY NOT NULL,
    born            BLOB,
    author          TEXT,
    namespace       TEXT,
    title           TEXT,
    title_generated INTEGER,
    content         TEXT,
    tags            TEXT,
    tier            TEXT,
    priority        INTEGER,
    confidence      REAL,
    source          TEXT,
    metadata        TEXT,
    scope           TEXT,
    created_at      INTEGER,
    updated_at      INTEGER,
    expires_at      INTEGER,
    lifecycle       TEXT,
    extended        TEXT,               -- register: [stamp of the expires_at that it extends, until]
    collected       TEXT,               -- register: [stamp of the expires_at that was judged, its extension, when]
    stamps          BLOB
) STRICT;
CREATE INDEX memories_name ON memories (namespace, title);
CREATE INDEX memories_rank ON memories (priority DESC, updated_at DESC, id);
CREATE INDEX memories_author ON memories (author);

CREATE TABLE links (
    source_id   TEXT NOT NULL,
    target_id   TEXT NOT NULL,
    relation    TEXT NOT NULL,
    born        BLOB,
    author      TEXT,
    present     INTEGER,
    created_at  INTEGER,
    valid_from  INTEGER,
    valid_until INTEGER,
    observed_by TEXT,
    stamps      BLOB, ended TEXT, past TEXT,
    PRIMARY KEY (source_id, target_id, relation)
) STRICT;
CREATE INDEX links_target ON links (target_id);

-- Other names of an entity (a memory). The key holds a hash: keys outlive their object in the log, and texts must not.
CREATE TABLE aliases (
    entity_id  TEXT NOT NULL,
    alias_hash TEXT NOT NULL,
    born       BLOB,
    author     TEXT,
    alias      TEXT,
    present    INTEGER,
    created_at INTEGER,
    ordinal    INTEGER,
    stamps     BLOB,
    PRIMARY KEY (entity_id, alias_hash)
) STRICT;
CREATE INDEX aliases_alias ON aliases (alias);

CREATE TABLE agents (
    agent_id      TEXT PRIMARY KEY NOT NULL,
    born          BLOB,
    author        TEXT,
    present       INTEGER,
    agent_type    TEXT,
    capabilities  TEXT,
    registered_at INTEGER,
    last_seen_at  INTEGER,
    stamps        BLOB
) STRICT;

-- What holds for a namespace: its standard (a memory), an explicit parent, and its policy (JSON text, as it was set).
CREATE TABLE namespaces (
    namespace   TEXT PRIMARY KEY NOT NULL,
    born        BLOB,
    author      TEXT,
    standard_id TEXT,
    parent      TEXT,
    governance  TEXT,
    owner       TEXT,
    changed_by  TEXT,
    changed_at  INTEGER,
    stamps      BLOB
) STRICT;
CREATE INDEX namespaces_standard ON namespaces (standard_id);

-- What an agent proves itself with. Only the hash of a key's secret is kept.
CREATE TABLE agent_keys (
    key_id      TEXT PRIMARY KEY NOT NULL,
    born        BLOB,
    author      TEXT,
    agent_id    TEXT,
    secret_hash TEXT,
    role        TEXT,
    home        TEXT,
    created_at  INTEGER,
    expires_at  INTEGER,
    revoked_at  INTEGER,
    stamps      BLOB
) STRICT;

-- Actions that wait for approval, with the entries that they will write and the policy that they wait by.
CREATE TABLE pendings (
    pending_id       TEXT PRIMARY KEY NOT NULL,
    born             BLOB,
    author           TEXT,
    action           TEXT,
    label            TEXT,
    namespace        TEXT,
    memory_id        TEXT,
    payload          TEXT,
    policy           TEXT,
    policy_namespace TEXT,
    policy_stamp     TEXT,
    requested_by     TEXT,
    requested_at     INTEGER,
    expires_at       INTEGER,
    home             TEXT,
    asked_again_as   TEXT,
    outcome          TEXT,
    stamps           BLOB
) STRICT;
CREATE INDEX pendings_open ON pendings (expires_at) WHERE outcome IS NULL;

CREATE TABLE votes (
    pending_id  TEXT NOT NULL,
    voter_key   TEXT NOT NULL,
    born        BLOB,
    author      TEXT,
    voter       TEXT,
    vote        TEXT,
    is_operator INTEGER,
    voted_at    INTEGER,
    comment     TEXT,
    stamps      BLOB,
    PRIMARY KEY (pending_id, voter_key)
) STRICT;

CREATE TABLE remarks (
    pending_id TEXT NOT NULL,
    remark_id  TEXT NOT NULL,
    born       BLOB,
    author     TEXT,
    text       TEXT,
    made_at    INTEGER,
    stamps     BLOB,
    PRIMARY KEY (pending_id, remark_id)
) STRICT;

CREATE TABLE subscriptions (
    subscription_id  TEXT PRIMARY KEY NOT NULL,
    born             BLOB,
    author           TEXT,
    present          INTEGER,
    url              TEXT,
    events           TEXT,
    signing_key      TEXT,
    namespace        TEXT,
    namespace_filter TEXT,
    agent_filter     TEXT,
    by_operator      INTEGER,
    created_at       INTEGER,
    stamps           BLOB
) STRICT;

-- Node-local ------------------------------------------------------------------------------------------------------------

-- Names are a view: per memory, what the fold's state means for readers. Recomputed for the names that a write touches.
CREATE TABLE memory_view (
    no               INTEGER PRIMARY KEY AUTOINCREMENT,     -- never reused: rows of the full-text and vector index
    id               TEXT NOT NULL UNIQUE REFERENCES memories (id) ON DELETE CASCADE,
    state            TEXT NOT NULL CHECK (state IN ('live', 'shadow', 'archived', 'unborn')),
    holder           TEXT,                                  -- of a shadow: the id that has the name
    namespace        TEXT,
    title            TEXT,
    owner            TEXT NOT NULL DEFAULT '',              -- the author, if the name is private to it
    expires_at       INTEGER,                               -- extensions included
    text_hash        BLOB,
    is_embedded      INTEGER NOT NULL DEFAULT 0,
    dialogue         BLOB,                                  -- hash of its conversation, namespace, scope and author
    created_at       INTEGER,
    part_count       INTEGER NOT NULL DEFAULT 0,            -- rows that memory_fts holds for it: no * 64 + 0, 1, 2 ...
    grams            TEXT NOT NULL DEFAULT 'none' CHECK (grams IN ('none', 'due', 'held')),     -- in memory_grams
    access_count     INTEGER NOT NULL DEFAULT 0,
    last_accessed_at INTEGER
) STRICT;
CREATE UNIQUE INDEX memory_view_name ON memory_view (namespace, title, owner) WHERE state = 'live';
CREATE INDEX memory_view_expiry ON memory_view (expires_at) WHERE state = 'live' AND expires_at IS NOT NULL;
CREATE INDEX memory_view_backlog ON memory_view (no) WHERE state = 'live' AND is_embedded = 0;
CREATE INDEX memory_view_text ON memory_view (text_hash);
CREATE INDEX memory_view_archive ON memory_view (no) WHERE state = 'archived';
CREATE INDEX memory_view_dialogue ON memory_view (dialogue, created_at, id) WHERE state = 'live' AND dialogue IS NOT NULL;
CREATE INDEX memory_view_created ON memory_view (created_at) WHERE state = 'live';
CREATE INDEX memory_view_unindexed ON memory_view (no) WHERE state = 'live' AND part_count = 0;
CREATE INDEX memory_view_parted ON memory_view (no) WHERE part_count > 1;
CREATE INDEX memory_view_grams ON memory_view (no) WHERE grams = 'due';

-- Words of live memories. `context` holds the neighbours in a conversation; rows are parts of texts (no * 64 + part).
CREATE VIRTUAL TABLE memory_fts USING fts5 (
    title, content, tags, context, content = '', contentless_delete = 1, tokenize = 'porter unicode61'
);
CREATE VIRTUAL TABLE memory_terms USING fts5vocab (memory_fts, row);

-- In how many rows of memory_fts the common words stand: reading that from the index takes long where it matters.
CREATE TABLE common_terms (
    term      TEXT PRIMARY KEY NOT NULL,
    row_count INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What words do not find: pairs of characters of unspaced scripts, triples of identifiers. Rows are the view's numbers.
CREATE VIRTUAL TABLE memory_grams USING fts5 (
    grams, content = '', contentless_delete = 1, detail = none, tokenize = "ascii tokenchars '_./:@#+-'"
);
CREATE VIRTUAL TABLE memory_gram_terms USING fts5vocab (memory_grams, row);

-- A cache: paid once per text and model, not once per memory.
CREATE TABLE embeddings (
    text_hash BLOB NOT NULL,
    model     TEXT NOT NULL,
    chunk     INTEGER NOT NULL,
    vector    BLOB NOT NULL,                                -- little-endian float16
    PRIMARY KEY (text_hash, model, chunk)
) STRICT;

-- Writes that lost a field to one that did not know of them; at most 8 an object.
CREATE TABLE conflicts (
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    field    TEXT NOT NULL,
    stamp    BLOB NOT NULL,
    value    TEXT NOT NULL,
    noted_at INTEGER NOT NULL,
    PRIMARY KEY (kind, key, field, stamp)
) STRICT;

-- Texts that a later write replaced; at most 8 a memory.
CREATE TABLE history (
    memory_id   TEXT NOT NULL REFERENCES memories (id) ON DELETE CASCADE,
    stamp       BLOB NOT NULL,                              -- of the text that was replaced
    replaced_by BLOB NOT NULL,
    title       TEXT NOT NULL,
    content     TEXT NOT NULL,
    noted_at    INTEGER NOT NULL,
    PRIMARY KEY (memory_id, stamp)
) STRICT;

CREATE TABLE idempotency (
    scope        TEXT NOT NULL,
    key          TEXT NOT NULL,
    request_hash BLOB NOT NULL,
    stream       TEXT,                                      -- with seq: the dot of the write; NULL if it wrote no op
    seq          INTEGER,
    answer       BLOB NOT NULL,
    noted_at     INTEGER NOT NULL,
    PRIMARY KEY (scope, key)
) STRICT;
CREATE INDEX idempotency_age ON idempotency (noted_at);

-- Every policy and standard that this node learned of.
CREATE TABLE namespace_history (
    namespace   TEXT NOT NULL,
    stamp       BLOB NOT NULL,
    standard_id TEXT,
    parent      TEXT,
    governance  TEXT,
    owner       TEXT,
    changed_by  TEXT,
    changed_at  INTEGER,
    PRIMARY KEY (namespace, stamp)
) STRICT;

-- Who did what here, and what was refused. Each hash covers its row and the hash before.
CREATE TABLE audit (
    seq        INTEGER PRIMARY KEY AUTOINCREMENT,
    at         INTEGER NOT NULL,
    agent_id   TEXT NOT NULL,
    credential TEXT NOT NULL,
    action     TEXT NOT NULL,
    decision   TEXT NOT NULL,
    namespace  TEXT,
    target     TEXT,
    rule       TEXT,
    version    TEXT,
    count      INTEGER NOT NULL,
    detail     TEXT,
    hash       BLOB NOT NULL
) STRICT;
CREATE INDEX audit_agent ON audit (agent_id);

-- Where the audit was cut: the last row that is gone, signed. The chain goes on from its hash.
CREATE TABLE audit_checkpoints (
    seq        INTEGER PRIMARY KEY NOT NULL,
    hash       BLOB NOT NULL,
    row_count  INTEGER NOT NULL,
    made_at    INTEGER NOT NULL,
    made_by    TEXT NOT NULL,
    public_key TEXT NOT NULL,
    signature  BLOB NOT NULL
) STRICT;

-- What happened to objects, as far as readers may be told: a buffer for those who follow, and for webhooks.
CREATE TABLE events (
    no        INTEGER PRIMARY KEY AUTOINCREMENT,
    at        INTEGER NOT NULL,
    event     TEXT NOT NULL,
    kind      TEXT NOT NULL,
    key       TEXT NOT NULL,
    namespace TEXT,                                         -- with scope and author: who may be told of it
    scope     TEXT,
    author    TEXT,
    was       TEXT,                                         -- the three before, if it moved: a JSON array
    other     TEXT,                                         -- the three of a link's target
    agent_id  TEXT,
    version   TEXT NOT NULL,
    is_own    INTEGER NOT NULL
) STRICT;

-- Webhooks: how each subscription fares, and what is to be sent again or was given up.
CREATE TABLE webhook_state (
    subscription_id    TEXT PRIMARY KEY NOT NULL,
    dispatch_count     INTEGER NOT NULL DEFAULT 0,
    failure_count      INTEGER NOT NULL DEFAULT 0,
    dropped_count      INTEGER NOT NULL DEFAULT 0,
    last_dispatched_at INTEGER,
    last_error         TEXT
) STRICT, WITHOUT ROWID;
CREATE TABLE deliveries (
    delivery_id     TEXT PRIMARY KEY NOT NULL,
    subscription_id TEXT NOT NULL,
    event_no        INTEGER NOT NULL,
    body            BLOB NOT NULL,
    attempt_count   INTEGER NOT NULL DEFAULT 0,
    next_at         INTEGER,                                -- NULL: given up, a dead letter
    last_error      TEXT,
    made_at         INTEGER NOT NULL
) STRICT;
CREATE INDEX deliveries_due ON deliveries (subscription_id, event_no) WHERE next_at IS NOT NULL;
CREATE INDEX deliveries_of ON deliveries (subscription_id, event_no);
