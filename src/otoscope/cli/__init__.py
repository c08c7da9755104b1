"""The command line: one file per verb, each thin over the public API, none imported before it is named."""

from __future__ import annotations

import importlib
import os
import sys
from typing import Any

import click

from otoscope.core.errors import OtoscopeError
from otoscope.core.registry import suggestions

#: verb -> one line of help. The verb's module is ``otoscope.cli.<verb>`` and its command is called ``command``.
VERBS = {
    "ls": "List models, tasks, conditions, interventions or experiments.",
    "show": "Print what is known of one name, without loading it.",
    "check": "Put an encoder through the conformance suite.",
    "run": "Run an experiment; the same command again finishes what is missing.",
    "generate": "Ask an audio language model one question about one's own file.",
    "results": "Print the scores of a run directory.",
    "rescore": "Read stored replies again with another parser; no model is needed.",
    "compare": "Paired comparisons between models, conditions or interventions.",
    "report": "Write the run's page: one HTML file that needs no network.",
    "figure": "Write one figure of the page as PDF, SVG or PNG.",
    "train": "Train an encoder by instruction and answer; resumes exactly.",
    "export": "Write an encoder as a file that X-ARES or HEAR runs.",
    "convert": "Write a published checkpoint as safetensors; say what became of every tensor.",
    "merge": "Join the directories of a run that was done in shards.",
    "build": "Build a benchmark on long audio from clips of your own.",
    "data": "Look at audio data and benchmarks; export stimuli for models that run elsewhere.",
}

#: Exit codes: 0 done, 1 some items failed (their rows say why), 2 usage, 3 broken input or store, 130 interrupted.
INTERRUPTED = 130


class _Verbs(click.Group):
    """Knows its verbs without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in VERBS:
            return None
        command: click.Command = importlib.import_module(f"otoscope.cli.{cmd_name}").command
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in VERBS:
            near = suggestions(args[0], list(VERBS))
            hint = f" Did you mean {' or '.join(near)}?" if near else " See: otoscope --help"
            ctx.fail(f"there is no verb {args[0]!r}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl(list(VERBS.items()))


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name="otoscope", message="otoscope %(version)s")
def cli() -> None:
    """Otoscope: what an audio model hears, what happens inside it, and what can be left out without loss.

    \b
    Start with:
      otoscope run quickstart
    """


def main(argv: list[str] | None = None) -> None:
    """Entry point. A user's mistake, a broken input and Ctrl-C each end in one line and their exit code."""
    try:
        code = cli.main(args=argv, prog_name="otoscope", standalone_mode=False)
    except click.exceptions.Abort:
        _leave("interrupted", INTERRUPTED)
    except click.ClickException as e:
        e.show()
        raise SystemExit(e.exit_code) from None
    except KeyboardInterrupt:
        _leave("interrupted; run the same command again to finish what is missing", INTERRUPTED)
    except OtoscopeError as e:
        _leave(str(e), e.exit_code)
    except BrokenPipeError:  # `otoscope results DIR | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise SystemExit(0) from None
    except OSError as e:
        if e.filename is None and e.errno is None:
            raise
        _leave(f"{e.filename}: {e.strerror}" if e.filename else str(e), 3)
    raise SystemExit(code if isinstance(code, int) else 0)


def _leave(text: str, code: int) -> None:
    click.echo(f"otoscope: {text}", err=True)
    raise SystemExit(code)
