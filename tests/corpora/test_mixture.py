"""Mixtures of a corpus."""

from pathlib import Path

from s2h.supervision.examples import Mixture
from tests.corpora.generated import Made


def test_an_epoch_holds_every_good_entry_once_in_an_order_of_its_own(corpus: Made, conversations: Path) -> None:
    mixture = Mixture.read(conversations)
    names, number = mixture.frame["puzzle_id"].to_list(), len(corpus.kept)
    assert sorted(names[:number]) == sorted(names[number:]) == sorted(corpus.kept)
    assert names[:number] not in (names[number:], corpus.kept)
    for place in range(0, len(mixture), 7):
        example, name = mixture[place], names[place]
        assert [example.prompt, example.response, *example.more] == corpus.turns[name]
        assert (example.image is not None) == (name in corpus.files)
