"""Downloads from a local server that behaves and misbehaves, and archives that do."""

import hashlib
import http.server
import io
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile as sf

from gtzan_helpers import downloads
from gtzan_helpers.cache import cache_folder
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.downloads import Collection, fetch_index, fetch_tracks
from gtzan_helpers.errors import CourseError

INDEX = b"## index\r\nblues.00000.wav ::: Etta Example ::: Song\r\n"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wav(seed):
    file = io.BytesIO()
    sf.write(file, np.random.default_rng(seed).uniform(-1, 1, 22050), 22050, format="WAV")
    return file.getvalue()


def pack(entries, kind="gz", *members):
    """Return an archive of some files; a tar file has other members after the first of them."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w" if kind == "tar" else f"w:{kind}") as archive:
        for name, content in entries.items():
            archive.addfile(member(name, tarfile.REGTYPE, size=len(content)), io.BytesIO(content))
            for other in members:
                archive.addfile(other)
            members = ()
    return file.getvalue()


def member(name, kind=tarfile.SYMTYPE, target="", size=0):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.size = kind, target, size
    return info


TRACKS = {"blues/blues.00000.wav": wav(0), "jazz/jazz.00000.wav": wav(1)}
NAMES = sorted(Path(name).name for name in TRACKS)
ARCHIVE = pack({f"gtzan_mini-01234/genres/{name}": content for name, content in TRACKS.items()})
FILES = {
    "a.tgz": ARCHIVE,
    "broken.tgz": ARCHIVE[:5000],
    "changed.tgz": pack({**TRACKS, "jazz/jazz.00000.wav": wav(2)}),
    "incomplete.tgz": pack({name: TRACKS[name] for name in list(TRACKS)[:1]}),
    "page.tgz": b"<html>Please log in",
    "index.txt": INDEX,
}


class Handler(http.server.BaseHTTPRequestHandler):
    """Serves the server's files, but badly below some folders.

    Below /short/ half of each file; below /slow/ half and then nothing for long; below /silent/
    nothing at all for long.
    """

    def do_GET(self):
        self.server.requests.append(self.path)
        how, _, name = self.path[1:].rpartition("/")
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
        elif how == "silent":
            time.sleep(20)
        else:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content[: len(content) // 2] if how else content)
            if how == "slow":
                self.wfile.flush()
                time.sleep(20)

    def log_message(self, *_):
        pass


@pytest.fixture
def server(tmp_path, tmp_path_factory, monkeypatch):
    """A server of files, and a cache of its own; `offer` lets "mini" be fetched from some paths."""
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads, server.block_on_close = True, False
    server.files, server.requests = dict(FILES), []
    server.url = f"http://127.0.0.1:{server.server_port}/"
    listed = tmp_path / "listed.sha256"
    listed.write_text("".join(f"{sha256(TRACKS[name])}  {name}\n" for name in TRACKS))

    def offer(*paths):
        sources = tuple((server.url + path, known) for path, known in paths)
        mini = Collection("GTZAN test (80 kB)", sources, listed)
        monkeypatch.setitem(downloads.COLLECTIONS, "mini", mini)

    server.offer = offer
    server.program = [sys.executable, "-c", PROGRAM, server.url, str(listed)]
    monkeypatch.setattr(downloads, "STURM", server.url)
    monkeypatch.setattr(downloads, "STURM_FILES", {"index.txt": sha256(INDEX)})
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.5)
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


PROGRAM = """
import sys
from pathlib import Path
from gtzan_helpers import downloads
url, listed, path = sys.argv[1:]
downloads.COLLECTIONS["mini"] = downloads.Collection("", ((url + path, None),), Path(listed))
downloads.fetch_tracks("mini")
"""


def in_cache():
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file())


@pytest.mark.filterwarnings("ignore:the list of artists")
def test_a_collection_is_announced_fetched_checked_and_kept(server, capsys):
    server.offer(("a.tgz", None))
    assert list(load_tracks("mini")["artist"]) == ["Etta Example", ""]
    said = capsys.readouterr().out
    host = server.url[len("http://") : -1]
    assert f"GTZAN test (80 kB) from {host} into {cache_folder() / 'mini'}." in said
    assert "rights are unclear" in said and "index.txt" in said
    assert in_cache() == [NAMES[0], "index.txt", NAMES[1]]
    assert set(load_tracks("mini")["source"]) == {"mini"}
    assert fetch_index().read_bytes() == INDEX
    assert server.requests == ["/a.tgz", "/index.txt"]
    assert capsys.readouterr().out == ""


def test_tracks_are_loaded_even_if_their_artists_cannot_be_fetched(server):
    server.offer(("a.tgz", None))
    server.files["index.txt"] = b"something else"
    with pytest.warns(UserWarning, match=r"wrong checksum.*index\.txt"):
        assert list(load_tracks("mini")["artist"]) == ["", ""]
    assert in_cache() == NAMES


@pytest.mark.parametrize(
    ("path", "known", "reason"),
    [
        ("missing.tgz", None, "404"),
        ("short/a.tgz", None, "broke off"),
        ("broken.tgz", None, "cannot be unpacked"),
        ("changed.tgz", None, "jazz/jazz.00000.wav .* wrong"),
        ("incomplete.tgz", None, "jazz/jazz.00000.wav is missing"),
        ("page.tgz", None, "no folder, tar or zip archive"),
        ("a.tgz", sha256(b"something else"), "wrong checksum"),
        ("silent/a.tgz", None, "in time"),
        ("slow/a.tgz", None, "connection failed"),
    ],
)
def test_a_source_that_fails_is_named_and_the_next_one_serves(server, path, known, reason):
    server.offer((path, known))
    with pytest.raises(CourseError, match=rf"/{path} \(.*{reason}.*GTZAN_DATA"):
        load_tracks("mini")
    assert not list(cache_folder().iterdir())
    server.offer((path, known), ("a.tgz", sha256(ARCHIVE)))
    found = fetch_tracks("mini").rglob("jazz*.wav")
    assert [file.read_bytes() for file in found] == [TRACKS["jazz/jazz.00000.wav"]]
    assert in_cache() == NAMES


def test_two_programs_may_fetch_at_once(server):
    programs = [subprocess.Popen([*server.program, "a.tgz"]) for _ in range(2)]
    assert [program.wait(timeout=60) for program in programs] == [0, 0]
    assert in_cache() == NAMES


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signal")
def test_an_interrupted_download_leaves_nothing(server):
    program = subprocess.Popen([*server.program, "slow/a.tgz"], stderr=subprocess.DEVNULL)
    until = time.monotonic() + 60
    while not server.requests and time.monotonic() < until:
        time.sleep(0.05)
    program.send_signal(signal.SIGINT)
    assert program.wait(timeout=60) != 0
    assert not list(cache_folder().iterdir())


def test_the_checksums_are_those_of_real_lists_and_tracks(real_data):
    for name, known in downloads.STURM_FILES.items():
        assert sha256((real_data / "sturm" / name).read_bytes()) == known
    listed = downloads.COLLECTIONS["mini"].checksums.read_text().splitlines()
    known = dict(reversed(line.split()) for line in listed)
    assert len(known) == 100
    for path in (real_data / "gtzan_dev").glob("*/*.00000.wav"):
        assert sha256(path.read_bytes()) == known[f"{path.parent.name}/{path.name}"]


# Archives of one's own


@pytest.fixture
def load(tmp_path, monkeypatch):
    """Write an archive, and load its tracks; where it is refused, nothing is left of it."""
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path / "cache"))

    def load(content, kind="tar", refused=None):
        (tmp_path / f"a.{kind}").write_bytes(content)
        if refused is None:
            return list(load_tracks(tmp_path / f"a.{kind}")["track_id"])
        with pytest.raises(CourseError, match=rf"a\.{kind} .*{refused}"):
            load_tracks(tmp_path / f"a.{kind}")
        return list(cache_folder().rglob("*"))

    return load


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["{outside}", "../../../../../../secret.wav"])
def test_a_link_out_of_an_archive_is_not_followed(load, tmp_path, kind, target):
    (tmp_path / "secret.wav").write_bytes(wav(0))
    link = member("jazz/jazz.00001.wav", kind, target.format(outside=tmp_path / "secret.wav"))
    assert load(pack(TRACKS, "tar", link), refused="") == []


@pytest.mark.parametrize(
    ("other", "n_tracks"),
    [
        (member("jazz/jazz.00001.wav", tarfile.LNKTYPE, "blues/blues.00000.wav"), 3),
        (member("blues/blues.00001.wav", tarfile.SYMTYPE, "blues.00000.wav"), 3),
        (member("jazz/jazz.00001.wav", tarfile.FIFOTYPE), 2),
        (member("bin/python", target="/usr/bin/python"), 2),
    ],
)
def test_of_links_and_devices_only_links_to_tracks_count(load, other, n_tracks):
    assert len(load(pack(TRACKS, "tar", other))) == len(in_cache()) == n_tracks


def test_a_zip_with_backslashes_is_read_and_read_again_where_it_changes(load):
    entries = {f"Data\\{name}".replace("/", "\\"): text for name, text in TRACKS.items()}
    assert load(pack(entries, "zip"), "zip") == ["blues.00000", "jazz.00000"]
    assert len(load(pack({**entries, "Data\\jazz\\jazz.00001.wav": wav(5)}, "zip"), "zip")) == 3


OUTSIDE = [
    *("../evil.wav", "/evil.wav", "a/../../evil.wav"),
    *("C:\\evil.wav", "C:evil.wav", "..\\evil.wav"),
]
HEADER = pack(TRACKS, "tar").replace(b"jazz/jazz.00000.wav", b" azz/jazz.00000.wav")


def damaged():
    for kind in ("tar", "gz", "bz2", "xz", "zip"):
        content = pack(TRACKS, kind)
        for place in (len(content) // 100, len(content) // 2, len(content) * 19 // 20):
            yield content[:place], kind, "fetch it again"
            if kind != "tar":  # it has no checksums, but those of its headers
                yield content[:place] + bytes(10) + content[place + 10 :], kind, "fetch it again"


REFUSED = [
    *((pack({**TRACKS, name: wav(0)}, "tar"), "tar", "not safe.*evil") for name in OUTSIDE),
    *((pack({**TRACKS, name: wav(0)}, "zip"), "zip", "not safe.*evil") for name in OUTSIDE),
    *damaged(),
    (HEADER, "tar", "header"),  # which is not taken for the end of the archive
    (pack({"features_30_sec.csv": b"a,b\n"}, "zip"), "zip", "no audio files"),
    (wav(0), "wav", "no folder, tar or zip archive"),
]


@pytest.mark.parametrize(("content", "kind", "reason"), REFUSED, ids=range(len(REFUSED)))
def test_an_archive_that_is_unsafe_or_damaged_is_refused(load, tmp_path, content, kind, reason):
    assert load(content, kind, reason) == []
    assert not list(tmp_path.parent.rglob("evil.wav"))
