"""Texts alike: cosine over a corpus that grows."""

from hypothesis import given
from hypothesis import strategies as st

from bailiwick.packs.operations.texts import TextCorpus

_TEXTS = st.lists(st.text("abc de", min_size=1, max_size=30), min_size=1, max_size=12)

SHOP = {
    "voucher": "gift card code refused on the payment page of the online shop",
    "gift": "gift cards bought this week: the code does not work when paying online",
    "oven": "the oven in the bakery does not heat above two hundred degrees",
    "van": "van charger offline since yesterday evening",
    "heat": "heating of the bakery is noisy",
}


def shop() -> TextCorpus:
    corpus = TextCorpus()
    for key, text in SHOP.items():
        corpus.learn_one(key, text)
    return corpus


def test_the_same_words_score_one_and_lead() -> None:
    found = shop().predict_one(SHOP["oven"], limit=3)
    assert found[0].key == "oven"
    assert abs(found[0].score - 1) < 1e-5


def test_what_is_excluded_is_not_found() -> None:
    assert all(one.key != "oven" for one in shop().predict_one(SHOP["oven"], limit=5, exclude="oven"))


def test_texts_without_a_common_word_are_left_out() -> None:
    assert shop().predict_one("quarterly tax figures", limit=5) == []


def test_twins_are_each_others_nearest_and_say_what_they_share() -> None:
    corpus = shop()
    twin = corpus.twin_of("voucher", threshold=0.1)
    assert twin is not None
    assert twin.key == "gift"
    assert {"gift", "code"} <= set(twin.shared_terms)
    back = corpus.twin_of("gift", threshold=0.1)
    assert back is not None
    assert back.key == "voucher"


def test_a_text_alone_or_unknown_has_no_twin() -> None:
    corpus = shop()
    assert corpus.twin_of("van", threshold=0.1) is None
    assert corpus.twin_of("nobody", threshold=0.0) is None


def test_a_key_is_learned_once() -> None:
    corpus = shop()
    corpus.learn_one("van", "something else entirely")
    assert len(corpus) == len(SHOP)
    assert corpus.predict_one("something else entirely", limit=1) == []


@given(_TEXTS, st.text("abc de", max_size=30))
def test_scores_lie_between_zero_and_one_best_first(texts: list[str], query: str) -> None:
    corpus = TextCorpus()
    for number, text in enumerate(texts):
        corpus.learn_one(str(number), text)
        found = corpus.predict_one(query, limit=20)
        scores = [one.score for one in found]
        assert scores == sorted(scores, reverse=True)
        assert all(0 < score <= 1 for score in scores)
