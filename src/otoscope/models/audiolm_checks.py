"""The conformance checks of audio language models: greedy answers, batches, spans and counts, lengths, sites, refusals.

Answers are compared token by token. A random network may give every sound the same answer, so whether sound and
question matter is also looked for in what the network's last named place puts out, where it has named places.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import OtoscopeError
from otoscope.core.nouns import AudioLM, Prompt, Reply, Sited
from otoscope.models.checks import RATE, Check, verdict

_QUESTION = "What do you hear?"
#: Tokens of an answer that is compared.
_TOKENS = 6
#: Phases that a reply may report.
_PHASES = ("features", "encoder", "prefill", "decode")


def probe(model: AudioLM, seed: int = 1, seconds: float = 0.8, **other: int) -> Audio:
    """Noise whose level rises and falls. ``other``: another rate or number of channels than the model's."""
    rate = other.get("rate") or model.card.rate or RATE
    n = round(seconds * rate)
    x = np.random.default_rng(seed).standard_normal((other.get("channels") or model.card.channels or 1, n))
    slow = 1.0 + 0.8 * np.sin(2 * np.pi * (seed + 1) * np.arange(n) / rate)
    return Audio((0.1 * slow * x).astype(np.float32), rate)


def prompt(model: AudioLM, seed: int = 1, seconds: float = 0.8, text: str = _QUESTION) -> Prompt:
    return Prompt(text, (probe(model, seed, seconds),))


def ask(model: AudioLM, *prompts: Prompt, tokens: int = _TOKENS) -> list[Reply]:
    return model.generate(list(prompts), tokens)


def _ids(*replies: Reply) -> list[tuple[int, ...]]:
    return [r.token_ids for r in replies]


# --- answers ----------------------------------------------------------------------------------------------------


def _determinism(model: AudioLM) -> Check:
    one = prompt(model)
    same = _ids(*ask(model, one)) == _ids(*ask(model, one))
    return verdict(same, "the same prompt twice has the same answer")


def _two_loads(model: Any) -> Check:
    if not hasattr(model, "fresh"):
        return Check("", "not applicable", "cannot be made anew (has no fresh())")
    other = model.fresh()
    other.load()
    one = prompt(model)
    return verdict(_ids(*ask(model, one)) == _ids(*ask(other, one)), "loaded twice, it gives the same answer")


def _batch(model: AudioLM) -> Check:
    """Prompts of one length."""
    prompts = [prompt(model, seed) for seed in (1, 2, 3)]
    return _alike(model, prompts, "a prompt has the same answer alone and among others of its length")


def _padding(model: AudioLM) -> Check:
    texts = (_QUESTION, "Is it loud?", "Say in one word what the sound is like.")
    prompts = [prompt(model, k, 0.5 + 0.6 * k, text) for k, text in enumerate(texts)]
    return _alike(model, prompts, "a prompt has the same answer alone and padded to the length of others")


def _alike(model: AudioLM, prompts: Sequence[Prompt], said: str) -> Check:
    together = ask(model, *prompts)
    if len(together) != len(prompts):
        return verdict(False, f"gave {len(together)} answers to {len(prompts)} prompts")
    alone = [ask(model, one)[0] for one in prompts]
    wrong = sum(a.token_ids != b.token_ids for a, b in zip(alone, together, strict=True))
    wrong += sum(a.tokens != b.tokens or a.spans != b.spans for a, b in zip(alone, together, strict=True))
    return verdict(not wrong, said, float(wrong))


def _order(model: AudioLM) -> Check:
    prompts = [prompt(model, seed) for seed in (1, 2, 3)]
    same = _ids(*ask(model, *prompts)) == _ids(*ask(model, *prompts[::-1]))[::-1]
    return verdict(same, "answers follow their prompts when the batch is reordered")


def _longer(model: AudioLM) -> Check:
    one = prompt(model)
    for n in (1, 3, _TOKENS):
        short, long = ask(model, one, tokens=n)[0], ask(model, one, tokens=n + 2)[0]
        if len(short.token_ids) > n or short.tokens.output > n:
            return verdict(False, f"asked for {n} token(s), it gives {len(short.token_ids)}")
        if long.token_ids[: len(short.token_ids)] != short.token_ids:
            return verdict(False, f"the answer of {n} token(s) is not the beginning of a longer one")
        if not short.ended and len(short.token_ids) < n:
            return verdict(
                False, f"asked for {n} token(s), it stops at {len(short.token_ids)} and says that it was cut"
            )
    return verdict(True, "never more tokens than asked for; a shorter answer is the beginning of a longer one")


def _counts(model: AudioLM) -> Check:
    """Spans and counts say where the sound is and how long everything is."""
    for seconds in (0.5, 0.8, 1.7):
        reply = ask(model, prompt(model, 1, seconds))[0]
        ends = [0, *(x for span in reply.spans for x in span), reply.tokens.prompt]
        if len(reply.spans) != 1 or ends != sorted(ends):
            return verdict(False, f"one clip has the spans {list(reply.spans)} in {reply.tokens.prompt} tokens")
        if (inside := sum(b - a for a, b in reply.spans)) != reply.tokens.audio:
            return verdict(False, f"spans hold {inside} tokens, and {reply.tokens.audio} are counted as sound")
        if reply.tokens.output != len(reply.token_ids) + reply.ended:
            return verdict(False, f"counts {reply.tokens.output} tokens of an answer of {len(reply.token_ids)}")
    more = [ask(model, prompt(model, 1, s), tokens=1)[0].tokens.audio for s in (0.5, 4.0)]
    if more[1] < more[0]:
        return verdict(False, f"4 s are fewer tokens than 0.5 s: {more[1]} and {more[0]}")
    words = [ask(model, prompt(model, 1, 0.5, t), tokens=1)[0].tokens.text for t in ("why?", "why? " * 9)]
    said = f"0.5 s are {more[0]} tokens, 4 s are {more[1]}; spans, sound, text and answer add up"
    return verdict(words[0] < words[1], said if words[0] < words[1] else "a longer question has no more tokens of text")


def _output(model: AudioLM) -> Check:
    began = time.perf_counter()
    reply = ask(model, prompt(model))[0]
    whole = time.perf_counter() - began
    unknown = sorted(set(reply.seconds) - set(_PHASES))
    if not isinstance(reply.text, str) or not all(isinstance(i, int) for i in reply.token_ids):
        return verdict(False, "text is no text, or token ids are no whole numbers")
    if unknown or any(s < 0 for s in reply.seconds.values()) or sum(reply.seconds.values()) > 1.01 * whole + 1e-3:
        return verdict(False, f"phases {dict(reply.seconds)} do not fit into the {whole:.3f} s of the call; {unknown}")
    measured = ", ".join(reply.seconds) or "none"
    return verdict(True, f"text and token ids; phases measured: {measured}; answer: {reply.text[:40]!r}")


# --- what matters -----------------------------------------------------------------------------------------------


def _hears(model: AudioLM) -> Check:
    return _matters(model, [prompt(model, 1), prompt(model, 2), _silent(model)], "sound")


def _reads(model: AudioLM) -> Check:
    texts = (_QUESTION, "Is it loud?", "Count to three.")
    return _matters(model, [prompt(model, text=text) for text in texts], "question")


def _silent(model: AudioLM) -> Prompt:
    sound = probe(model)
    return Prompt(_QUESTION, (Audio(np.zeros_like(sound.samples), sound.rate),))


def _matters(model: AudioLM, prompts: Sequence[Prompt], what: str) -> Check:
    answers = {ask(model, one)[0].token_ids for one in prompts}
    if len(answers) > 1:
        return verdict(True, f"{len(answers)} answers to {len(prompts)} prompts that differ in their {what}")
    if not isinstance(model, Sited):
        return Check("", "not applicable", f"the same answer whatever the {what}, which a good model may give")
    states = [_state(model, one) for one in prompts]
    same = all(np.array_equal(states[0], s) for s in states[1:])
    said = "reaches" if not same else "does not reach"
    return verdict(not same, f"the same answer whatever the {what}; it {said} {_last_output(model)}")


def _state(model: Any, one: Prompt) -> Any:
    """What the last place of the map puts out for the last token of the prompt."""
    seen: list[Any] = []
    module = dict(model.network.named_modules())[_last_output(model).path]
    handle = module.register_forward_hook(lambda m, args, out: seen.append(_first(out)))
    try:
        ask(model, one, tokens=1)
    finally:
        handle.remove()
    return seen[0][:, -1].detach().float().cpu().numpy().copy()


def _first(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) else out


def _last_output(model: Any) -> Any:
    """The last place of the map that is a module's output."""
    sites = [s for s in model.sites.sites if s.at == "output" and s.item is None]
    return model.sites.places(sites[-1].name)[-1]


def _restores(model: AudioLM) -> Check:
    if not isinstance(model, Sited):
        return Check("", "not applicable", "has no named sites")
    network: Any = model.network
    modules = dict(network.named_modules())
    places = [p for site in model.sites.sites for p in model.sites.places(site.name)]
    if lacking := [str(p) for p in places if p.path not in modules]:
        return verdict(False, f"the network has no {', '.join(lacking[:3])}")
    layered = [s for s in model.sites.sites if s.per_layer and s.at == "output" and s.item is None]
    if not layered:
        return Check("", "not applicable", "its map has no output of a layer")
    place = model.sites.places(layered[0].name, [0])[0]
    before = _state(model, prompt(model))
    halved = lambda m, args, out: (out[0] * 0.5, *out[1:]) if isinstance(out, tuple) else out * 0.5  # noqa: E731
    handle = modules[place.path].register_forward_hook(halved)
    try:
        inside = _state(model, prompt(model))
    finally:
        handle.remove()
    if np.array_equal(before, inside):
        return verdict(False, f"what is done at {place} does not reach {_last_output(model)}")
    back = bool(np.array_equal(before, _state(model, prompt(model))))
    return verdict(back, f"{len(places)} places exist; after a change at {place} all is as before")


# --- what is taken and what is not ------------------------------------------------------------------------------


def _short(model: AudioLM) -> Check:
    said = []
    for n in (1, round(0.02 * (model.card.rate or RATE)), round(0.1 * (model.card.rate or RATE))):
        sound = Audio(probe(model).samples[:, :n], model.card.rate or RATE)
        try:
            reply = ask(model, Prompt(_QUESTION, (sound,)), tokens=1)[0]
        except OtoscopeError as e:
            said.append(f"{n} sample(s) are refused: {e.what}")
        else:
            said.append(f"{n} sample(s) are {reply.tokens.audio} token(s)")
    return verdict(True, "; ".join(said))


def _long(model: AudioLM) -> Check:
    """Nothing is cut: sound beyond the limit is refused, and sound beyond 30 s is more tokens than 30 s."""
    limit = model.card.extra.get("limit_s")
    if limit is not None:
        return refused(lambda: ask(model, prompt(model, 1, limit + 1.0), tokens=1), f"a clip of {limit + 1:g} s")
    found = [ask(model, prompt(model, 1, seconds), tokens=1)[0].tokens.audio for seconds in (30.0, 61.0)]
    return verdict(found[1] > found[0], f"no limit is stated; 30 s are {found[0]} tokens, 61 s are {found[1]}")


def _clips(model: AudioLM) -> Check:
    two = Prompt(_QUESTION, (probe(model, 1, 0.5), probe(model, 2, 0.9)))
    try:
        reply = ask(model, two)[0]
    except OtoscopeError as e:
        return verdict(True, f"two clips in one prompt are refused: {e.what}")
    ends = [x for span in reply.spans for x in span]
    good = len(reply.spans) == 2 and ends == sorted(ends) and sum(b - a for a, b in reply.spans) == reply.tokens.audio
    return verdict(good, f"two clips have the spans {list(reply.spans)}")


def _no_clip(model: AudioLM) -> Check:
    try:
        reply = ask(model, Prompt("What is rain?"))[0]
    except OtoscopeError as e:
        return verdict(True, f"a prompt without sound is refused: {e.what}")
    return verdict(
        not reply.spans and not reply.tokens.audio, "a prompt without sound is answered, without audio tokens"
    )


def _system(model: AudioLM) -> Check:
    with_one = Prompt(_QUESTION, (probe(model),), "You answer in one word.")
    try:
        told = ask(model, with_one, tokens=1)[0].tokens.text
    except OtoscopeError as e:
        return verdict(True, f"a system message beside sound is refused: {e.what}")
    longer = Prompt(_QUESTION, (probe(model),), "You answer in one word. " * 5)
    return verdict(ask(model, longer, tokens=1)[0].tokens.text > told, "a system message is part of the prompt")


def _wrong_rate(model: AudioLM) -> Check:
    if model.card.rate is None:
        return Check("", "not applicable", "takes any rate")
    sound = probe(model, rate=model.card.rate + 1)
    return refused(lambda: ask(model, Prompt(_QUESTION, (sound,))), f"a clip of {sound.rate} Hz")


def _wrong_channels(model: AudioLM) -> Check:
    sound = probe(model, channels=model.card.channels + 2)
    return refused(lambda: ask(model, Prompt(_QUESTION, (sound,))), f"a clip of {sound.channels} channels")


def _nothing_asked(model: AudioLM) -> Check:
    found = [refused(lambda: model.generate([]), "a batch of no prompts")]
    found.append(refused(lambda: ask(model, prompt(model), tokens=0), "an answer of no tokens"))
    return verdict(all(c.passed for c in found), "; ".join(c.detail for c in found))


def refused(call: Callable[[], Any], what: str) -> Check:
    """Whether ``call`` is refused with a reason of ours."""
    try:
        call()
    except OtoscopeError as e:
        return verdict(True, f"{what} is refused: {e.what}")
    return verdict(False, f"{what} is taken without a word")


#: All checks in their order.
AUDIOLM_CHECKS: tuple[tuple[str, Callable[[Any], Check]], ...] = (
    ("determinism", _determinism),
    ("two loads", _two_loads),
    ("batch invariance", _batch),
    ("prompts alone", _padding),
    ("batch position", _order),
    ("answer length", _longer),
    ("spans and counts", _counts),
    ("output", _output),
    ("hears", _hears),
    ("reads", _reads),
    ("restores", _restores),
    ("short sound", _short),
    ("long sound", _long),
    ("two clips", _clips),
    ("no sound", _no_clip),
    ("system message", _system),
    ("wrong rate", _wrong_rate),
    ("wrong channel count", _wrong_channels),
    ("nothing asked", _nothing_asked),
)
