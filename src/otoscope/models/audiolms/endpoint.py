"""``endpoint``: a model behind an OpenAI-compatible HTTP interface with audio input, as an ``AudioLM``.

A prompt is one chat completion: each clip as 16-bit WAV in ``input_audio``, then the text; temperature 0. Requests that
the server could not take (429, 5xx, a broken connection) are tried again after 1, 2, 4, ... seconds or after what
``Retry-After`` says. The key comes from an environment variable and goes nowhere but into the header. Tokens are those
that the server accounts for; what happens inside cannot be seen, so phases and memory are not measured and
interventions are refused.
"""

from __future__ import annotations

import base64
import http.client
import json
import os
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from typing import Any, ClassVar
from urllib.parse import urlsplit

import numpy as np
import soundfile as sf

from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.nouns import Card, Prompt, Reply, TokenCounts
from otoscope.models.shown import ShownModel

#: No pause before a retry is longer (s).
LONGEST_PAUSE_S = 60.0
#: No more of a server's error is repeated.
_SAID = 300
_ADDRESS = "Write endpoint:url=http://127.0.0.1:8000/v1,model=NAME."
_CLOSED = "is reached over HTTP, and nothing inside it can be reached or changed"


class Endpoint(ShownModel):
    """``url`` ends before ``/chat/completions`` (``http://127.0.0.1:8000/v1``); ``model`` is the server's name for it.

    ``key_env`` names the environment variable with the key (``none``: no key is sent). ``per_minute`` bounds requests,
    ``retries`` the tries after the first, ``timeout_s`` each of them. ``limit``: the field that bounds new tokens
    (``max_tokens``, or ``max_completion_tokens`` where a server wants that). ``limit_s``: longer prompts are refused.
    """

    version: ClassVar[int] = 1

    def __init__(
        self,
        url: str = "",
        model: str = "",
        key_env: str | None = "OPENAI_API_KEY",
        rate: int = 16_000,
        retries: int = 5,
        per_minute: float | None = None,
        timeout_s: float = 300.0,
        limit: str = "max_tokens",
        limit_s: float | None = None,
        seed: int | None = 0,
    ) -> None:
        parts = urlsplit(url)
        if (url or model) and (parts.scheme not in ("http", "https") or not parts.netloc or not model):
            raise UsageError("an endpoint needs url= and model=", fix=_ADDRESS)
        if parts.username or parts.password:
            raise UsageError(
                "a key does not belong into the address", fix="Put it into an environment variable: key_env."
            )
        if limit not in ("max_tokens", "max_completion_tokens"):
            raise UsageError(f"there is no limit={limit}", fix="Use max_tokens or max_completion_tokens.")
        if retries < 0 or timeout_s <= 0 or (per_minute is not None and per_minute <= 0) or rate < 8000:
            raise UsageError("retries go from 0, timeout_s, per_minute above 0, rate from 8000")
        self.url, self.model, self.key_env = url.rstrip("/"), str(model), key_env
        self.rate, self.retries, self.per_minute, self.timeout_s = int(rate), int(retries), per_minute, timeout_s
        self.limit, self.limit_s, self.seed = limit, limit_s, seed
        self._sleep: Callable[[float], None] = time.sleep
        self._last = -float("inf")

    @property
    def card(self) -> Card:
        named = bool(self.url)
        return Card(
            f"endpoint:{self.model}" if named else "endpoint",
            "audiolm",
            f"{self.model} behind {urlsplit(self.url).netloc}" if named else "a model behind an HTTP server",
            rate=self.rate,
            channels=1,
            layers=(),
            notes=("what a server answers can change without notice; two runs need not agree",),
            extra={"no_interventions": _CLOSED, "limit_s": self.limit_s},
        )

    def identity(self) -> Mapping[str, Any]:
        """The address, the name and what is sent; never the key, and not how often it is tried."""
        self._check_address()
        own = {"url": self.url, "model": self.model, "rate": self.rate, "seed": self.seed, "limit_s": self.limit_s}
        return {"kind": "endpoint", "version": self.version, **own}

    def _check_address(self) -> None:
        if not self.url:
            raise UsageError("an endpoint needs url= and model=", fix=_ADDRESS)

    def load(self) -> None:
        """Raise :class:`UsageError` where the address or the key is missing. The server is not asked before the first
        prompt."""
        self._check_address()
        if self.key_env and not os.environ.get(self.key_env):
            raise UsageError(
                f"the environment variable {self.key_env} holds no key",
                where=self.card.name,
                fix="Set it, or write key_env=none for a server that wants none.",
            )

    def generate(self, prompts: Sequence[Prompt], max_new_tokens: int = 256) -> list[Reply]:
        """One request per prompt, one after the other."""
        self.load()
        return [self._one(p, max_new_tokens) for p in prompts]

    def _one(self, prompt: Prompt, max_new_tokens: int) -> Reply:
        seconds = sum(a.duration_s for a in prompt.audio)
        if self.limit_s is not None and seconds > self.limit_s:
            raise ModelError(
                f"takes {self.limit_s:g} s of sound, and this prompt has {seconds:.1f} s", where=self.card.name
            )
        start = time.perf_counter()
        answer = self._asked(self.body(prompt, max_new_tokens))
        return self._reply(answer, time.perf_counter() - start)

    def body(self, prompt: Prompt, max_new_tokens: int) -> dict[str, Any]:
        """The JSON of one request."""
        content: list[dict[str, Any]] = [
            {"type": "input_audio", "input_audio": {"data": wav_text(a), "format": "wav"}} for a in prompt.audio
        ]
        content.append({"type": "text", "text": prompt.text})
        messages: list[dict[str, Any]] = [] if prompt.system is None else [{"role": "system", "content": prompt.system}]
        messages.append({"role": "user", "content": content})
        body = {"model": self.model, "messages": messages, "temperature": 0, self.limit: max_new_tokens}
        return body if self.seed is None else {**body, "seed": self.seed}

    def _asked(self, body: Mapping[str, Any]) -> dict[str, Any]:
        headers = {"Content-Type": "application/json"}
        if self.key_env:
            headers["Authorization"] = f"Bearer {os.environ[self.key_env]}"
        data = json.dumps(body).encode("utf-8")
        why = ""
        for attempt in range(self.retries + 1):
            self._wait()
            request = urllib.request.Request(f"{self.url}/chat/completions", data, headers, method="POST")
            pause: float = 2.0**attempt
            try:
                with urllib.request.urlopen(request, timeout=self.timeout_s) as response:
                    found: dict[str, Any] = json.loads(response.read().decode("utf-8"))
                    return found
            except urllib.error.HTTPError as e:
                why = f"answered {e.code}: {self._said(e)}"
                if e.code != 429 and e.code < 500:
                    raise ModelError(why, where=self.card.name) from e
                pause = _retry_after(e, pause)
            except (urllib.error.URLError, TimeoutError, ConnectionError, http.client.HTTPException) as e:
                why = f"cannot be reached: {getattr(e, 'reason', e)}"
            except ValueError as e:
                why = f"gave no JSON: {e}"
            if attempt < self.retries:
                self._sleep(min(pause, LONGEST_PAUSE_S))
        fix = "Is the server up, and is the rate allowed? See per_minute= and retries=."
        raise ModelError(f"{why} (after {self.retries + 1} tries)", where=self.card.name, fix=fix)

    def _wait(self) -> None:
        """No more requests a minute than were asked for."""
        if self.per_minute is not None:
            due = self._last + 60.0 / self.per_minute - time.monotonic()
            if due > 0:
                self._sleep(due)
        self._last = time.monotonic()

    def _said(self, error: urllib.error.HTTPError) -> str:
        text = " ".join(error.read(4 * _SAID).decode("utf-8", "replace").split())[:_SAID]
        key = os.environ.get(self.key_env, "") if self.key_env else ""
        return text.replace(key, "(key)") if key else text

    def _reply(self, answer: Mapping[str, Any], seconds: float) -> Reply:
        try:
            choice = answer["choices"][0]
            content = choice["message"]["content"]
            parts = content if isinstance(content, list) else [{"text": content or ""}]
            text = "".join(str(p.get("text", "")) for p in parts)
        except (KeyError, IndexError, TypeError, AttributeError) as e:
            raise ModelError(f"gave an answer without choices[0].message.content: {e}", where=self.card.name) from e
        used = answer.get("usage") or {}
        prompt = int(used.get("prompt_tokens") or 0)
        audio = int((used.get("prompt_tokens_details") or {}).get("audio_tokens") or 0)
        counts = TokenCounts(audio, max(0, prompt - audio), int(used.get("completion_tokens") or 0))
        return Reply(text, (), counts, ended=choice.get("finish_reason") != "length", seconds={"request": seconds})


def wav_text(audio: Audio) -> str:
    """A sound as base64 of a 16-bit WAV file; beyond full scale it is turned down as a whole."""
    x = audio.samples.T
    peak = float(np.abs(x).max())
    out = BytesIO()
    sf.write(out, x / peak if peak > 1 else x, audio.rate, format="WAV", subtype="PCM_16")
    return base64.b64encode(out.getvalue()).decode("ascii")


def _retry_after(error: urllib.error.HTTPError, otherwise: float) -> float:
    try:
        return max(0.0, float(error.headers.get("Retry-After", "")))
    except ValueError:
        return otherwise
