"""Which models the settings ask for: what makes vectors, what speaks, and where they run."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

from aimem.config.checks import Given, subject
from aimem.config.slices import OLLAMA_URL, EmbeddingModel, FeatureTier, LanguageConfig

_LANGUAGE_MODELS: Final = {FeatureTier.SMART: "gemma4:e2b", FeatureTier.AUTONOMOUS: "gemma4:e4b"}
"""Those of v0.6.3."""


def tier_of(given: Mapping[str, Given]) -> FeatureTier:
    """The tier that is asked for."""
    return FeatureTier(_text(given, "tier", FeatureTier.SEMANTIC))


def embedding_of(given: Mapping[str, Given]) -> EmbeddingModel:
    """What makes vectors, if the tier is not keyword."""
    usual = EmbeddingModel.NOMIC if tier_of(given) in _LANGUAGE_MODELS else EmbeddingModel.MINI_LM
    return EmbeddingModel(_text(given, "embedding_model", usual))


def embed_url_of(given: Mapping[str, Given]) -> str:
    """Where, if it is Ollama that does."""
    return _text(given, "embed_url", _text(given, "ollama_url", OLLAMA_URL)).rstrip("/")


def language_of(given: Mapping[str, Given]) -> LanguageConfig | None:
    """The language model, or None if the tier has none."""
    usual = _LANGUAGE_MODELS.get(tier_of(given))
    if usual is None:
        return None
    hooks = given.get("autonomous_hooks")
    return LanguageConfig(
        url=_text(given, "ollama_url", OLLAMA_URL).rstrip("/"), model=_text(given, "llm_model", usual).strip(),
        hooks=hooks is not None and hooks.value is True,
    )


def model_notices(given: Mapping[str, Given]) -> Iterator[str]:
    """What an operator should know: settings without effect, and texts that leave the machine."""
    tier = tier_of(given)
    used = _used(given)
    reasons = {
        "ollama_url": f"the tier is {tier}, and nothing asks Ollama",
        "llm_model": f"the tier is {tier}, which has no language model",
        "autonomous_hooks": f"the tier is {tier}, which has no language model",
        "embedding_model": "the tier is keyword",
        "embed_url": "no vector is made by Ollama",
    }
    for key, reason in reasons.items():
        item = given.get(key)
        if item is None or item.value is False:
            continue
        if key not in used:
            yield f"{subject(item.origin, key)} has no effect: {reason}"
        elif key.endswith("_url") and (host := _foreign_host(str(item.value))):
            how = "" if str(item.value).startswith("https:") else " unencrypted"
            yield f"{subject(item.origin, key)} has the texts of memories sent{how} to {host}"


def _used(given: Mapping[str, Given]) -> frozenset[str]:
    """The keys about models that have an effect."""
    if tier_of(given) is FeatureTier.KEYWORD:
        return frozenset()
    used = {"embedding_model"}
    if tier_of(given) in _LANGUAGE_MODELS:
        used |= {"ollama_url", "llm_model", "autonomous_hooks"}
    if embedding_of(given) is EmbeddingModel.NOMIC:
        used |= {"embed_url"} if "embed_url" in given else {"ollama_url"}
    return frozenset(used)


def _foreign_host(url: str) -> str:
    """The host of an address on another machine, else nothing."""
    host = urlsplit(url).hostname or ""
    try:
        is_here = ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        is_here = host == "localhost" or host.endswith(".localhost")
    return "" if is_here else host


def _text(given: Mapping[str, Given], key: str, default: str) -> str:
    return str(given[key].value) if key in given else default
