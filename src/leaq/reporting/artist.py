"""The drawing library, in a process of its own: where it is stopped, a report is refused and nothing else dies.

Vega's engine reserves tens of gigabytes of addresses and ends its process where it gets none (``ulimit -v``, as on some
clusters). One process serves all drawings: ``python -m leaq.reporting.artist`` reads a figure a line and answers with
a line.
"""

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from typing import Any

from leaq.errors import LeaqError


class Artist:
    """The process that draws; started when it is first needed, and anew after it has ended."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = threading.Lock()

    def draw(self, figure: Any) -> str:
        """Return a figure as SVG; raises `LeaqError` if the library refuses it, or has ended."""
        with self._lock:
            if self._process is not None and self._process.poll() is not None:
                self.close()
            process = self._process or self._start()
            assert process.stdin is not None  # our own invariant: opened with PIPE
            assert process.stdout is not None
            with contextlib.suppress(OSError):  # it ended: the empty answer below says so
                process.stdin.write(json.dumps(figure).encode() + b"\n")
                process.stdin.flush()
            answer = process.stdout.readline()
            if not answer:
                ended = process.wait()
                self.close()
                raise LeaqError(
                    f"The drawing library must be able to run here. It ended (exit {ended}), as it does where "
                    "memory or addresses are limited (ulimit -v). Raise the limit, or leave the report out: --out "
                    "keeps the numbers, and leaq show RUN --report draws them on another machine."
                )
        told = json.loads(answer)
        if "error" in told:
            raise LeaqError(f"A figure could not be drawn ({told['error']}). Report fewer cells at a time.")
        return str(told["svg"])

    def close(self) -> None:
        """End the process; the next drawing starts another one."""
        process, self._process = self._process, None
        if process is not None:
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # it ended with something unread
                    if pipe is not None:
                        pipe.close()
            process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(os.path.isabs, sys.path))}
        command = [sys.executable, "-P", "-m", "leaq.reporting.artist"]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment
        )
        return self._process


_ARTIST = Artist()
draw = _ARTIST.draw
atexit.register(_ARTIST.close)


def draw_requests() -> None:
    """Answer figures, a JSON object a line, until none come."""
    import vl_convert

    for line in sys.stdin.buffer:
        try:
            told = {"svg": vl_convert.vegalite_to_svg(json.loads(line))}
        except Exception as err:  # a JavaScript error, as text
            told = {"error": " ".join(str(err).split())[:200] or type(err).__name__}
        sys.stdout.buffer.write(json.dumps(told).encode() + b"\n")
        sys.stdout.buffer.flush()


if __name__ == "__main__":
    draw_requests()
