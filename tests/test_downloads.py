"""Downloads from a local server that behaves and misbehaves, and archives that do."""

import hashlib
import http.server
import io
import os
import signal
import stat
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


def tar(entries, top="gtzan_mini-0123456/genres/"):
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in entries.items():
            member = tarfile.TarInfo(top + name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


TRACKS = {"blues/blues.00000.wav": wav(0), "jazz/jazz.00000.wav": wav(1)}
ARCHIVE = tar(TRACKS)
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

    def offer(files, *sources, checksums=listed):
        server.files = files
        sources = tuple((server.url + path, known) for path, known in sources)
        mini = Collection("GTZAN test", "2 tracks, 80 kB", sources, checksums)
        monkeypatch.setitem(downloads.COLLECTIONS, "mini", mini)
        monkeypatch.setattr(downloads, "STURM", server.url + "/")
        monkeypatch.setattr(downloads, "STURM_FILES", {"index.txt": sha256(INDEX)})

    return offer


def files_in_cache():
    return sorted(path.name for path in cache_folder().rglob("*") if path.is_file())


def nothing_is_left():
    """Whether the cache holds no file and no temporary folder."""
    return {path.name for path in cache_folder().rglob("*")} <= {"archives", "sturm"}


def test_a_collection_is_announced_fetched_checked_and_kept(server, offer, capsys):
    offer({"a.tgz": ARCHIVE, "index.txt": INDEX}, ("/a.tgz", None))
    tracks = load_tracks("mini")
    assert set(tracks["source"]) == {"mini"}
    assert list(tracks["artist"]) == ["Etta Example", ""]
    said = capsys.readouterr().out
    host = server.url.removeprefix("http://")
    announced = f"Fetching GTZAN test (2 tracks, 80 kB) from {host} into {cache_folder() / 'mini'}."
    assert f"{announced} GTZAN's rights are unclear" in said
    assert f"Fetching Sturm's index.txt (less than 100 kB) from {host} into " in said
    assert files_in_cache() == ["blues.00000.wav", "index.txt", "jazz.00000.wav"]
    load_tracks("mini")
    assert server.requests == ["/a.tgz", "/index.txt"]
    assert capsys.readouterr().out == ""


def test_tracks_are_loaded_even_if_their_artists_cannot_be_fetched(offer):
    offer({"a.tgz": ARCHIVE}, ("/a.tgz", None))
    with pytest.warns(UserWarning, match=r"artists are unknown: Sturm's index\.txt .* answers 404"):
        tracks = load_tracks("mini")
    assert list(tracks["artist"]) == ["", ""]


@pytest.mark.parametrize(
    "first",
    [
        ("/missing.tgz", None),
        ("/short/a.tgz", None),
        ("/broken.tgz", None),
        ("/changed.tgz", None),
        ("/incomplete.tgz", None),
        ("/a.tgz?other", sha256(b"something else")),
    ],
)
def test_a_second_source_serves_when_the_first_fails(server, offer, first):
    changed = {**TRACKS, "jazz/jazz.00000.wav": wav(2)}
    files = {
        "a.tgz": ARCHIVE,
        "a.tgz?other": ARCHIVE,
        "broken.tgz": ARCHIVE[:5000],
        "changed.tgz": tar(changed),
        "incomplete.tgz": tar({"blues/blues.00000.wav": wav(0)}),
    }
    offer(files, first, ("/a.tgz", sha256(ARCHIVE)))
    folder = fetch_tracks("mini")
    assert server.requests == [first[0], "/a.tgz"]
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]
    assert next(folder.rglob("jazz*.wav")).read_bytes() == TRACKS["jazz/jazz.00000.wav"]


def test_when_every_source_fails_the_error_says_why_and_what_to_do(server, offer):
    changed = tar({**TRACKS, "jazz/jazz.00000.wav": wav(2)})
    offer(
        {"a.tgz": ARCHIVE, "changed.tgz": changed, "page.tgz": b"<html>Please log in"},
        ("/missing.tgz", None),
        ("/short/a.tgz", None),
        ("/a.tgz", sha256(b"something else")),
        ("/page.tgz", None),
        ("/changed.tgz", None),
    )
    with pytest.raises(CourseError) as error:
        load_tracks("mini")
    message = str(error.value)
    for reason in (
        f"{server.url}/missing.tgz (the server answers 404)",
        f"{server.url}/short/a.tgz (the download broke off)",
        f"{server.url}/a.tgz (what arrived has the wrong checksum)",
        f"{server.url}/page.tgz (what arrived has the wrong checksum: it is a web page",
        f"{server.url}/changed.tgz (jazz/jazz.00000.wav in the archive has the wrong checksum)",
        f"By hand: save the archive from one of these addresses as {cache_folder()}/mini.tar.gz",
        "the path of any copy of GTZAN to load_tracks",
        "GTZAN_DATA",
    ):
        assert reason in message
    assert nothing_is_left()


def test_a_server_that_is_not_there_is_named(server, offer):
    offer({}, ("/a.tgz", None))
    server.shutdown()
    server.server_close()
    with pytest.raises(CourseError, match=r"a\.tgz \(no connection\)"):
        fetch_tracks("mini")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("/slow/a.tgz", "the server stopped sending"),
        ("/silent/a.tgz", "the server does not answer in time"),
    ],
)
def test_a_server_that_stalls_is_given_up(server, offer, monkeypatch, path, reason):
    monkeypatch.setattr(downloads, "TIMEOUT_SECONDS", 0.5)
    offer({"a.tgz": ARCHIVE}, (path, None))
    with pytest.raises(CourseError) as error:
        fetch_tracks("mini")
    assert f"{path} ({reason})" in str(error.value)
    assert nothing_is_left()
    offer({"a.tgz": ARCHIVE}, (path, None), ("/a.tgz", None))
    fetch_tracks("mini")
    assert server.requests == [path, path, "/a.tgz"]
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]


def test_an_archive_saved_by_hand_is_checked_and_unpacked(server, offer, capsys):
    offer({}, ("/a.tgz", None))
    by_hand = cache_folder() / "mini.tar.gz"
    by_hand.write_bytes(ARCHIVE)
    assert fetch_tracks("mini") == cache_folder() / "mini"
    assert server.requests == []
    assert f"Unpacking {by_hand} into {cache_folder() / 'mini'}" in capsys.readouterr().out
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav", "mini.tar.gz"]


def test_an_archive_saved_by_hand_may_be_that_of_any_source(server, offer):
    sources = [("/a.tgz", sha256(b"something else")), ("/b.tgz", sha256(ARCHIVE))]
    offer({}, *sources, checksums=None)
    (cache_folder() / "mini.tar.gz").write_bytes(ARCHIVE)
    assert len(list(fetch_tracks("mini").rglob("*.wav"))) == 2
    assert server.requests == []


@pytest.mark.parametrize(
    ("content", "whole", "reason"),
    [
        (ARCHIVE, True, "its SHA-256 is not that of a known copy"),
        (tar({**TRACKS, "jazz/jazz.00000.wav": wav(2)}), False, "has the wrong checksum"),
        (tar({"blues/blues.00000.wav": wav(0)}), False, "jazz.00000.wav is missing"),
        (ARCHIVE[: len(ARCHIVE) // 2], False, "is damaged"),
        (b"<html>Please log in", False, "neither a folder nor a tar or zip archive"),
    ],
)
def test_a_wrong_archive_saved_by_hand_is_named_and_kept(server, offer, content, whole, reason):
    kinds = {"checksums": None} if whole else {}
    offer({"a.tgz": ARCHIVE}, ("/a.tgz", sha256(b"something else") if whole else None), **kinds)
    by_hand = cache_folder() / "mini.tar.gz"
    by_hand.write_bytes(content)
    with pytest.raises(CourseError, match=reason) as error:
        load_tracks("mini")
    assert str(error.value).startswith(f"{by_hand} cannot be used: ")
    assert f"Save it again from {server.url}/a.tgz, or delete it to have it f" in str(error.value)
    assert "another copy of GTZAN to load_tracks" in str(error.value)
    assert by_hand.read_bytes() == content
    assert list(cache_folder().iterdir()) == [by_hand]
    assert server.requests == []


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
    age_everything(cache_folder())
    fetch_tracks("mini")
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]
    assert [path.name for path in cache_folder().iterdir()] == ["mini"]


def age_everything(folder, hours=2):
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (time.time() - hours * 3600,) * 2)


def test_leftovers_of_killed_programs_are_removed_but_not_those_of_running_ones(offer, tmp_path):
    offer({"a.tgz": ARCHIVE}, ("/a.tgz", None))
    for name in (".fetching-old", ".fetching-new", "archives/.unpacking-old", "sturm"):
        (cache_folder() / name).mkdir(parents=True)
        (cache_folder() / name / "tmp_half").write_bytes(b"half")
    age_everything(cache_folder())
    (cache_folder() / ".fetching-new" / "tmp_half").write_bytes(b"more than half")
    fetch_tracks("mini")
    assert sorted(path.name for path in cache_folder().iterdir()) == [
        ".fetching-new",
        "archives",
        "mini",
        "sturm",
    ]
    assert [path.name for path in (cache_folder() / ".fetching-new").iterdir()] == ["tmp_half"]
    assert not [*(cache_folder() / "archives").iterdir(), *(cache_folder() / "sturm").iterdir()]


def test_sturms_index_is_fetched_once(server, offer):
    offer({"index.txt": INDEX})
    assert fetch_index().read_bytes() == INDEX
    assert fetch_index() == fetch_sturm("index.txt")
    assert server.requests == ["/index.txt"]


def test_a_changed_index_is_refused_and_what_to_do_is_said(offer):
    offer({"index.txt": b"something else"})
    with pytest.raises(CourseError, match=r"wrong checksum.*By hand: save that page as"):
        fetch_index()
    assert nothing_is_left()


def test_only_known_lists_can_be_fetched():
    with pytest.raises(ValueError, match="none of Sturm's lists: index"):
        fetch_sturm("secrets.txt")


def test_the_real_lists_have_the_checksums_that_are_asked_for(real_data):
    for name, known in downloads.STURM_FILES.items():
        assert sha256((real_data / "sturm" / name).read_bytes()) == known


def test_the_checksums_of_mini_are_those_of_real_tracks(real_data):
    listed = downloads.COLLECTIONS["mini"].checksums.read_text().splitlines()
    known = dict(reversed(line.split()) for line in listed)
    assert len(known) == 100
    for path in (real_data / "gtzan_dev").glob("*/*.00000.wav"):
        assert sha256(path.read_bytes()) == known[f"{path.parent.name}/{path.name}"]


def write_zip(path, entries):
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)


@pytest.mark.parametrize(
    "name",
    ["../evil.wav", "/evil.wav", "a/../../evil.wav", "C:\\evil.wav", "C:evil.wav", "..\\evil.wav"],
)
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_an_entry_that_would_land_outside_is_refused(tmp_path, kind, name):
    path = tmp_path / f"a.{kind}"
    entries = {**TRACKS, name: wav(0)}
    path.write_bytes(tar(entries, top="")) if kind == "tar" else write_zip(path, entries)
    with pytest.raises(CourseError, match=r"not safe: its entry .*evil"):
        load_tracks(path)
    assert nothing_is_left()
    assert not list(tmp_path.parent.rglob("evil.wav"))


def write_tar_with(path, member):
    """A tar archive of two good tracks, with an odd member between them."""
    with tarfile.open(path, "w") as archive:
        for name, content in TRACKS.items():
            track = tarfile.TarInfo(name)
            track.size = len(content)
            archive.addfile(track, io.BytesIO(content))
            if member:
                archive.addfile(member)
                member = None


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["{outside}", "../../../../../../secret.wav", "blues"])
def test_a_link_out_of_a_tar_archive_is_not_followed(tmp_path, kind, target):
    (tmp_path / "secret.wav").write_bytes(wav(0))
    member = tarfile.TarInfo("jazz/jazz.00001.wav")
    member.type, member.linkname = kind, target.format(outside=tmp_path / "secret.wav")
    write_tar_with(tmp_path / "a.tar", member)
    with pytest.raises(CourseError, match=r"a\.tar holds a link to no file.*jazz\.00001\.wav"):
        load_tracks(tmp_path / "a.tar")
    assert nothing_is_left()


@pytest.mark.parametrize("target", ["jazz.00001.wav", "folder"])
def test_a_link_to_itself_or_to_a_folder_is_refused(tmp_path, target):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        folder, link = tarfile.TarInfo("jazz/folder"), tarfile.TarInfo("jazz/jazz.00001.wav")
        folder.type, link.type, link.linkname = tarfile.DIRTYPE, tarfile.SYMTYPE, target
        archive.addfile(folder)
        archive.addfile(link)
    with pytest.raises(CourseError, match=r"holds a link to no file|cannot be unpacked"):
        load_tracks(tmp_path / "a.tar")
    assert nothing_is_left()


def test_a_link_in_a_zip_archive_is_refused(tmp_path):
    (tmp_path / "secret.wav").write_bytes(wav(0))
    link = zipfile.ZipInfo("jazz/jazz.00001.wav")
    link.create_system, link.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    write_zip(tmp_path / "a.zip", {**TRACKS, link: str(tmp_path / "secret.wav")})
    with pytest.raises(CourseError, match=r"a\.zip holds a link to no file.*jazz\.00001\.wav"):
        load_tracks(tmp_path / "a.zip")
    assert nothing_is_left()


@pytest.mark.parametrize("kind", [tarfile.FIFOTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE])
def test_devices_and_pipes_in_an_archive_are_left_out(tmp_path, kind):
    member = tarfile.TarInfo("jazz/jazz.00001.wav")
    member.type, member.devmajor, member.devminor = kind, 1, 5
    write_tar_with(tmp_path / "a.tar", member)
    assert list(load_tracks(tmp_path / "a.tar")["track_id"]) == ["blues.00000", "jazz.00000"]
    assert files_in_cache() == ["blues.00000.wav", "jazz.00000.wav"]


def test_a_link_within_an_archive_is_a_track(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        member = tarfile.TarInfo("jazz/jazz.00000.wav")
        member.size = len(wav(0))
        archive.addfile(member, io.BytesIO(wav(0)))
        link = tarfile.TarInfo("jazz/jazz.00001.wav")
        link.type, link.linkname = tarfile.SYMTYPE, "jazz.00000.wav"
        archive.addfile(link)
    assert list(load_tracks(tmp_path / "a.tar")["problem"]) == ["", ""]


def test_a_zip_with_backslashes_is_read(tmp_path):
    write_zip(
        tmp_path / "a.zip", {f"Data\\{n.replace('/', chr(92))}": t for n, t in TRACKS.items()}
    )
    assert list(load_tracks(tmp_path / "a.zip")["track_id"]) == ["blues.00000", "jazz.00000"]


@pytest.mark.parametrize("kind", ["tar", "gz", "bz2", "xz", "zip"])
@pytest.mark.parametrize("share", [0.01, 0.5, 0.95])
def test_an_archive_that_is_cut_short_is_refused(tmp_path, kind, share):
    path = tmp_path / f"a.{kind}"
    pack(path, kind)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(CourseError, match=r"damaged|cut short|cannot be unpacked"):
        load_tracks(path)
    assert nothing_is_left()


@pytest.mark.parametrize("kind", ["gz", "bz2", "xz", "zip"])
def test_a_damaged_archive_is_refused(tmp_path, kind):
    path = tmp_path / f"a.{kind}"
    pack(path, kind)
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 10] = bytes(10)
    path.write_bytes(data)
    with pytest.raises(CourseError, match=rf"a\.{kind} .*(damaged|cannot be unpacked)"):
        load_tracks(path)
    assert nothing_is_left()


def test_a_broken_header_is_not_taken_for_the_end_of_an_archive(tmp_path):
    write_tar_with(tmp_path / "a.tar", None)
    data = bytearray((tmp_path / "a.tar").read_bytes())
    data[data.index(b"jazz/jazz.00000.wav")] = 0x20
    (tmp_path / "a.tar").write_bytes(data)
    with pytest.raises(CourseError, match=r"a\.tar is damaged .*header.*: fetch it again"):
        load_tracks(tmp_path / "a.tar")
    assert nothing_is_left()


def pack(path, kind):
    if kind == "zip":
        write_zip(path, TRACKS)
        return
    with tarfile.open(path, "w" if kind == "tar" else f"w:{kind}") as archive:
        for name, content in TRACKS.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))


def test_an_archive_without_audio_is_refused(tmp_path):
    write_zip(tmp_path / "a.zip", {"features_30_sec.csv": b"a,b\n"})
    with pytest.raises(CourseError, match="holds no audio files: is it the right archive"):
        load_tracks(tmp_path / "a.zip")
    assert nothing_is_left()


def test_a_changed_archive_is_unpacked_anew(tmp_path):
    write_zip(tmp_path / "a.zip", TRACKS)
    assert len(load_tracks(tmp_path / "a.zip")) == 2
    write_zip(tmp_path / "a.zip", {**TRACKS, "jazz/jazz.00001.wav": wav(5)})
    assert len(load_tracks(tmp_path / "a.zip")) == 3
