"""``otoscope generate``: one question about one's own file."""

from __future__ import annotations

from typing import Any

import click

from otoscope.cli._common import json_option, print_json, print_table


@click.command(
    epilog="""\b
Examples:
  otoscope generate ./my-audio-lm meeting.wav --ask "What is decided?"
  otoscope generate ./my-audio-lm street.flac --ask "What do you hear?" --intervention prune/fastv:keep=0.3
  otoscope generate ./my-audio-lm a.wav b.wav --ask "Which is louder?" --intervention prune/frame --json
  otoscope generate ./my-audio-lm meeting.wav --ask "Who speaks?" --intervention prune/frame:keep=0.5+evict/snapkv"""
)
@click.argument("model")
@click.argument("audio", nargs=-1, required=True)
@click.option("--ask", "question", required=True, help="What is asked, after the sound.")
@click.option("--system", help="System message [default: the checkpoint's own].")
@click.option(
    "--intervention", "interventions", multiple=True, help="Ask under this as well (repeatable; a+b: both at once)."
)
@click.option("--max-new-tokens", default=256, show_default=True, help="Longest answer.")
@json_option
def command(
    model: str,
    audio: tuple[str, ...],
    question: str,
    system: str | None,
    interventions: tuple[str, ...],
    max_new_tokens: int,
    as_json: bool,
) -> None:
    """Ask MODEL one question about AUDIO, greedily: the bare model first, then under each intervention, with what was
    kept and what it cost. Channels are averaged; nothing is cut."""
    from otoscope.core.nouns import Prompt
    from otoscope.experiments.asking import ask, clip_of
    from otoscope.models.resolve import load

    found = load(model)
    rate = int(found.card.rate or 16_000)
    prompt = Prompt(question, tuple(clip_of(path, rate) for path in audio), system)
    answers = ask(found, prompt, interventions, max_new_tokens)
    if as_json:
        print_json([a.to_json() for a in answers])
        return
    for a in answers:
        click.echo(f"{a.intervention}: {a.reply.text.strip() or '(nothing)'}{'' if a.reply.ended else ' [...]'}")
        for note in a.notes:
            click.echo(f"  note: {note}")
    click.echo("")
    print_table(["", *(a.intervention for a in answers)], _lines(answers))


def _lines(answers: Any) -> list[list[Any]]:
    bare = answers[0].reply
    lines: list[list[Any]] = [
        ["audio tokens", *(a.reply.tokens.audio for a in answers)],
        ["text tokens", *(a.reply.tokens.text for a in answers)],
        ["answer tokens", *(a.reply.tokens.output for a in answers)],
    ]
    for name in dict.fromkeys(k for a in answers for k in a.did if k != "audio_tokens"):
        lines.append([name.replace("_", " "), *(a.did.get(name) for a in answers)])
    for phase in dict.fromkeys(k for a in answers for k in a.reply.seconds):
        lines.append([f"{phase} (s)", *(a.reply.seconds.get(phase) for a in answers)])
    lines.append(["time to first token (s)", *(a.reply.first_token_s for a in answers)])
    lines.append(["per token (s)", *(a.reply.per_token_s for a in answers)])
    for phase in dict.fromkeys(k for a in answers for k in a.reply.peak_bytes):
        lines.append([f"peak memory, {phase} (MiB)", *(_mib(a.reply.peak_bytes.get(phase)) for a in answers)])
    same = ["-", *("yes" if a.reply.token_ids == bare.token_ids else "no" for a in answers[1:])]
    return [*lines, ["the bare model's answer", *same]]


def _mib(n: int | None) -> float | None:
    return None if n is None else n / 2**20
