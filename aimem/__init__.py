"""ai-memory: persistent shared memory for fleets of AI agents.

The package's rooms and the direction of their imports are described in README.md ("The house") and checked by
import-linter. This module imports nothing, so that asking for the version costs nothing.
"""

__version__ = "0.1.0"
COMPATIBLE_WITH = "0.6.3"
