"""The sets are whole."""

from __future__ import annotations

import pytest

from tests.quality.sets import SetName, load_set


@pytest.mark.parametrize(("name", "documents", "questions", "roles"), [
    (SetName.TURN, 5_432, 423, {"user"}), (SetName.SESSION, 940, 433, {None}), (SetName.CRANFIELD, 1_398, 225, {None}),
])
def test_a_set_is_whole(name: SetName, documents: int, questions: int, roles: set[str | None]) -> None:
    found = load_set(name)
    keys = {document.key for document in found.documents}
    assert (len(keys), len(found.documents), len(found.questions)) == (documents, documents, questions)
    assert {document.role for document in found.documents} == roles
    # A few abstracts that are judged relevant have no text: they stay in what would be ideal.
    assert all(question.gains.keys() & keys for question in found.questions)
    assert all(document.text.strip() for document in found.documents)
    titles = [document.title for document in found.documents if document.title]
    assert len(titles) == len(set(titles))
