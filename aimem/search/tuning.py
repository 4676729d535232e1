"""The one configuration of ranking: every constant that decides an order, with its origin.

A change of one is a commit of its own that shows the tables of all quality sets before and after. Nothing here is a
setting: two nodes that know the same rank the same, and an explanation means the same on both.
"""

from __future__ import annotations

from typing import Final

CANDIDATES: Final = 100
"""Rows that each arm gives to the fusion. More find nothing better on the development sets, and cost a fetch each."""

DENSE_WEIGHT: Final = 0.3
"""Share of the meaning. Good on chats and abstracts alike; with more, chats lose: there an answer mostly repeats its
question's words (Bruch, Gai and Ingber, TOIS 2023, for the convex sum as such)."""

NEARNESS_SHARE: Final = 0.15
"""What a row within the time that the question names gains, in units of the fused score: as much as half of the
meaning, so it decides between like rows and never alone."""

USER_TURN_SHARE: Final = 0.05
"""What a user's turn of a dialogue gains: facts about people are said by them, and repeated at length by assistants."""

RECENCY_SHARE: Final = 0.05
"""What a row changed this moment gains, as a factor; it halves with the tier's half-life."""

# The other factors. With recency they move a score by -5 % to +12 %: enough to order near ties, never to pass a clear
# answer. A test holds them to that.
PRIORITY_STEP: Final = 0.005
CONFIDENCE_SHARE: Final = 0.03
TIER_STEP: Final = 0.01
ACCESS_SHARE: Final = 0.02

ACCESS_FULL: Final = 50
"""More reads than this add nothing: what is read often would else be read for ever."""

DISTANCE_WEIGHT: Final = 0.3
"""How much each level above the namespace asked for lowers a row: v0.6.3's figure."""

MEANING_FLOOR: Final = 0.2
"""Cosine below which a row that shares no word with the question is nothing relevant. On the development sets no
relevant row without a common word has less than 0.46; of pairs that have nothing to do with each other a fortieth has
more."""

SENSE_FLOOR: Final = 0.15
"""If no candidate's cosine reaches this, nothing here means anything like the question, and its words have to be there.
On the development sets the best cosine of every question that has an answer is 0.24 or more; the bound lies lower,
because in a store of ten memories it would else lose one answer in nine."""

WORDS_FLOOR: Final = 0.5
"""The share of the question's words that a row then has to hold."""
