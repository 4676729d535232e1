"""The signature: a receiver that does as the manual says knows a delivery for real."""

from __future__ import annotations

import re
from pathlib import Path

from aimem.webhooks import signature, signing_key

PAGE = (Path(__file__).parents[2] / "man" / "ai-memory-api.7").read_text()


def test_the_manuals_receiver_verifies_a_delivery() -> None:
    found = re.search(r"^key = hashlib.*?(?=^\.Ed)", PAGE, re.MULTILINE | re.DOTALL)
    assert found
    body = b'{"event":"memory_store"}'
    sent = "sha256=" + signature(signing_key("s3cret \u00e9"), "1800000000", body)
    for secret, genuine in (("s3cret \u00e9", True), ("another", False)):
        names: dict[str, object] = {"secret": secret, "timestamp": "1800000000", "body": body, "signature": sent}
        exec("import hashlib, hmac\n" + found[0], names)    # the manual's own lines
        assert names["genuine"] is genuine


def test_a_signature_covers_timestamp_and_body() -> None:
    key = signing_key("s")
    made = {signature(key, timestamp, body) for timestamp in ("1", "2") for body in (b"a", b"b")}
    assert len(made) == 4
