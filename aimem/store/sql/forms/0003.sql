-- The first form of schema 3 found an agent's rows of the audit, and its memories, by reading all.

CREATE INDEX IF NOT EXISTS audit_agent ON audit (agent_id);
CREATE INDEX IF NOT EXISTS memories_author ON memories (author);
