"""Fetching GTZAN and what is known about it, and unpacking archives of tracks."""

from __future__ import annotations

import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PureWindowsPath
from typing import IO, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

import pooch
from tqdm import tqdm

from .audio import AUDIO_SUFFIXES
from .cache import WAY_OUT, cache_folder, digest, file_state, kept
from .errors import CourseError


class Collection(NamedTuple):
    """A set of tracks that can be fetched.

    `sources` are tried in turn, each an address and the SHA-256 of the archive there; None where
    the archive may be packed anew at any time, and the file `checksums` lists its tracks' own.
    """

    about: str
    sources: tuple[tuple[str, str | None], ...]
    checksums: Traversable | None = None


_MINI = "https://github.com/TempoBeatDownbeat/gtzan_mini/archive/"
COLLECTIONS = {
    "mini": Collection(
        "GTZAN mini (100 tracks, about 120 MB, 140 MB unpacked)",
        ((_MINI + "a61439e.tar.gz", None), (_MINI + "refs/heads/main.tar.gz", None)),
        files(__package__) / "checksums" / "gtzan_mini.sha256",
    ),
    "full": Collection(
        "GTZAN (1000 tracks, 1.2 GB, 1.3 GB more unpacked)",
        (
            (
                "https://huggingface.co/datasets/marsyas/gtzan/resolve/main/data/genres.tar.gz",
                "b28cc067ff6199bd826f5d1a6931458586d64acae7f44b2e882b7a97af057531",
            ),
            (
                "http://opihi.cs.uvic.ca/sound/genres.tar.gz",
                "24347e0223d2ba798e0a558c4c172d9d4a19c00bb7963fe055d183dadb4ef2c6",
            ),
        ),
    ),
}
RIGHTS = "GTZAN's rights are unclear: learn from it, and do not pass it on."

STURM = (
    "https://raw.githubusercontent.com/boblsturm/GTZAN/fedc781026cf1a20034830f8071c98d93a422016/"
)
STURM_FILES = {
    "index.txt": "52b42c6a5a309caae4a4ac1b5ca24ac9959508033735a0237e57b198ec77987e",
    "train_filtered.txt": "6252b4928f0a29185b894aed5babadae41104b4865f00aeff9b79de1c491f45c",
    "valid_filtered.txt": "2e0a0e0b513ab61ab206ee4e6fb5f18a41d26e469b160a765196cb47841e3b7e",
    "test_filtered.txt": "ce78134675f23d02ca4b7f73876c5778b36d8c2fbcccbe54a0359d1a2d86bdef",
}

LISTS_OF_ARTISTS = ("tracks.csv", "index.txt")
TIMEOUT_SECONDS = 30
# Where systems and editors keep copies of files, beside the "._x" that macOS makes of x. Songs have
# names such as "...And Justice for All" and "__init__": a dot or an underscore tells nothing.
_STRAYS = {"__macosx", "$recycle.bin", "@eadir", "lost+found", ".git", ".ipynb_checkpoints"}


def fetch_tracks(name: str) -> Path:
    """Return the folder of a collection, "mini" or "full"; the first call fetches and checks it."""
    folder, collection = kept(name), COLLECTIONS[name]
    if folder.is_dir():
        return folder
    hosts = " or ".join(dict.fromkeys(urlsplit(url).netloc for url, _ in collection.sources))
    print(f"Fetching {collection.about} from {hosts} into {folder}. {RIGHTS}")
    failures = []
    for url, sha256 in collection.sources:
        try:
            with _half_done() as temporary:
                archive = _download(url, sha256, Path(temporary), f"{name}.tar.gz")
                return _unpack_as(folder, archive, collection.checksums)
        except CourseError as error:
            failures.append(f"{url} ({error})")
    raise CourseError(
        f"{collection.about} could not be fetched: {'; '.join(failures)}. By hand: save the "
        "archive from one of these addresses; give its path, or that of any copy of GTZAN, to "
        "load_tracks, or set GTZAN_DATA to it"
    )


def fetch_sturm(name: str) -> Path:
    """Return the path of one of `STURM_FILES`, lists about GTZAN; the first call fetches it.

    The fault-filtered lists are those of Kereliuk, Sturm and Larsen (2015), "Deep learning and
    music adversaries".
    """
    path = kept(f"sturm/{name}")
    if not path.is_file():
        host = urlsplit(STURM).netloc
        print(f"Fetching Sturm's {name} (less than 100 kB) from {host} into {path.parent}.")
    try:
        return _download(STURM + name, STURM_FILES[name], path.parent, name)
    except CourseError as error:
        raise CourseError(
            f"Sturm's {name} could not be fetched: {STURM}{name} ({error}). By hand: save that "
            f"page as {path}"
        ) from error


def fetch_index() -> Path:
    """Return the path of Sturm's index of GTZAN's artists and titles, fetched once and cached.

    Returns
    -------
    pathlib.Path
        A text file with a line "file ::: artist ::: title" per track.

    Examples
    --------
    >>> gh.fetch_index().read_text().splitlines()[-1]
    """
    return fetch_sturm("index.txt")


def unpack(archive: Path) -> Path:
    """Return the folder with an archive's tracks, unpacked once into the cache folder."""
    name = f"{archive.name.split('.')[0]}-{digest(*file_state(archive))[:12]}"
    folder = kept(f"archives/{name}")
    if folder.is_dir():
        return folder
    print(f"Unpacking {archive.name} into {folder}.")
    return _unpack_as(folder, archive)


def is_stray(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind (._x, .Trash-1000, __MACOSX)."""
    return name.startswith(("._", ".Trash")) or name.casefold() in _STRAYS


def is_audio(name: str) -> bool:
    """Whether a file is called like a track."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES and not is_stray(name)


def _half_done() -> tempfile.TemporaryDirectory:
    """Return a folder for what is not whole yet, on the disk where it is to be kept."""
    return tempfile.TemporaryDirectory(dir=cache_folder(), prefix=".half-done-")


def _download(url: str, sha256: str | None, folder: Path, name: str) -> Path:
    """Fetch a file unless it is there already; nothing appears before its checksum is right."""
    pooch.get_logger().setLevel("WARNING")  # we have said what is fetched; the rest is noise
    with tqdm(desc=name, total=1, unit="B", unit_scale=True, leave=False) as bar:
        options = {"chunk_size": 2**16, "timeout": TIMEOUT_SECONDS}
        fetch = pooch.HTTPDownloader(progressbar=bar, **options)
        try:
            return Path(pooch.retrieve(url, sha256, name, folder, downloader=fetch))
        except (OSError, ValueError) as error:  # a wrong proxy's address is a ValueError, too
            raise CourseError(_reason(error)) from error


def _reason(error: Exception) -> str:
    """Say in a few words why a download failed."""
    from requests import exceptions

    reasons = {
        exceptions.ProxyError: "no connection through the proxy",
        exceptions.SSLError: "the certificate is not trusted: set REQUESTS_CA_BUNDLE to the file "
        "with your network's certificates",
        exceptions.Timeout: "the server does not answer in time",
        exceptions.ChunkedEncodingError: "the download broke off",
        exceptions.ConnectionError: "the connection failed",
    }
    text = " ".join(str(error).split())[:300]
    reason = next((known for kind, known in reasons.items() if isinstance(error, kind)), text)
    if "does not match the known hash" in text:
        reason = "wrong checksum: does this network want you to log in first, in a browser?"
    proxies = "; if it is the proxy, look at HTTPS_PROXY and ALL_PROXY" if getproxies() else ""
    return reason + proxies


def _unpack_as(folder: Path, archive: Path, checksums: Traversable | None = None) -> Path:
    """Unpack elsewhere, check, and only then give the folder its name."""
    with _half_done() as temporary:
        unpacked = Path(temporary) / folder.name
        _extract(archive, unpacked)
        if checksums:
            _verify(unpacked, checksums)
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            unpacked.replace(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another program was quicker with the same files
                raise
    return folder


def _extract(archive: Path, folder: Path) -> None:
    """Write an archive's tracks and lists of artists into a folder; leave out the rest.

    Not by `extractall`: it is safe only with a filter, which Python 3.11.2 does not know.
    """
    try:
        for name, file in tqdm(_entries(archive), archive.name, unit=" files", leave=False):
            place = PureWindowsPath(name)  # its rules are stricter: drives, and both kinds of slash
            if place.anchor or ".." in place.parts:
                raise ValueError(f"it is not safe: {name} would land outside")
            target = folder.joinpath(*place.parts)
            target.parent.mkdir(parents=True, exist_ok=True)
            with file, target.open("wb") as copy:
                shutil.copyfileobj(file, copy)
    except Exception as error:  # damaged archives raise whatever their compression does
        way_out = WAY_OUT if getattr(error, "errno", None) else "fetch it again"
        raise CourseError(f"{archive.name} cannot be unpacked ({error}): {way_out}") from error
    if not any(is_audio(path.name) for path in folder.rglob("*")):
        raise CourseError(f"{archive.name} holds no audio files: is it the right archive?")


def _entries(archive: Path) -> Iterator[tuple[str, IO[bytes]]]:
    """Yield the name and the content of each wanted file; a link is read as what it names."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as packed:
            for entry in packed.infolist():
                if _is_wanted(entry.filename) and not entry.is_dir():
                    yield entry.filename, packed.open(entry)
    elif tarfile.is_tarfile(archive):
        with tarfile.open(archive) as packed:
            for entry in packed:
                if _is_wanted(entry.name) and (file := packed.extractfile(entry)):
                    yield entry.name, file
            packed.fileobj.seek(packed.offset)
            if any(packed.fileobj.read(tarfile.BLOCKSIZE)):  # tarfile takes that for the end
                raise tarfile.ReadError("an entry's header is broken")
            while packed.fileobj.read(2**20):  # a wrong checksum at the end shows only there
                pass
    else:
        raise ValueError("it is no folder, tar or zip archive of tracks, or it is cut short")


def _is_wanted(entry: str) -> bool:
    *folders, name = PureWindowsPath(entry).parts or [""]
    return not any(map(is_stray, folders)) and (is_audio(name) or name in LISTS_OF_ARTISTS)


def _verify(folder: Path, checksums: Traversable) -> None:
    """Hold the unpacked tracks against a list of their checksums, one by one."""
    found = {f"{path.parent.name}/{path.name}": path for path in folder.rglob("*.*")}
    for line in checksums.read_text(encoding="utf-8").splitlines():
        sha256, name = line.split()
        if name not in found or pooch.file_hash(found[name]) != sha256:
            raise CourseError(f"{name} is missing in the archive, or its checksum is wrong")
