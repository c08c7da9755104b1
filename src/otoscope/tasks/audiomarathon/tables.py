"""What a run says in a few printed tables: the ten scores and their means, and the published rows beside them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from otoscope.results.scoring import Score
from otoscope.tasks.audiomarathon.kinds import CATEGORIES, KINDS
from otoscope.tasks.audiomarathon.published import means, published

Table = tuple[str, list[str], list[list[Any]]]
Setting = tuple[str, str, str, str]  # model, intervention, condition, what else the task was given


def tables(scores: Sequence[Score], cells: Sequence[Any]) -> list[Table]:
    """One table of sound scores, one of official ones, one of costs, by setting; then the published rows."""
    found = [
        _ten(scores, "score", "AudioMarathon, sound scores (unreadable replies are wrong; 95 % intervals)"),
        _ten(scores, "score_official", "AudioMarathon, official scores (unreadable replies left out)"),
        _unparsed(scores),
        _costs(scores),
    ]
    return [t for t in found if t[2]] + ([_published()] if any(t[2] for t in found) else [])


def by_setting(scores: Sequence[Score], metric: str) -> dict[Setting, dict[str, Score]]:
    """Setting -> task -> score."""
    found: dict[Setting, dict[str, Score]] = {}
    for s in scores:
        name, _, params = s.task.partition(":")
        key = name.removeprefix("audiomarathon/")
        if s.metric == metric and key in KINDS and name.startswith("audiomarathon/") and s.value is not None:
            found.setdefault((s.model, s.intervention, s.condition, params), {})[key] = s
    return found


def mean_of(scores: dict[str, Score], keys: Sequence[str]) -> tuple[float, float, float] | None:
    """The mean of the tasks with a normal 95 % interval from theirs, which are of different items; None unless all are
    there."""
    if any(k not in scores for k in keys):
        return None
    value = sum(scores[k].value or 0.0 for k in keys) / len(keys)
    halves = [_half(scores[k]) for k in keys]
    half = math.sqrt(sum(h * h for h in halves)) / len(keys)
    return value, value - half, value + half


def _half(s: Score) -> float:
    return 0.0 if s.ci_low is None or s.ci_high is None else (s.ci_high - s.ci_low) / 2


def _ten(scores: Sequence[Score], metric: str, title: str) -> Table:
    order = list(published()["order"])
    rows: list[list[Any]] = []
    for setting, by in by_setting(scores, metric).items():
        line: list[Any] = [*_named(setting), *(_with_interval(by.get(k)) for k in order)]
        line.append(_mean(mean_of(by, order)))
        line.append(_mean(mean_of(by, [k for k in order if k != "asr"])))
        line += [_mean(mean_of(by, [k for k in order if KINDS[k].category == c])) for c in CATEGORIES]
        rows.append(line)
    header = ["model", "intervention", "condition", *(KINDS[k].code for k in order), "ten", "nine", *CATEGORIES]
    return title, header, rows


def _unparsed(scores: Sequence[Score]) -> Table:
    order = list(published()["order"])
    rows = [
        [*_named(setting), *(None if k not in by else f"{by[k].value:.1f}" for k in order)]
        for setting, by in by_setting(scores, "unparsed_share").items()
    ]
    return (
        "Replies without an answer that can be read, in percent",
        ["model", "intervention", "condition", *(KINDS[k].code for k in order)],
        rows,
    )


_COSTS = ("seconds_load", "seconds_features", "seconds_encoder", "seconds_prefill", "seconds_first_token",
          "seconds_first_token_p90", "seconds_per_token", "real_time_factor", "audio_tokens", "kept_audio_share",
          "cache_bytes", "peak_bytes", "same_answer")  # fmt: skip


def _costs(scores: Sequence[Score]) -> Table:
    """Means over the tasks of what an answer costs: of each task's median, where nothing else is said."""
    found: dict[Setting, list[Any]] = {}
    for metric in _COSTS:
        for setting, by in by_setting(scores, metric).items():
            line = found.setdefault(setting, [None] * len(_COSTS))
            line[_COSTS.index(metric)] = f"{sum(s.value or 0.0 for s in by.values()) / len(by):.4g}"
    rows = [[*_named(s), *line] for s, line in found.items()]
    return "What an answer costs (means over the tasks)", ["model", "intervention", "condition", *_COSTS], rows


def _published() -> Table:
    data = published()
    rows = []
    for model, row in data["rows"].items():
        both = means(dict(zip(data["order"], row["scores"], strict=True)))
        rows.append([model, *row["scores"], f"{both['ten']:.1f}", f"{both['nine']:.1f}"])
    human = data["human"]
    rows.append(["Human", *human["scores"], None, f"{human['mean_of_nine']:.1f}"])
    header = ["published (other prompts, bounds and scripts)", *(KINDS[k].code for k in data["order"]), "ten", "nine"]
    return "Published rows (arXiv 2510.07293), not measured here", header, rows


def _named(setting: Setting) -> list[str]:
    model, intervention, condition, params = setting
    return [model, intervention, f"{condition}, {params}" if params else condition]


def _with_interval(s: Score | None) -> str | None:
    if s is None:
        return None
    if s.ci_low is None or s.ci_high is None:
        return f"{s.value:.1f}"
    return f"{s.value:.1f} [{s.ci_low:.1f}, {s.ci_high:.1f}]"


def _mean(found: tuple[float, float, float] | None) -> str | None:
    return None if found is None else f"{found[0]:.1f} [{found[1]:.1f}, {found[2]:.1f}]"
