"""The ASR head on a real, small language model: it learns words, and its published quirks are there and gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from otoscope.core.errors import ModelError
from otoscope.models.devices import seeded
from otoscope.readouts.asr import SEPARATOR, Adapter, Asr, FrozenLM, _forward
from otoscope.readouts.gradient import Recipe
from otoscope.readouts.ragged import Ragged
from otoscope.training.audiolm.network import END, make_tokenizer

WORDS = ("one", "two", "three", "four")


@pytest.fixture(scope="module")
def lm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of one layer that was taught to repeat the word before the separator, saved as the library saves."""
    import transformers as tr

    tokenizer = make_tokenizer(list(WORDS) * 9, 300)
    tokenizer.eos_token = END
    tokenizer.add_special_tokens({"additional_special_tokens": [SEPARATOR]}, replace_extra_special_tokens=False)
    end, separator = tokenizer.eos_token_id, tokenizer.get_vocab()[SEPARATOR]
    ids = [tokenizer(w).input_ids for w in WORDS]
    assert [len(i) for i in ids] == [1] * 4
    word_ids = torch.tensor(ids)[:, 0]
    folder = tmp_path_factory.mktemp("lm")
    with seeded(0):
        model = tr.Qwen2ForCausalLM(
            tr.Qwen2Config(
                vocab_size=len(tokenizer), hidden_size=32, intermediate_size=48, num_hidden_layers=1,
                num_attention_heads=2, num_key_value_heads=2, max_position_embeddings=64, eos_token_id=end,
                bos_token_id=None, initializer_range=0.3,
            )
        )  # fmt: skip
        optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
        for _ in range(200):
            word = word_ids[torch.randint(4, (32, 1))]
            said = word.expand(-1, int(torch.randint(1, 7, ())))
            rest = torch.cat([torch.full_like(word, separator), word, torch.full_like(word, end)], dim=1)
            x = torch.cat([said, rest], dim=1)
            loss = model(input_ids=x, labels=torch.where(torch.arange(x.shape[1]) <= said.shape[1], -100, x)).loss
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def spoken(n: int, seed: int) -> tuple[Ragged, list[str]]:
    rng = np.random.default_rng(seed)
    which = rng.integers(4, size=n)
    parts = [
        (np.eye(6)[w] * 2 + 0.2 * rng.standard_normal((int(rng.integers(2, 7)), 6))).astype(np.float32) for w in which
    ]
    return Ragged(parts, 0.02), [WORDS[w] for w in which]


@pytest.mark.filterwarnings("ignore:Passing `repetition_penalty`")  # of new tokens alone, as in the published head
@pytest.mark.parametrize("published", [True, False])
def test_the_head_learns_to_say_what_the_frames_hold(lm: Path, published: bool) -> None:
    (x, said), (held, truth), (test, wanted) = spoken(64, 1), spoken(16, 2), spoken(24, 3)
    head = Asr(str(lm), Recipe(epochs=10, batch=8, lr=1e-2), published=published, max_new_tokens=4)
    fitted = head.fit(x, said, (held, truth), 0)
    found = fitted.transcribe(test)
    assert np.mean([a == b for a, b in zip(found, wanted, strict=True)]) > 0.8
    assert fitted.chosen.endswith("of 10")
    assert not any(p.requires_grad for p in fitted.lm.model.parameters())
    shuffled = [said[i] for i in np.random.default_rng(0).permutation(64)]
    nothing = head.fit(x, shuffled, None, 0).transcribe(test)
    assert np.mean([a == b for a, b in zip(nothing, wanted, strict=True)]) < 0.6


def test_padding_stands_between_frames_and_text_in_the_published_head_alone(lm: Path) -> None:
    """The loss of a sound depends on its neighbours where padding moves its text, and not where it doesn't."""
    model = FrozenLM.of(str(lm))
    torch.manual_seed(1)
    net = Adapter(6, 8, 32)
    x, said = spoken(2, 4)
    longer = Ragged([x.parts[0], np.tile(x.parts[1], (5, 1))])
    ids = [model.ids(t) for t in said]
    for published, moves in ((True, True), (False, False)):
        _, alone, at = _forward(model, net, x[np.array([0])], ids[:1], published)
        _, beside, moved = _forward(model, net, longer, ids, published)
        n = len(ids[0]) + 2
        same = torch.allclose(alone[0, at[0] : at[0] + n], beside[0, moved[0] : moved[0] + n], atol=1e-5)
        assert same is not moves
        assert (moved[0] > at[0]) is moves


def test_the_loss_is_on_separator_text_and_end(lm: Path) -> None:
    model = FrozenLM.of(str(lm))
    net = Adapter(6, 8, 32)
    x, said = spoken(1, 4)
    own = model.ids(said[0])
    loss, logits, (at,) = _forward(model, net, x, [own], False)
    targets = torch.tensor([model.separator, *own, model.end])
    expected = torch.nn.functional.cross_entropy(logits[0, at - 1 : at - 1 + len(targets)], targets)
    assert torch.allclose(loss, expected, atol=1e-6)


def test_the_epoch_is_chosen_by_cut_words_or_by_the_loss(lm: Path) -> None:
    model = FrozenLM.of(str(lm))
    net = Adapter(6, 8, 32)
    held, truth = spoken(6, 2)
    assert 0 <= Asr(str(lm), published=True)._check(model, net, held, truth) <= 1
    assert Asr(str(lm))._check(model, net, held, truth) < 0


def test_what_is_no_language_model_says_what_to_do() -> None:
    with pytest.raises(ModelError, match="lm=DIR"):
        FrozenLM.of("/no/such/folder")
