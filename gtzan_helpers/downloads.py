"""Fetching GTZAN and what is known about it, and unpacking archives of tracks."""

from __future__ import annotations

import errno
import hashlib
import lzma
import shutil
import stat
import tarfile
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, NamedTuple
from urllib.parse import urlsplit
from urllib.request import getproxies

from tqdm import tqdm

from .audio import AUDIO_SUFFIXES
from .cache import WAY_OUT, cache_folder, digest, file_state, kept
from .errors import CourseError


class Collection(NamedTuple):
    """A set of tracks that can be fetched.

    `sources` are tried in turn, each an address and the SHA-256 of the archive there; None where
    the archive may be packed anew at any time, and the file `checksums` lists its tracks' own.
    """

    title: str
    size: str
    sources: tuple[tuple[str, str | None], ...]
    checksums: Traversable | None = None


_MINI = "https://github.com/TempoBeatDownbeat/gtzan_mini/archive/"
COLLECTIONS = {
    "mini": Collection(
        "GTZAN mini",
        "100 tracks, about 120 MB, 140 MB unpacked",
        ((_MINI + "a61439e.tar.gz", None), (_MINI + "refs/heads/main.tar.gz", None)),
        files(__package__) / "checksums" / "gtzan_mini.sha256",
    ),
    "full": Collection(
        "GTZAN",
        "1000 tracks, 1.2 GB, 1.3 GB more unpacked",
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
TIMEOUT_SECONDS = 30
_A_PAGE = (
    "what arrived has the wrong checksum: it is a web page. Does this network want you to log in "
    "first? Then do so in a browser"
)
_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError)
# What systems, editors and version control put beside files. Songs and bands have names such as
# "...And Justice for All" and "__init__", so a dot or an underscore alone tells nothing.
_STRAY_BEGINNINGS = ("._", ".Trash", ".~lock", ".nfs", ".fuse_hidden")
_STRAYS = {
    *(".ds_store", "__macosx", ".appledouble", ".spotlight-v100", ".fseventsd"),
    *("thumbs.db", "desktop.ini", "$recycle.bin", "system volume information"),
    *("@eadir", "#recycle", "lost+found", ".directory", ".thumbnails"),
    *(".git", ".svn", ".hg", ".ipynb_checkpoints", "__pycache__", ".venv"),
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


def fetch_tracks(name: str) -> Path:
    """Return the folder of a collection's tracks; the first call fetches, checks and unpacks them.

    Parameters
    ----------
    name : {"mini", "full"}
        An archive that was saved by hand as mini.tar.gz or full.tar.gz in the cache folder is
        checked and unpacked instead of fetching one.

    Raises
    ------
    CourseError
        If no source delivers the right files, or the archive that was saved by hand is not right.
    """
    folder = kept(name)
    if folder.is_dir():
        return folder
    _remove_leftovers()
    by_hand = kept(f"{name}.tar.gz")
    if by_hand.is_file():
        _unpack_by_hand(folder, by_hand, COLLECTIONS[name])
    else:
        _fetch(folder, by_hand, COLLECTIONS[name])
    return folder


def fetch_sturm(name: str) -> Path:
    """Return the path of one of Sturm's lists about GTZAN; the first call fetches it.

    Parameters
    ----------
    name : {"index.txt", "train_filtered.txt", "valid_filtered.txt", "test_filtered.txt"}
        Artists and titles, or a part of the fault-filtered split.

    Raises
    ------
    CourseError
        If it cannot be fetched.

    Notes
    -----
    The split is that of Kereliuk, Sturm and Larsen (2015), "Deep learning and music adversaries".
    Taught in notebooks/01_explore_the_data.ipynb.
    """
    if name not in STURM_FILES:
        raise ValueError(f"{name!r} is none of Sturm's lists: {', '.join(STURM_FILES)}")
    folder = kept(f"sturm/{name}").parent
    if not (folder / name).is_file():
        host = urlsplit(STURM).netloc
        print(f"Fetching Sturm's {name} (less than 100 kB) from {host} into {folder}.")
    try:
        return _download(STURM + name, STURM_FILES[name], folder, name)
    except CourseError as error:
        raise CourseError(
            f"Sturm's {name} could not be fetched: {STURM}{name} ({error}). By hand: save that "
            f"page as {folder / name}"
        ) from error


def fetch_index() -> Path:
    """Return the path of Sturm's index of GTZAN's artists and titles, fetched once and cached."""
    return fetch_sturm("index.txt")


def unpack(archive: Path) -> Path:
    """Return the folder with an archive's tracks, unpacked once into the cache folder.

    Raises
    ------
    CourseError
        If the file is not an archive, is damaged, holds no audio, or has an entry that would land
        outside the folder.
    """
    name = f"{archive.name.split('.')[0]}-{digest(*file_state(archive))[:12]}"
    folder = kept(f"archives/{name}")
    if not folder.is_dir():
        _remove_leftovers()
        print(f"Unpacking {archive.name} into {folder}.")
        _unpack_as(folder, archive)
    return folder


def is_stray(name: str) -> bool:
    """Whether a file or folder is one that systems leave behind (._x, .DS_Store, __MACOSX)."""
    return name.startswith(_STRAY_BEGINNINGS) or name.casefold() in _STRAYS


def is_audio(name: str) -> bool:
    """Whether a file is called like a track."""
    return Path(name).suffix.lower() in AUDIO_SUFFIXES and not is_stray(name)


def _fetch(folder: Path, by_hand: Path, collection: Collection) -> None:
    """Fetch and unpack a collection from the first source that delivers the right files."""
    hosts = " or ".join(dict.fromkeys(urlsplit(url).netloc for url, _ in collection.sources))
    print(f"Fetching {collection.title} ({collection.size}) from {hosts} into {folder}. {RIGHTS}")
    failures = []
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".fetching-") as temporary:
        for number, (url, sha256) in enumerate(collection.sources):
            try:
                archive = _download(url, sha256, Path(temporary), f"{folder.name}-{number}.tar.gz")
                _unpack_as(folder, archive, collection.checksums)
                return
            except CourseError as error:
                failures.append(f"{url} ({error})")
    raise CourseError(
        f"{collection.title} could not be fetched: {'; '.join(failures)}. By hand: save the "
        f"archive from one of these addresses as {by_hand} and call again; or give the path of "
        "any copy of GTZAN to load_tracks, or set GTZAN_DATA to it"
    )


def _unpack_by_hand(folder: Path, archive: Path, collection: Collection) -> None:
    """Check and unpack an archive that was saved by hand, and leave it where it is."""
    print(f"Unpacking {archive} into {folder}; it is not needed after that. {RIGHTS}")
    try:
        known = [sha256 for _, sha256 in collection.sources]
        if collection.checksums is None and _sha256(archive) not in known:
            raise CourseError("its SHA-256 is not that of a known copy")
        _unpack_as(folder, archive, collection.checksums)
    except (CourseError, OSError) as error:
        urls = " or ".join(url for url, _ in collection.sources)
        raise CourseError(
            f"{archive} cannot be used: {error}. Save it again from {urls}, or delete it to have "
            "it fetched, or give the path of another copy of GTZAN to load_tracks"
        ) from error


def _remove_leftovers() -> None:
    """Remove what killed programs left half done; a running one has just written to its own."""
    patterns = (".fetching-*", ".unpacking-*", "archives/.unpacking-*", "sturm/tmp*")
    for path in [path for pattern in patterns for path in cache_folder().glob(pattern)]:
        try:
            newest = max(each.stat().st_mtime for each in (path, *path.rglob("*")))
        except OSError:  # it is vanishing just now, so it is in use
            continue
        if newest > time.time() - 3600:
            continue
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


def _download(url: str, sha256: str | None, folder: Path, name: str) -> Path:
    """Fetch a file unless it is there already; nothing appears before its checksum is right."""
    import pooch

    pooch.get_logger().setLevel("WARNING")  # we have said what is fetched; the rest is noise
    with tqdm(desc=name, total=1, unit="B", unit_scale=True, leave=False) as bar:
        options = {"chunk_size": 2**16, "timeout": TIMEOUT_SECONDS}
        fetch = pooch.HTTPDownloader(progressbar=bar, **options)

        def fetch_no_page(url: str, file: str, registry: object) -> None:
            fetch(url, file, registry)
            with Path(file).open("rb") as arrived:
                if arrived.read(512).lstrip().startswith(b"<"):
                    raise CourseError(_A_PAGE)

        try:
            return Path(pooch.retrieve(url, sha256, name, folder, downloader=fetch_no_page))
        except (OSError, ValueError) as error:  # a wrong proxy's address is a ValueError, too
            raise CourseError(_in_short(error)) from error


def _in_short(error: Exception) -> str:
    from requests import exceptions

    text = " ".join(str(error).split())
    if isinstance(error, exceptions.HTTPError):
        return f"the server answers {error.response.status_code}"
    if isinstance(error, exceptions.ConnectionError) and "Read timed out" in text:
        return "the server stopped sending"
    if isinstance(error, ValueError) and "does not match the known hash" in text:
        return "what arrived has the wrong checksum"
    kinds = {
        exceptions.Timeout: "the server does not answer in time",
        exceptions.ChunkedEncodingError: "the download broke off",
        exceptions.ProxyError: "no connection through the proxy",
        exceptions.SSLError: "the certificate is not trusted: set REQUESTS_CA_BUNDLE to the file "
        "with your network's certificates",
        exceptions.ConnectionError: "no connection",
    }
    known = next(
        (words for kind, words in kinds.items() if isinstance(error, kind)), f"{text:.300}"
    )
    proxies = "; if it is the proxy, look at HTTPS_PROXY and ALL_PROXY" if getproxies() else ""
    return known if isinstance(error, CourseError) else known + proxies


def _unpack_as(folder: Path, archive: Path, checksums: Traversable | None = None) -> None:
    """Unpack beside the folder, check, and only then give it its name."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=".unpacking-") as temporary:
        unpacked = Path(temporary) / folder.name
        _extract(archive, unpacked)
        if checksums:
            _verify(unpacked, checksums)
        try:
            unpacked.replace(folder)
        except OSError:
            if not folder.is_dir():  # if it is, another program was quicker with the same files
                raise


def _extract(archive: Path, folder: Path) -> None:
    """Write an archive's tracks and lists of artists into a new folder; leave out the rest."""
    folder.mkdir()
    n_tracks = 0
    try:
        for name, open_entry in tqdm(_entries(archive), archive.name, unit=" files", leave=False):
            # Windows' rules are the stricter ones: they know drives and both kinds of slash.
            if PureWindowsPath(name).anchor or ".." in PureWindowsPath(name).parts:
                raise CourseError(
                    f"{archive.name} is not safe: its entry {name} would land outside"
                )
            place = PurePosixPath(name)
            wanted = is_audio(place.name) or place.name in ("index.txt", "tracks.csv")
            if not wanted or any(map(is_stray, place.parts)):
                continue
            target = folder / place
            target.parent.mkdir(parents=True, exist_ok=True)
            with open_entry() as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy)
            n_tracks += is_audio(place.name)
    except _DAMAGE as error:
        raise CourseError(f"{archive.name} is damaged ({error}): fetch it again") from error
    except (OSError, RuntimeError) as error:  # RuntimeError: a zip with a password
        way_out = f"; {WAY_OUT}" if getattr(error, "errno", None) == errno.ENOSPC else ""
        raise CourseError(f"{archive.name} cannot be unpacked: {error}{way_out}") from error
    if n_tracks == 0:
        raise CourseError(f"{archive.name} holds no audio files: is it the right archive?")


def _entries(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    """Yield the name of each file in an archive, and a function that opens it."""
    if zipfile.is_zipfile(archive):
        yield from _entries_of_zip(archive)
    elif tarfile.is_tarfile(archive):
        yield from _entries_of_tar(archive)
    else:
        raise CourseError(
            f"{archive.name} is neither a folder nor a tar or zip archive of tracks, or it is "
            "cut short or damaged: fetch it again"
        )


def _entries_of_zip(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    def opened(info: zipfile.ZipInfo) -> IO[bytes]:
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _no_file(archive, info.filename)
        return packed.open(info)

    with zipfile.ZipFile(archive) as packed:
        for info in packed.infolist():
            if not info.is_dir():
                # Some programs on Windows write backslashes, which the format forbids.
                yield info.filename.replace("\\", "/"), partial(opened, info)


def _entries_of_tar(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes]]]]:
    def opened(member: tarfile.TarInfo) -> IO[bytes]:
        # A link is opened as the entry that it names; nothing outside is ever touched.
        with suppress(KeyError):
            if file := packed.extractfile(member):
                return file
        raise _no_file(archive, member.name)

    with tarfile.open(archive) as packed:
        for member in packed:
            if member.isfile() or member.issym() or member.islnk():
                yield member.name, partial(opened, member)
        # Zeros mark the end, but tarfile takes a broken header for the end as well.
        packed.fileobj.seek(packed.offset)
        if any(packed.fileobj.read(tarfile.BLOCKSIZE)):
            raise tarfile.ReadError("an entry's header is broken")
        while packed.fileobj.read(2**20):  # a compressed archive's checksum comes at its end
            pass


def _no_file(archive: Path, name: str) -> CourseError:
    return CourseError(
        f"{archive.name} holds a link to no file of its own, {name}: pack the file itself"
    )


def _verify(folder: Path, checksums: Traversable) -> None:
    """Hold the unpacked tracks against a list of their checksums, one by one."""
    tracks = {f"{path.parent.name}/{path.name}": path for path in folder.rglob("*.*")}
    for line in checksums.read_text(encoding="utf-8").splitlines():
        sha256, name = line.split()
        if name not in tracks:
            raise CourseError(f"{name} is missing in the archive")
        if _sha256(tracks[name]) != sha256:
            raise CourseError(f"{name} in the archive has the wrong checksum")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
