"""A real HTTP server on this machine, for tests of what fetches: it serves a folder, with ranges, and can misbehave."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path


@dataclass
class Served:
    """``files`` by path. ``asked`` are the requests: (path, first byte). ``answers`` are statuses to give before any
    file, in turn; ``cut_after``: bytes after which each of the next ``cuts`` answers breaks off."""

    files: dict[str, bytes]
    address: str = ""
    asked: list[tuple[str, int]] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)
    cuts: int = 0
    cut_after: int = 0
    ranges: bool = True
    hook: Callable[[str], None] = lambda path: None


@contextmanager
def serving(files: dict[str, bytes] | Path) -> Iterator[Served]:
    if isinstance(files, Path):
        files = {f"/{p.relative_to(files).as_posix()}": p.read_bytes() for p in files.rglob("*") if p.is_file()}
    served = Served(files)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            told = self.headers.get("Range")
            start = int(told.removeprefix("bytes=").rstrip("-")) if told else 0
            served.asked.append((self.path, start))
            served.hook(self.path)
            if served.answers:
                self._status(served.answers.pop(0))
                return
            if self.path not in served.files:
                self._status(404)
                return
            data = served.files[self.path]
            if not served.ranges:
                start = 0
            if told and start >= len(data):
                self._status(416)
                return
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            self.send_header("Content-Length", str(len(data) - start))
            self.end_headers()
            if served.cuts:
                served.cuts -= 1
                self.wfile.write(data[start : start + served.cut_after])
                self.close_connection = True
            else:
                self.wfile.write(data[start:])

        def _status(self, code: int) -> None:
            self.send_response(code)
            self.send_header("Retry-After", "7")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    served.address = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield served
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
