"""Which models the settings ask for."""

from __future__ import annotations

from pathlib import Path

import pytest

from aimem.config import Config, EmbeddingModel, FeatureTier, LanguageConfig, load_config
from aimem.errors import Code, InvalidRequest

HERE = "http://localhost:11434"


def loaded(**given: object) -> Config:
    return load_config(given, {}, cwd=Path("/w"), home=Path("/h"), etc=Path("/e"))


@pytest.mark.parametrize(("tier", "embedding", "language"), [
    ("keyword", EmbeddingModel.MINI_LM, None),
    ("semantic", EmbeddingModel.MINI_LM, None),
    ("smart", EmbeddingModel.NOMIC, LanguageConfig(url=HERE, model="gemma4:e2b")),
    ("autonomous", EmbeddingModel.NOMIC, LanguageConfig(url=HERE, model="gemma4:e4b")),
])
def test_a_tier_brings_its_models(tier: str, embedding: EmbeddingModel, language: LanguageConfig | None) -> None:
    config = loaded(tier=tier)
    assert (config.search.tier, config.search.embedding, config.language) == (FeatureTier(tier), embedding, language)
    assert config.notices == ()


def test_models_and_addresses_may_be_named() -> None:
    config = loaded(
        tier="smart", llm_model="mistral", ollama_url="http://127.0.0.1:1234/", embed_url="http://[::1]:5/x",
        embedding_model="nomic_embed_v15", autonomous_hooks=True,
    )
    assert config.language == LanguageConfig(url="http://127.0.0.1:1234", model="mistral", hooks=True)
    assert config.search.embed_url == "http://[::1]:5/x"
    assert config.notices == ()


def test_vectors_come_from_the_same_server_unless_another_is_named() -> None:
    assert loaded(tier="smart", ollama_url="http://127.0.0.1:1").search.embed_url == "http://127.0.0.1:1"


def test_the_model_of_this_process_may_serve_an_upper_tier_and_that_of_ollama_a_lower_one() -> None:
    assert loaded(tier="smart", embedding_model="mini_lm_l6_v2").search.embedding is EmbeddingModel.MINI_LM
    config = loaded(tier="semantic", embedding_model="nomic_embed_v15", ollama_url="http://127.0.0.1:1")
    assert (config.search.embedding, config.search.embed_url) == (EmbeddingModel.NOMIC, "http://127.0.0.1:1")
    assert config.notices == ()


@pytest.mark.parametrize(("given", "words"), [
    ({"ollama_url": HERE}, "ollama_url has no effect: the tier is semantic"),
    ({"llm_model": "m"}, "llm_model has no effect: the tier is semantic"),
    ({"autonomous_hooks": True}, "autonomous_hooks has no effect: the tier is semantic"),
    ({"embed_url": HERE}, "embed_url has no effect: no vector is made by Ollama"),
    ({"tier": "keyword", "embedding_model": "nomic_embed_v15"}, "embedding_model has no effect: the tier is keyword"),
    ({"tier": "smart", "ollama_url": "http://gpu.lan:1"}, "the texts of memories sent unencrypted to gpu.lan"),
    ({"tier": "smart", "embed_url": "https://10.0.0.7"}, "the texts of memories sent to 10.0.0.7"),
])
def test_what_has_no_effect_or_leaves_the_machine_is_said(given: dict[str, object], words: str) -> None:
    [notice] = loaded(**given).notices
    assert words in notice


def test_hooks_that_are_off_are_nothing_to_speak_of() -> None:
    assert loaded(autonomous_hooks=False).notices == ()


@pytest.mark.parametrize("url", [
    "localhost:11434", "ftp://h", "http://", "http://:80", "http://u:p@h", "http://h?q=1", "http://h#f", "http://h:0",
    "http://h:99999", "http://[::1", "http://a b", "unix:/x", "http://h\n", " ",
])
@pytest.mark.parametrize("key", ["ollama_url", "embed_url"])
def test_what_is_no_address_of_a_server_is_refused_and_not_shown(key: str, url: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        loaded(tier="smart", **{key: url})
    assert caught.value.code is Code.CONFIG_INVALID
    assert caught.value.field == key
    assert "u:p" not in caught.value.message
