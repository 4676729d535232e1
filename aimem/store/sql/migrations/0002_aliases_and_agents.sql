-- Links keep who ended them and their earlier validities; entities get other names; agents are registered.

ALTER TABLE links ADD COLUMN ended TEXT;
ALTER TABLE links ADD COLUMN past TEXT;

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
