"""Our tables of tools, prompts and resources in the SDK's types. Loading this loads the SDK."""

from __future__ import annotations

import mcp_types as types
import msgspec
from msgspec import UNSET

from aimem.errors import AimemError, ApprovalRequired
from aimem.mcp.prompts import Prompt
from aimem.mcp.resources import MIME_TYPE, Template, uri_of
from aimem.mcp.tools import Effect, Tool
from aimem.model import rules
from aimem.wire import MemoryOut, MemoryPage


def text_content(text: str) -> types.TextContent:
    """A text as a part of an answer."""
    return types.TextContent(type="text", text=text)


def error_text(error: AimemError) -> str:
    """A refusal as the model reads it: the sentence, the stable code, the argument at fault, further plain values."""
    answer: dict[str, object] = {"error": error.message, "code": error.code}
    if error.field is not None:
        answer["field"] = error.field
    answer |= {name: value for name, value in error.details.items() if name not in answer}
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def queued_text(error: ApprovalRequired) -> str:
    """An action that waits for its approval, as v0.6.3 tells it: its fields, and a sentence."""
    answer = {**error.details, "code": error.code, "message": error.message}
    return msgspec.json.format(msgspec.json.encode(answer), indent=2).decode()


def published_tool(tool: Tool) -> types.Tool:
    """A tool as `tools/list` shows it; clients of older protocols pass over title and hints."""
    hints = types.ToolAnnotations(
        read_only_hint=tool.effect is Effect.READS,
        destructive_hint=tool.effect is Effect.OVERWRITES,
        idempotent_hint=tool.effect not in (Effect.ADDS, Effect.USES),
        open_world_hint=False,
    )
    return types.Tool(
        name=tool.name, title=tool.title, description=tool.description, input_schema=tool.schema, annotations=hints
    )


def published_prompt(prompt: Prompt) -> types.Prompt:
    """A prompt as `prompts/list` shows it."""
    arguments = [
        types.PromptArgument(name=one.name, description=one.description, required=False) for one in prompt.arguments
    ]
    return types.Prompt(name=prompt.name, description=prompt.description, arguments=arguments or None)


def published_memories(page: MemoryPage) -> types.ListResourcesResult:
    """Memories as `resources/list` shows them, the importance as a fraction."""
    cursor = None if page.next_cursor is UNSET else page.next_cursor
    return types.ListResourcesResult(resources=[_resource(one) for one in page.memories], next_cursor=cursor)


def _resource(memory: MemoryOut) -> types.Resource:
    tags = f", tags {', '.join(memory.tags)}" if memory.tags else ""
    return types.Resource(
        uri=uri_of(memory.id), name=memory.title, title=memory.title, mime_type=MIME_TYPE,
        description=f"{memory.tier} memory in {memory.namespace}{tags}",
        annotations=types.Annotations(
            priority=memory.priority / (rules.PRIORITY_RANGE.stop - 1), last_modified=memory.updated_at
        ),
    )


def published_template(template: Template) -> types.ResourceTemplate:
    """A family of resources as `resources/templates/list` shows it."""
    return types.ResourceTemplate(
        uri_template=template.uri, name=template.name, description=template.description, mime_type=MIME_TYPE
    )
