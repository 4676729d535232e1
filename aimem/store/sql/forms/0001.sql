-- The first forms of schema 1 had no parts of texts, no conversations and no grams, and kept the numbers of entries twice.
-- What the view held stays; the indexes of words are made anew by the node, which finds no row in them.

CREATE TEMP TABLE kept_entries AS SELECT * FROM op_entries;
DROP TABLE op_entries;
CREATE TABLE op_entries (
    position INTEGER NOT NULL REFERENCES ops (position) ON DELETE CASCADE,
    ordinal  INTEGER NOT NULL,
    kind     TEXT NOT NULL,
    key      TEXT NOT NULL,
    data     BLOB NOT NULL,
    PRIMARY KEY (position, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX op_entries_object ON op_entries (kind, key);
INSERT INTO op_entries SELECT position, ordinal, kind, key, data FROM kept_entries;
DROP TABLE kept_entries;
DROP INDEX IF EXISTS memories_created;

CREATE TEMP TABLE kept_view AS SELECT * FROM memory_view;
CREATE TEMP TABLE kept_no AS SELECT seq FROM sqlite_sequence WHERE name = 'memory_view';
DROP TABLE memory_fts;
DROP TABLE memory_view;
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
INSERT INTO memory_view (
    no, id, state, holder, namespace, title, owner, expires_at, text_hash, is_embedded, created_at, access_count,
    last_accessed_at
)
SELECT
    v.no, v.id, v.state, v.holder, v.namespace, v.title, v.owner, v.expires_at, v.text_hash, v.is_embedded,
    CASE v.state WHEN 'unborn' THEN NULL ELSE m.created_at END, v.access_count, v.last_accessed_at
FROM kept_view AS v JOIN memories AS m ON m.id = v.id;
-- Numbers are never reused, those of rows that are gone neither.
DELETE FROM sqlite_sequence WHERE name = 'memory_view';
INSERT INTO sqlite_sequence (name, seq) SELECT 'memory_view', seq FROM kept_no;
DROP TABLE kept_view;
DROP TABLE kept_no;

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
