"""Types of pysqlite3-binary: it is the standard library's sqlite3, built against a newer SQLite."""

import _sqlite3
import sqlite3 as dbapi2

__all__ = ["_sqlite3", "dbapi2"]
