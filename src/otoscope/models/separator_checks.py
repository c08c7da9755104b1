"""The conformance checks of separators: seeds, lengths, prompts, mixtures alone and together, sites, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from otoscope.core.audio import Audio
from otoscope.core.errors import OtoscopeError
from otoscope.core.nouns import Separator, Sited, Span, StemPrompt, Stems
from otoscope.models.checks import RATE, ROUNDING, Check, verdict

#: Prompts that a separator may or may not take, the plainest first.
_PROMPTS = {
    "no prompt": StemPrompt(),
    "words": StemPrompt("speech"),
    "spans": StemPrompt(spans=(Span(0.05, 0.2),)),
    "words and spans": StemPrompt("speech", (Span(0.05, 0.2),)),
}
_SECONDS = 0.25


def separator_checks(model: Separator) -> Sequence[tuple[str, Callable[[Any], Check]]]:
    """All checks in a fixed order, made with the first prompt that ``model`` takes."""
    tried = _tried(model)
    prompt = next((_PROMPTS[name] for name, found in tried.items() if isinstance(found, Stems)), StemPrompt())
    own: tuple[tuple[str, Callable[..., Check]], ...] = (
        ("determinism", _determinism),
        ("noise seed", _seed),
        ("exact length", _length),
        ("output", _output),
        ("mixtures alone", _alone),
        ("silence", _silence),
        ("short sound", _short),
        ("long sound", _long),
        ("restores", _restores),
        ("wrong rate", _wrong_rate),
        ("wrong channel count", _wrong_channels),
        ("wrong number of prompts", _wrong_number),
    )
    prompts = [("prompts", partial(_prompts, tried=tried))]
    return [(name, partial(function, prompt=prompt)) for name, function in own] + prompts


def probe(model: Separator, seed: int = 1, n: int | None = None, channels: int = 1, rate: int | None = None) -> Audio:
    """Noise of a quarter of a second, or of ``n`` samples."""
    rate = rate or model.card.rate or RATE
    x = np.random.default_rng(seed).standard_normal((channels, n or round(_SECONDS * rate)))
    return Audio((0.1 * x).astype(np.float32), rate)


def separate(model: Separator, mixture: Audio, prompt: StemPrompt, seed: int = 1) -> Stems:
    return model.separate([mixture], [prompt], [seed])[0]


def gap(a: Stems, b: Stems) -> float:
    """Largest difference of any sample, relative to the largest of ``a``; infinite where the lengths differ."""
    x = np.concatenate([a.target.samples, a.residual.samples])
    y = np.concatenate([b.target.samples, b.residual.samples])
    if x.shape != y.shape:
        return float("inf")
    worst, scale = float(np.abs(x.astype(np.float64) - y).max()), float(np.abs(x).max())
    return worst if scale == 0.0 else worst / scale


def _tried(model: Separator) -> dict[str, Stems | str]:
    """What each kind of prompt gives, or why it is refused."""
    found: dict[str, Stems | str] = {}
    for name, prompt in _PROMPTS.items():
        try:
            found[name] = separate(model, probe(model), prompt)
        except OtoscopeError as e:
            found[name] = e.what
        except Exception as e:  # a third party's code: a refusal, if no good one
            found[name] = f"{type(e).__name__}: {e}"
    return found


def _determinism(model: Separator, prompt: StemPrompt) -> Check:
    first, second = (separate(model, probe(model), prompt) for _ in range(2))
    figure = gap(first, second)
    return verdict(figure == 0.0, "the same noise seed twice gives the same stems, bit for bit", figure)


def _seed(model: Separator, prompt: StemPrompt) -> Check:
    figure = gap(separate(model, probe(model), prompt, 1), separate(model, probe(model), prompt, 2))
    if figure == 0.0:
        return Check("", "not applicable", "draws nothing: every noise seed gives the same stems", figure)
    return verdict(True, "another noise seed gives other stems", figure)


def _length(model: Separator, prompt: StemPrompt) -> Check:
    n = probe(model).n
    wrong = []
    for length in (n - 1, n, n + 1, n + 37):
        stems = separate(model, probe(model, n=length), prompt)
        wrong += [f"{length} -> {part.n}" for part in (stems.target, stems.residual) if part.n != length]
    return verdict(not wrong, "stems are as long as the mixture" + (f"; not so: {', '.join(wrong)}" if wrong else ""))


def _output(model: Separator, prompt: StemPrompt) -> Check:
    mixture = probe(model)
    stems = separate(model, mixture, prompt)
    for name, part in (("target", stems.target), ("residual", stems.residual)):
        if part.rate != mixture.rate or part.channels != mixture.channels:
            return verdict(False, f"{name}: {part.channels} channel(s) at {part.rate} Hz, unlike the mixture")
    latents = "none" if stems.latents is None else str(stems.latents.shape)
    finite = stems.latents is None or bool(stems.latents.ndim == 2 and np.isfinite(stems.latents).all())
    said = f"finite stems at {mixture.rate} Hz; latents [T, C]: {latents}; {stems.evaluations} evaluation(s)"
    return verdict(finite and stems.evaluations >= 0, said)


def _alone(model: Separator, prompt: StemPrompt) -> Check:
    mixtures = [probe(model, 1), probe(model, 2, n=probe(model).n // 2), probe(model, 3)]
    together = model.separate(mixtures, [prompt] * 3, [1, 2, 3])
    if len(together) != 3:
        return verdict(False, f"gave {len(together)} stems for 3 mixtures")
    pairs = zip(mixtures, together, (1, 2, 3), strict=True)
    figure = max(gap(separate(model, x, prompt, seed), stems) for x, stems, seed in pairs)
    return verdict(figure <= ROUNDING, "a mixture gives the same alone and among others of unequal length", figure)


def _silence(model: Separator, prompt: StemPrompt) -> Check:
    mixture = probe(model)
    stems = separate(model, Audio(np.zeros_like(mixture.samples), mixture.rate), prompt)
    peak = max(float(np.abs(part.samples).max()) for part in (stems.target, stems.residual))
    return verdict(stems.target.n == mixture.n, f"silence gives finite stems with a peak of {peak:.2g}", peak)


def _short(model: Separator, prompt: StemPrompt) -> Check:
    bare = StemPrompt(prompt.text)  # a span need not fit
    said = []
    for n in (1, round(0.02 * (model.card.rate or RATE))):
        try:
            got = separate(model, probe(model, n=n), bare).target.n
        except OtoscopeError as e:
            said.append(f"{n} sample(s) are refused: {e.what}")
            continue
        if got != n:
            return verdict(False, f"{n} sample(s) give {got}")
        said.append(f"{n} sample(s) give {got}")
    return verdict(True, "; ".join(said))


def _long(model: Separator, prompt: StemPrompt) -> Check:
    n = round(2.2 * (model.card.rate or RATE))
    stems = separate(model, probe(model, n=n), prompt)
    return verdict(stems.target.n == stems.residual.n == n, f"2.2 s give {stems.target.duration_s:g} s")


def _prompts(model: Separator, tried: dict[str, Stems | str]) -> Check:
    """Which prompts are taken, and whether they matter."""
    done = {name: found for name, found in tried.items() if isinstance(found, Stems)}
    refused = [f"{name} refused: {found}" for name, found in tried.items() if isinstance(found, str)]
    if not done:
        return verdict(False, "; ".join(refused))
    first, *others = done
    same = [name for name in others if gap(done[first], done[name]) == 0.0]
    said = [f"takes {', '.join(done)}", *([f"no different from {first}: {', '.join(same)}"] if same else [])]
    return verdict(True, "; ".join([*said, *refused]))


def _restores(model: Separator, prompt: StemPrompt) -> Check:
    if not isinstance(model, Sited):
        return Check("", "not applicable", "has no named sites")
    places = [p for site in model.sites.sites for p in model.sites.places(site.name)]
    modules = dict(model.network.named_modules())
    lacking = [str(p) for p in places if p.path not in modules]
    if lacking:
        return verdict(False, f"the network has no {', '.join(lacking[:3])}")
    before, place = separate(model, probe(model), prompt), _last_output(model)
    handle = modules[place.path].register_forward_hook(lambda module, args, out: out * 0.5)
    try:
        inside = separate(model, probe(model), prompt)
    finally:
        handle.remove()
    after = gap(before, separate(model, probe(model), prompt))
    if gap(before, inside) == 0.0:
        return verdict(False, f"what is done at {place} does not reach the stems")
    return verdict(after == 0.0, f"{len(places)} places exist; after a change at {place} the stems are back", after)


def _last_output(model: Any) -> Any:
    """The last place of the map that is a module's output."""
    sites = [s for s in model.sites.sites if s.at == "output" and s.item is None]
    return model.sites.places(sites[-1].name)[-1]


def _wrong_rate(model: Separator, prompt: StemPrompt) -> Check:
    if model.card.rate is None:
        return Check("", "not applicable", "takes any rate")
    sound = probe(model, rate=model.card.rate + 1)
    return _refused(lambda: separate(model, sound, prompt), f"a mixture of {sound.rate} Hz")


def _wrong_channels(model: Separator, prompt: StemPrompt) -> Check:
    return _refused(lambda: separate(model, probe(model, channels=3), prompt), "a mixture of 3 channels")


def _wrong_number(model: Separator, prompt: StemPrompt) -> Check:
    return _refused(lambda: model.separate([probe(model)], [prompt] * 2, [1]), "one mixture with two prompts")


def _refused(ask: Callable[[], Any], what: str) -> Check:
    try:
        ask()
    except OtoscopeError as e:
        return verdict(True, f"{what} is refused: {e.what}")
    return verdict(False, f"{what} is taken without a word")
