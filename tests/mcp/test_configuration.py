from __future__ import annotations

import json

from aimem.mcp import print_config


def test_the_entry_names_command_arguments_and_environment():
    text = print_config("/usr/bin/ai-memory", ["mcp", "--tier", "semantic"], {"AI_MEMORY_DB": "/home/me/m.db"})
    assert json.loads(text) == {
        "mcpServers": {
            "ai-memory": {
                "command": "/usr/bin/ai-memory", "args": ["mcp", "--tier", "semantic"],
                "env": {"AI_MEMORY_DB": "/home/me/m.db"},
            },
        },
    }
    assert text.endswith("}\n")
    assert "\n  " in text


def test_an_empty_environment_is_left_out():
    assert "env" not in json.loads(print_config("a", [], {}))["mcpServers"]["ai-memory"]
