-- Agents get keys; namespaces get standards and policies; actions wait for approval; what happens is audited and told.

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

-- How much of the memories is one agent's.
CREATE INDEX memories_author ON memories (author);
