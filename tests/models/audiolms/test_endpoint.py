"""The endpoint against a real HTTP server on this machine."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile as sf

from otoscope import run
from otoscope.core.audio import Audio
from otoscope.core.errors import ModelError, UsageError
from otoscope.core.naming import parse_spec
from otoscope.core.nouns import AudioLM, Prompt
from otoscope.experiments.experiment import Block, Experiment
from otoscope.experiments.plan import Settings, make_plan
from otoscope.experiments.scores import scores_of
from otoscope.models.resolve import resolve
from otoscope.results.store import Results
from otoscope.tasks.audiomarathon.miniature import read_pool, write

KEY = "sk-test-0123456789"


class Server:
    """Answers with ``script``: per request a status and a body, the last one again and again."""

    def __init__(self) -> None:
        self.script: list[tuple[int, Any, dict[str, str]]] = []
        self.seen: list[tuple[dict[str, str], dict[str, Any]]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                outer.seen.append(({**dict(self.headers), "path": self.path}, body))
                step = min(len(outer.seen), len(outer.script)) - 1
                status, said, headers = outer.script[step]
                data = said if isinstance(said, bytes) else json.dumps(said).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *args: Any) -> None:
                return None

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}/v1"
        threading.Thread(target=self.http.serve_forever, args=(0.02,), daemon=True).start()


def said(text: Any, finish: str = "stop", usage: dict[str, Any] | None = None) -> tuple[int, Any, dict[str, str]]:
    used = (
        {"prompt_tokens": 90, "completion_tokens": 2, "prompt_tokens_details": {"audio_tokens": 50}}
        if usage is None
        else usage
    )
    return 200, {"choices": [{"message": {"content": text}, "finish_reason": finish}], "usage": used}, {}


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    for name in ("http_proxy", "HTTP_PROXY"):
        monkeypatch.delenv(name, raising=False)
    found = Server()
    yield found
    found.http.shutdown()
    found.http.server_close()


@pytest.fixture
def clip() -> Audio:
    return Audio((0.3 * np.random.default_rng(0).standard_normal((1, 8000))).clip(-1, 1).astype(np.float32), 16_000)


def endpoint(server: Server, more: str = "") -> Any:
    found: Any = resolve(f"endpoint:url={server.url},model=some-lm{more}")
    found._sleep = lambda s: found.__dict__.setdefault("slept", []).append(s)
    return found


def test_the_request_holds_the_sound_the_words_and_the_key_in_the_header_alone(server, clip) -> None:
    server.script = [said("B")]
    lm = endpoint(server)
    assert isinstance(lm, AudioLM)
    (reply,) = lm.generate([Prompt("what?", (clip, clip), "be brief")], 7)
    assert (reply.text, reply.ended) == ("B", True)
    assert (reply.tokens.audio, reply.tokens.text, reply.tokens.output) == (50, 40, 2)
    assert reply.seconds["request"] > 0
    headers, body = server.seen[0]
    assert headers["path"] == "/v1/chat/completions"
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert KEY not in json.dumps(body)
    assert (body["model"], body["temperature"], body["max_tokens"], body["seed"]) == ("some-lm", 0, 7, 0)
    assert body["messages"][0] == {"role": "system", "content": "be brief"}
    parts = body["messages"][1]["content"]
    assert [p["type"] for p in parts] == ["input_audio", "input_audio", "text"]
    x, rate = sf.read(io.BytesIO(base64.b64decode(parts[0]["input_audio"]["data"])), dtype="float32")
    assert rate == 16_000
    np.testing.assert_allclose(x, clip.samples[0], atol=1 / 32_000)
    assert KEY not in json.dumps([lm.identity(), lm.card.summary, lm.card.name])


def test_cut_answers_and_parts_are_read(server, clip) -> None:
    server.script = [said([{"type": "text", "text": "on"}, {"text": "e"}], "length", {}), said(None)]
    lm = endpoint(server, ",limit=max_completion_tokens")
    reply = lm.generate([Prompt("what?", (clip,))], 3)[0]
    assert (reply.text, reply.ended, reply.tokens.prompt) == ("one", False, 0)
    assert server.seen[0][1]["max_completion_tokens"] == 3
    assert lm.generate([Prompt("what?", (clip,))], 3)[0].text == ""


def test_what_can_pass_is_tried_again_with_growing_pauses(server, clip) -> None:
    server.script = [(503, {}, {}), (429, {}, {"Retry-After": "7"}), (200, b"{]", {}), said("A")]
    lm = endpoint(server)
    assert lm.generate([Prompt("what?", (clip,))])[0].text == "A"
    assert lm.slept == [1.0, 7.0, 4.0]
    server.script, server.seen = [(500, {"error": "down"}, {})], []
    with pytest.raises(ModelError, match=r"answered 500.*after 3 tries"):
        endpoint(server, ",retries=2").generate([Prompt("what?", (clip,))])
    assert len(server.seen) == 3


def test_what_cannot_pass_is_not_tried_again_and_the_key_is_not_told(server, clip) -> None:
    server.script = [(401, {"error": f"bad key {KEY}"}, {})]
    with pytest.raises(ModelError, match="answered 401") as e:
        endpoint(server).generate([Prompt("what?", (clip,))])
    assert len(server.seen) == 1
    assert KEY not in str(e.value)
    assert "(key)" in str(e.value)
    server.script = [(200, {"choices": []}, {})]
    with pytest.raises(ModelError, match="without choices"):
        endpoint(server).generate([Prompt("what?", (clip,))])


def test_a_server_that_is_not_there_is_said_so(clip, monkeypatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    lm: Any = resolve("endpoint:url=http://127.0.0.1:9/v1,model=x,retries=1")
    lm._sleep = lambda s: None
    with pytest.raises(ModelError, match=r"cannot be reached.*2 tries"):
        lm.generate([Prompt("what?", (clip,))])


def test_requests_keep_their_distance(server, clip) -> None:
    server.script = [said("A")]
    lm = endpoint(server, ",per_minute=600")
    lm._sleep = time.sleep
    start = time.monotonic()
    lm.generate([Prompt("what?", (clip,))] * 4)
    assert time.monotonic() - start >= 0.29


def test_mistakes_are_told(server, clip, monkeypatch) -> None:
    for use in (lambda lm: lm.load(), lambda lm: lm.identity()):
        with pytest.raises(UsageError, match="needs url= and model="):
            use(resolve("endpoint"))
    for wrong in ("endpoint:model=y", "endpoint:url=ftp://x,model=y", "endpoint:url=http://u:p@x/v1,model=y",
                  f"endpoint:url={server.url},model=y,limit=tokens"):  # fmt: skip
        with pytest.raises(UsageError):
            resolve(wrong)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(UsageError, match="OPENAI_API_KEY holds no key"):
        endpoint(server).load()
    server.script = [said("A")]
    assert endpoint(server, ",key_env=none").generate([Prompt("what?", (clip,))])[0].text == "A"
    assert "Authorization" not in server.seen[0][0]
    with pytest.raises(ModelError, match=r"takes 0\.2 s"):
        endpoint(server, ",key_env=none,limit_s=0.2").generate([Prompt("what?", (clip,))])


def test_a_run_scores_it_and_refuses_interventions(server, tmp_path: Path) -> None:
    write(tmp_path / "m", read_pool(None, "test", seeds=2), n=2, scale=0.02, seed=1)
    server.script = [said("A")]
    specs = lambda *names: tuple(map(parse_spec, names))  # noqa: E731
    exp = Experiment(
        "e",
        (
            Block(
                specs(f"audiomarathon/sgr:data={tmp_path / 'm'}"), interventions=specs("none", "prune/frame:keep=0.5")
            ),
        ),
        models=specs(f"endpoint:url={server.url},model=some-lm"),
    )
    plan = make_plan(exp, Settings())
    assert len(plan.cells) == 1
    ((cell, why),) = plan.excluded
    assert str(cell.intervention).startswith("prune/frame")
    assert "nothing inside it can be reached" in why
    summary = run(exp, into=tmp_path / "run")
    assert (summary.n_done, summary.n_failed) == (2, 0)
    scores = {s.metric: s.value for s in scores_of(tmp_path / "run", n_resamples=50)}
    assert scores["audio_tokens"] == 50
    assert scores["seconds_request"] > 0
    assert scores["unparsed_share"] == 0
    for path in Results.open(tmp_path / "run").path.rglob("*"):
        assert not path.is_file() or KEY.encode() not in path.read_bytes()
