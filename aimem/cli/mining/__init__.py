"""Conversations out of other programs' exports, as memories to import."""

from aimem.cli.mining.conversations import Conversation, Message, Problem, Shape
from aimem.cli.mining.files import open_files
from aimem.cli.mining.formats import FORMATS, read_conversations
from aimem.cli.mining.parts import Manner, memories_of

__all__ = [
    "FORMATS", "Conversation", "Manner", "Message", "Problem", "Shape", "memories_of", "open_files",
    "read_conversations",
]
