import hashlib
import http.server
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from leaq.errors import InvalidInput
from leaq.system import downloads
from leaq.system.downloads import cache_folder, download
from leaq.system.files import sha256_of

BODY = bytes(range(256)) * 4000
SHA = hashlib.sha256(BODY).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    """Serves BODY; understands ranges unless told not to; can hang up early."""

    ranges, cut = True, None

    def do_GET(self):
        wanted = self.headers.get("Range") if type(self).ranges else None
        type(self).asked.append(wanted)
        if self.path == "/missing":
            self.send_error(404)
            return
        start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
        if start >= len(BODY):
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{len(BODY)}")
            self.end_headers()
            return
        self.send_response(206 if wanted else 200)
        self.send_header("Content-Length", str(len(BODY) - start))
        self.end_headers()
        self.wfile.write(BODY[start : type(self).cut])

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    handler = type("Handler", (Server,), {"asked": []})
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        handler.url = f"http://127.0.0.1:{httpd.server_port}/file"
        yield handler
        httpd.shutdown()
        thread.join()


def test_a_file_arrives_whole_with_progress(server, tmp_path):
    seen = []
    path = download(server.url, tmp_path / "sub" / "f", sha256=SHA, what="f", progress=lambda *step: seen.append(step))
    assert path.read_bytes() == BODY
    assert seen[-1] == ("downloading f", len(BODY), len(BODY))
    assert [done for _, done, _ in seen] == sorted(done for _, done, _ in seen)
    assert not path.with_name("f.part").exists()


def test_an_interrupted_download_goes_on_where_it_stopped(server, tmp_path):
    server.cut = 300_000
    with pytest.raises(InvalidInput, match=r"connection ended.*300,000 bytes are kept; the next try goes on"):
        download(server.url, tmp_path / "f", sha256=SHA)
    assert not (tmp_path / "f").exists()
    server.cut = None
    download(server.url, tmp_path / "f", sha256=SHA)
    assert (tmp_path / "f").read_bytes() == BODY
    assert server.asked == [None, "bytes=300000-"]


def test_a_server_without_ranges_sends_everything_again(server, tmp_path):
    (tmp_path / "f.part").write_bytes(b"other bytes")
    server.ranges = False
    assert download(server.url, tmp_path / "f", sha256=SHA).read_bytes() == BODY


def test_a_complete_part_is_not_fetched_again(server, tmp_path):
    (tmp_path / "f.part").write_bytes(BODY)
    assert download(server.url, tmp_path / "f", sha256=SHA).read_bytes() == BODY
    assert server.asked == [f"bytes={len(BODY)}-"]


def test_a_part_longer_than_the_file_is_thrown_away(server, tmp_path):
    (tmp_path / "f.part").write_bytes(BODY + b"more")
    assert download(server.url, tmp_path / "f", sha256=SHA).read_bytes() == BODY


def test_a_wrong_hash_is_refused_and_deleted(server, tmp_path):
    with pytest.raises(InvalidInput, match=r"must have sha256 0000.*changed or damaged, and was deleted. Ask me."):
        download(server.url, tmp_path / "f", sha256="0" * 64, remedy="Ask me.")
    assert [path.name for path in tmp_path.iterdir() if path.suffix != ".lock"] == []


def test_what_the_server_refuses_is_told(server, tmp_path):
    url = server.url.replace("file", "missing")
    with pytest.raises(InvalidInput, match=r"f: cannot be downloaded from .*/missing \(the server answers 404"):
        download(url, tmp_path / "f")


def test_without_a_network_the_remedy_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT", 1.0)
    with pytest.raises(InvalidInput, match=r"cannot be downloaded from http://127.0.0.1:9/x .*Put it there."):
        download("http://127.0.0.1:9/x", tmp_path / "f", remedy="Put it there.")


def test_concurrent_callers_fetch_once(server, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        paths = list(pool.map(lambda _: download(server.url, tmp_path / "f", sha256=SHA), range(4)))
    assert {path.read_bytes() for path in paths} == {BODY}
    assert len(server.asked) == 1


def test_the_cache_is_private_and_named_by_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("LEAQ_CACHE_DIR", str(tmp_path / "cache"))
    assert cache_folder() == tmp_path / "cache"
    assert cache_folder().stat().st_mode & 0o077 == 0
    monkeypatch.delenv("LEAQ_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "xdg"))
    assert cache_folder() == tmp_path / "xdg" / "leaq"


def test_hash_of_a_file(tmp_path):
    (tmp_path / "f").write_bytes(b"abc")
    assert sha256_of(tmp_path / "f") == hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("announced", [True, False])
def test_a_server_that_sends_without_end_is_cut_off(server, tmp_path, monkeypatch, announced):
    monkeypatch.setattr(downloads, "LARGEST", 1000)
    if not announced:
        monkeypatch.setattr(server, "send_header", lambda *_: None)
    with pytest.raises(InvalidInput, match=r"(announces 1,024,000 bytes, more than|sends more than) the 1,000"):
        download(server.url, tmp_path / "f")
    part = tmp_path / "f.part"
    assert not part.exists() or part.stat().st_size <= downloads.CHUNK


def redirecting(self):
    if self.path == "/file":
        self.send_response(302)
        self.send_header("Location", type(self).url.replace("/file", "/elsewhere"))
        self.end_headers()
    else:
        Server.do_GET(self)


def test_a_redirect_away_from_https_is_followed_only_where_a_hash_decides(server, tmp_path, monkeypatch):
    monkeypatch.setattr(server, "do_GET", redirecting)
    with pytest.raises(InvalidInput, match=r"redirects to http://.*/elsewhere, which is not https, and no hash"):
        download(server.url, tmp_path / "f")
    assert download(server.url, tmp_path / "f", sha256=SHA).read_bytes() == BODY
