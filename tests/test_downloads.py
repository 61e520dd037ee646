"""Downloads from a local server that behaves and misbehaves, and archives that do."""

import hashlib
import http.server
import io
import os
import signal
import subprocess
import sys
import tarfile
import threading
import time
import zipfile

import numpy as np
import pytest
import soundfile as sf

from gtzan_helpers import downloads
from gtzan_helpers.cache import cache_folder
from gtzan_helpers.datasets import load_tracks
from gtzan_helpers.downloads import Collection, fetch_index, fetch_sturm, fetch_tracks
from gtzan_helpers.errors import CourseError

INDEX = b"## index\r\nblues.00000.wav ::: Etta Example ::: Song\r\n"


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def wav(seed):
    file = io.BytesIO()
    sf.write(file, np.random.default_rng(seed).uniform(-1, 1, 22050), 22050, format="WAV")
    return file.getvalue()


def pack(entries, kind="gz", *members):
    """Return an archive of some files, and of other members of a tar file between them."""
    file = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in entries.items():
                archive.writestr(name, content)
        return file.getvalue()
    with tarfile.open(fileobj=file, mode="w" if kind == "tar" else f"w:{kind}") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
            for member in members:
                archive.addfile(member)
            members = ()
    return file.getvalue()


def below(entries, top="gtzan_mini-0123456/genres/"):
    return {top + name: content for name, content in entries.items()}


TRACKS = {"blues/blues.00000.wav": wav(0), "jazz/jazz.00000.wav": wav(1)}
CHANGED = {**TRACKS, "jazz/jazz.00000.wav": wav(2)}
FIRST = {"blues/blues.00000.wav": TRACKS["blues/blues.00000.wav"]}
ARCHIVE = pack(below(TRACKS))
LISTED = "".join(f"{sha256(content)}  {name}\n" for name, content in TRACKS.items())


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`, but badly under some paths.

    Under /short/ only half of each file; under /slow/ half and then nothing for long; under
    /silent/ nothing at all for long.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.requests, self.started = {}, [], threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.requests.append(self.path)
        how, _, name = self.path[1:].rpartition("/")
        content = self.server.files.get(name)
        if content is None:
            self.send_error(404)
            return
        if how == "silent":
            time.sleep(20)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if how else content)
        if how == "slow":
            self.wfile.flush()
            self.server.started.set()
            time.sleep(20)

    def log_message(self, *_):
        pass


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def offer(server, tmp_path, monkeypatch):
    """Serve files, and let "mini" be fetched from some of them."""
    listed = tmp_path / "listed.sha256"
    listed.write_text(LISTED)

    def offer(files, *sources):
        server.files = files
        sources = tuple((server.url + path, known) for path, known in sources)
        mini = Collection("GTZAN test", "2 tracks, 80 kB", sources, listed)
        monkeypatch.setitem(downloads.COLLECTIONS, "mini", mini)
        monkeypatch.setattr(downloads, "STURM", server.url + "/")
        monkeypatch.setattr(downloads, "STURM_FILES", {"index.txt": sha256(INDEX)})

    return offer


def files_in_cache():
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file())


def nothing_is_left():
    """Whether the cache holds no file and no temporary folder."""
    return {path.name for path in cache_folder().rglob("*")} <= {"sturm"}


@pytest.mark.filterwarnings("ignore:the list of artists")
def test_a_collection_is_announced_fetched_checked_and_kept(server, offer, capsys):
    offer({"a.tgz": ARCHIVE, "index.txt": INDEX}, ("/a.tgz", None))
    tracks = load_tracks("mini")
    assert set(tracks["source"]) == {"mini"}
    assert list(tracks["artist"]) == ["Etta Example", ""]
    said = capsys.readouterr().out
    host = server.url.removeprefix("http://")
    assert f"GTZAN test (2 tracks, 80 kB) from {host} into {cache_folder() / 'mini'}." in said
    assert "GTZAN's rights are unclear" in said
    assert "index.txt" in said
    assert files_in_cache() == ["blues.00000.wav", "index.txt", "jazz.00000.wav"]
    load_tracks("mini")
    assert server.requests == ["/a.tgz", "/index.txt"]
    assert capsys.readouterr().out == ""


def test_tracks_are_loaded_even_if_their_artists_cannot_be_fetched(offer):
    offer({"a.tgz": ARCHIVE}, ("/a.tgz", None))
    with pytest.warns(UserWarning, match=r"index\.txt .* answers 404"):
        tracks = load_tracks("mini")
    assert list(tracks["artist"]) == ["", ""]


FAILING = {
    "missing.tgz": (None, "the server answers 404"),
    "short/a.tgz": (None, "the download broke off"),
    "broken.tgz": (None, "cannot be unpacked"),
    "changed.tgz": (None, "jazz/jazz.00000.wav in the archive has the wrong checksum"),
    "incomplete.tgz": (None, "jazz/jazz.00000.wav is missing"),
    "page.tgz": (None, "neither a folder nor a tar or zip archive"),
    "a.tgz?other": (sha256(b"something else"), "wrong checksum"),
    "silent/a.tgz": (None, "the server does not answer in time"),
    "slow/a.tgz": (None, "the connection failed"),
}
FILES = {
    **dict.fromkeys(("a.tgz", "a.tgz?other"), ARCHIVE),
    "broken.tgz": ARCHIVE[:5000],
    "changed.tgz": pack(below(CHANGED)),
    "incomplete.tgz": pack(below(FIRST)),
    "page.tgz": b"<html>Please log in",
}


@pytest.mark.parametrize("path", FAILING)
def test_a_second_source_serves_when_the_first_fails(server, offer, monkeypatch, path):
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.5)
    offer(FILES, (f"/{path}", FAILING[path][0]), ("/a.tgz", sha256(ARCHIVE)))
    folder = fetch_tracks("mini")
    assert server.requests == [f"/{path}", "/a.tgz"]
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]
    assert next(folder.rglob("jazz*.wav")).read_bytes() == TRACKS["jazz/jazz.00000.wav"]


def test_when_every_source_fails_the_error_says_why_and_what_to_do(server, offer, monkeypatch):
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.5)
    offer(FILES, *((f"/{path}", known) for path, (known, _) in FAILING.items()))
    with pytest.raises(CourseError) as error:
        load_tracks("mini")
    message = str(error.value)
    reasons = message.split(f"{server.url}/")[1:]
    for (path, (_, reason)), said in zip(FAILING.items(), reasons, strict=True):
        assert said.startswith(path)
        assert reason in said
    assert "GTZAN_DATA" in message
    assert nothing_is_left()


def test_a_server_that_is_not_there_is_named(server, offer):
    offer({}, ("/a.tgz", None))
    server.shutdown()
    server.server_close()
    with pytest.raises(CourseError, match=r"a\.tgz \(the connection failed\)"):
        fetch_tracks("mini")


PROGRAM = """
import sys
from pathlib import Path
from gtzan_helpers import downloads
url, listed = sys.argv[1:]
downloads.COLLECTIONS["mini"] = downloads.Collection("", "", ((url, None),), Path(listed))
downloads.fetch_tracks("mini")
"""


def start_program(url, tmp_path):
    (tmp_path / "listed.sha256").write_text(LISTED)
    command = [sys.executable, "-c", PROGRAM, url, str(tmp_path / "listed.sha256")]
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def test_two_programs_may_fetch_at_once(server, tmp_path):
    server.files = {"a.tgz": ARCHIVE}
    programs = [start_program(server.url + "/a.tgz", tmp_path) for _ in range(2)]
    assert [program.wait(timeout=60) for program in programs] == [0, 0]
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such signals")
@pytest.mark.parametrize("blow", ["SIGINT", "SIGKILL"])
def test_an_interrupted_download_leaves_no_collection(server, offer, tmp_path, blow):
    offer({"a.tgz": ARCHIVE}, ("/a.tgz", None))
    program = start_program(server.url + "/slow/a.tgz", tmp_path)
    assert server.started.wait(timeout=60)
    program.send_signal(signal.Signals[blow])
    assert program.wait(timeout=60) != 0
    assert not (cache_folder() / "mini").exists()
    assert nothing_is_left() == (blow == "SIGINT")  # what is killed cannot tidy up
    for path in cache_folder().iterdir():
        os.utime(path, (time.time() - 2 * 24 * 3600,) * 2)
    fetch_tracks("mini")
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]
    assert [path.name for path in cache_folder().iterdir()] == ["mini"]


def test_sturms_index_is_fetched_once(server, offer):
    offer({"index.txt": INDEX})
    assert fetch_index().read_bytes() == INDEX
    assert fetch_index() == fetch_sturm("index.txt")
    assert server.requests == ["/index.txt"]


def test_a_changed_index_is_refused_and_what_to_do_is_said(offer):
    offer({"index.txt": b"something else"})
    with pytest.raises(CourseError, match=r"wrong checksum.*By hand: .*index\.txt"):
        fetch_index()
    assert nothing_is_left()


def test_the_real_lists_have_the_checksums_that_are_asked_for(real_data):
    for name, known in downloads.STURM_FILES.items():
        assert sha256((real_data / "sturm" / name).read_bytes()) == known


def test_the_checksums_of_mini_are_those_of_real_tracks(real_data):
    listed = downloads.COLLECTIONS["mini"].checksums.read_text().splitlines()
    known = dict(reversed(line.split()) for line in listed)
    assert len(known) == 100
    for path in (real_data / "gtzan_dev").glob("*/*.00000.wav"):
        assert sha256(path.read_bytes()) == known[f"{path.parent.name}/{path.name}"]


# Archives of one's own


@pytest.fixture
def load(tmp_path):
    """Write an archive, and load its tracks."""

    def load(content, kind):
        (tmp_path / f"a.{kind}").write_bytes(content)
        return list(load_tracks(tmp_path / f"a.{kind}")["track_id"])

    return load


@pytest.fixture
def refused(load):
    """Whether an archive is refused by its name, and nothing is left of it."""

    def refused(content, kind, reason):
        with pytest.raises(CourseError, match=rf"a\.{kind} .*{reason}"):
            load(content, kind)
        return nothing_is_left()

    return refused


def member(name, kind=tarfile.SYMTYPE, target=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize(
    "name",
    ["../evil.wav", "/evil.wav", "a/../../evil.wav", "C:\\evil.wav", "C:evil.wav", "..\\evil.wav"],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_entry_that_would_land_outside_is_refused(tmp_path, refused, kind, name):
    assert refused(pack({**TRACKS, name: wav(0)}, kind), kind, "not safe.*evil")
    assert not list(tmp_path.parent.rglob("evil.wav"))


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["{outside}", "../../../../../../secret.wav", "jazz.00001.wav"])
def test_a_link_out_of_a_tar_archive_is_not_followed(tmp_path, refused, kind, target):
    (tmp_path / "secret.wav").write_bytes(wav(0))
    link = member("jazz/jazz.00001.wav", kind, target.format(outside=tmp_path / "secret.wav"))
    assert refused(pack(TRACKS, "tar", link), "tar", "")


def test_a_link_within_an_archive_is_a_track(load):
    links = [
        member("jazz/jazz.00001.wav", tarfile.LNKTYPE, "blues/blues.00000.wav"),
        member("blues/blues.00001.wav", tarfile.SYMTYPE, "blues.00000.wav"),
    ]
    assert len(load(pack(TRACKS, "tar", *links), "tar")) == 4


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_links_that_are_no_tracks_are_left_out(load, kind):
    others = [member("jazz/jazz.00001.wav", kind), member("bin/python", target="/usr/bin/python")]
    assert load(pack(TRACKS, "tar", *others), "tar") == ["blues.00000", "jazz.00000"]
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]


def test_a_zip_with_backslashes_is_read(load):
    entries = {f"Data\\{name.replace('/', chr(92))}": text for name, text in TRACKS.items()}
    assert load(pack(entries, "zip"), "zip") == ["blues.00000", "jazz.00000"]


@pytest.mark.parametrize("kind", ["tar", "gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_an_archive_that_is_cut_short_or_damaged_is_refused(refused, kind, share):
    content = pack(TRACKS, kind)
    place = int(len(content) * share)
    assert refused(content[:place], kind, "fetch it again")
    if kind != "tar":  # it has no checksums
        assert refused(content[:place] + bytes(10) + content[place + 10 :], kind, "fetch it again")


def test_a_broken_header_is_not_taken_for_the_end_of_an_archive(refused):
    content = bytearray(pack(TRACKS, "tar"))
    content[content.index(b"jazz/jazz.00000.wav")] = 0x20
    assert refused(content, "tar", "header")


def test_an_archive_without_audio_is_refused(refused):
    assert refused(pack({"features_30_sec.csv": b"a,b\n"}, "zip"), "zip", "no audio files")


def test_a_changed_archive_is_unpacked_anew(load):
    assert len(load(pack(TRACKS, "zip"), "zip")) == 2
    assert len(load(pack({**TRACKS, "jazz/jazz.00001.wav": wav(5)}, "zip"), "zip")) == 3
