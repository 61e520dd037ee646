"""Rows of the table in test_bad_input: kind, make, use, outcome, names.

Folders of unusual shape, names of any kind, lists of artists that do not fit, and CSV files.
"""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path

import numpy as np
import pandas as pd
import soundfile as sf

from benchmarks.published import fault_filtered
from gtzan_helpers.datasets import describe_source, load_tracks
from gtzan_helpers.faults import usable
from gtzan_helpers.features import (
    FEATURE_COLUMNS,
    FEATURE_NAMES,
    load_features,
    read_features,
    write_features,
)
from gtzan_helpers.splits import folds, shared_artists, split, strictest_split

RATE = 4000


def sound(path, seed=None, seconds=0.2):
    """Write a short noise; without a seed, one that depends on the name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = list(os.fsencode(path)) if seed is None else seed
    noise = np.random.default_rng(seed).uniform(-0.5, 0.5, round(seconds * RATE))
    with path.open("wb") as file:
        sf.write(file, noise, RATE, format="WAV")


def sounds(*names, **texts):
    """Return a maker of a folder of noises, and of text files called a_txt or a_csv."""

    def make(folder):
        for name in names:
            sound(folder / name)
        for name, text in texts.items():
            (folder / name.replace("_", ".")).write_text(text, encoding="utf-8")
        return folder

    return make


def rows(names, labels=None, length=661794):
    """A feature table; each row has values of its own."""
    values = np.random.default_rng(0).uniform(1, 9, (len(names), len(FEATURE_NAMES)))
    table = pd.DataFrame(values, columns=FEATURE_NAMES)
    labels = labels or [Path(name).name.partition(".")[0] for name in names]
    return table.assign(filename=names, length=length, label=labels)[FEATURE_COLUMNS]


def csv(table, change=lambda text: text.encode(), name="features.csv", **texts):
    """Return a maker of a feature file, changed as bytes, and of files beside it."""

    def make(folder):
        write_features(table, folder / "plain.csv")
        text = (folder / "plain.csv").read_text(encoding="utf-8")
        (folder / "plain.csv").unlink()
        (folder / name).write_bytes(change(text))
        for other, content in texts.items():
            (folder / other.replace("_", ".")).write_text(content, encoding="utf-8")
        return folder / name

    return make


def same(table):
    """Return a use that is fine where a file is read as a table."""

    def use(path):
        read = read_features(path)[FEATURE_COLUMNS]
        pd.testing.assert_frame_equal(read, table, check_exact=True)
        return True

    return use


def listed(folder):
    tracks = load_tracks(folder)
    columns = ["track_id", "genre", "artist", "recording", "problem"]
    return describe_source(tracks) + tracks[columns].to_string()


def artists(path):
    tracks, _ = load_features(path)
    return sorted(set(tracks["artist"])), strictest_split(tracks), describe_source(tracks)


def distinct(column, count):
    """Return a use that is fine where a column of the tracks has so many known values."""
    return lambda folder: len(set(load_tracks(folder)[column]) - {""}) == count


def pieces_apart(tracks, whole):
    """Whether no recording stands on two sides of any split or fold."""
    for by in ("track", "artist"):
        parts = [split(tracks, by=by).to_numpy()]
        for _, test in folds(tracks, by=by, n_folds=3):
            parts.append(np.isin(np.arange(len(tracks)), test))
        for part in parts:
            assert pd.Series(part).groupby(np.asarray(whole)).nunique().max() == 1
    return True


def pieces_of_file(path):
    tracks, _ = load_features(path)
    song = [key for key in range(len(tracks) // 4) for _ in range(4)]
    assert tracks["track_id"].nunique() == len(tracks) // 4
    return pieces_apart(tracks, song)


def pieces_of_folder(folder):
    tracks = load_tracks(folder)
    assert tracks["track_id"].is_unique
    return pieces_apart(tracks, tracks["track_id"].str.rsplit(".", n=1).str[0])


def naive_pieces(path):
    """Divide the pieces of a file as if each were a track."""
    features = read_features(path)
    names = features["filename"].str[:-4]
    table = pd.DataFrame({"track_id": names, "genre": features["label"], "artist": ""})
    return pieces_apart(table, features["track_id"])


GTZAN = [f"{genre}.{number:05}" for genre in ("blues", "jazz") for number in range(6)]
INDEX = "".join(f"{name}.wav ::: Artist {i} ::: Song\n" for i, name in enumerate(GTZAN))
WHOLE = rows([f"{name}.wav" for name in GTZAN])


def german(text):
    """A table as a German Excel writes it: 1,5;2,5."""
    numbers = r"(?<=[;\n]\d)\.(?=\d+[;\n])"
    return re.sub(numbers, ",", text.replace(",", ";")).encode()


def in_pieces(form):
    names = [form(name, number) for name in GTZAN for number in range(4)]
    return rows(names, [name.split(".")[0] for name in GTZAN for _ in range(4)], 66149)


PUBLISHED = in_pieces("{}.{}.wav".format)
ODD_LABELS = ["1990", "001", "NA", "None", "null", "True", "1e5", "nan", "-", "inf", 'a "b", c']
NUMBERS = rows(ODD_LABELS, ODD_LABELS)


def latin(folder):
    for name in (b"pop/caf\xe9.wav", b"pop/caf\xe8.wav", b"r\xf6ck/a.wav"):
        sound(Path(os.fsdecode(os.fsencode(folder) + b"/" + name)))
    return folder


def latin_rows(folder):
    tracks = load_tracks(folder)
    assert tracks["track_id"].is_unique
    assert all(Path(path).is_file() for path in tracks["path"])
    return "\n".join([*tracks["track_id"], describe_source(tracks)]).encode().decode()


def linked(folder):
    for name in ("rock/a.wav", "pop/b.wav"):
        sound(folder / "music" / name)
    (folder / "music" / "rock" / "back").symlink_to(folder / "music")
    (folder / "music" / "pop" / "up").symlink_to(folder)
    (folder / "music" / "pop" / "over").symlink_to(folder / "music" / "rock")
    return folder / "music"


def copies(folder):
    for genre in ("rock", "pop"):
        for number in range(6):
            sound(folder / genre / f"tune {chr(97 + number)}.wav")
    for name in ("rock/x.wav", "pop/y.wav"):
        sound(folder / name, seed=1)
    return folder


def copies_together(folder):
    tracks = load_tracks(folder).drop(columns="genre").merge(load_tracks(folder))
    twins = tracks["track_id"].isin(["rock/x", "pop/y"])
    for seed in range(5):
        assert len(set(split(tracks, by="track", seed=seed)[twins])) == 1
    return True


def with_parts(use):
    """Return a use of a table of tracks and of its parts."""
    table = pd.DataFrame({"track_id": GTZAN, "genre": LABELS, "artist": "A", "recording": GTZAN})
    return lambda _: use(table, split(table, by="track"))


def fine(use, kind, make):
    return kind, make, use, "fine"


def said(use, kind, make, *names):
    return kind, make, use, "said", names


def refused(use, kind, make, *names):
    return kind, make, use, "refused", names


def nothing(folder):
    return folder


def form(change, name="features.csv"):
    return csv(WHOLE, change, name)


def with_index(names, labels=None):
    return csv(rows(names, labels), index_txt=INDEX)


def with_empty_folder(folder):
    (folder / "playlists").mkdir()
    return sounds("pop/a.wav", "rock/b.wav")(folder)


LABELS = [name[:4] for name in GTZAN]
PIECES = [f"{name[:4]}/{name}.{k}.wav" for name in GTZAN for k in range(3)]
SONGS = [f"{g}/song {c}.{k}.wav" for g in ("pop", "rock") for c in "abcd" for k in range(3)]
ALBUMS = [f"{g}/{a}/Album/0{n}.wav" for g in ("Jazz", "Rock") for a in "AB" for n in range(2)]
RENAMED = {"Hip-Hop": "hiphop", "Blues": "blues"}
RENAMED_FILES = [f"{genre}/{name}.0000{n}.wav" for genre, name in RENAMED.items() for n in range(3)]
RENAMED_INDEX = "".join(f"{name.partition('/')[2]}:::{name}:::\n" for name in RENAMED_FILES)
TWO_FOLDERS = [f"{c}/blues/blues.0000{n}.wav" for c in "ab" for n in range(3)]
IN_GTZAN = [f"Data/genres_original/{name[:4]}/{name}.wav" for name in GTZAN]
DOTS = [
    *("pop/...Baby One More Time.wav", "pop/__init__ (interlude).wav", "metal/...And Justice.wav"),
    *("metal/._x.wav", "metal/.git/y.wav"),
]
ODD_NAMES = ["C$h/A$AP^_.wav", "C$h/夜に駆ける.wav", "_x/ b .wav", ".x/a\nb.wav", "_x/AC\\DC.wav"]
PARTS = [f"{part}/{name}.wav" for part in ("train", "test") for name in ("pop/1", "rock/2")]
BESIDE = ["mine/a.wav", "gtzan/blues/blues.00000.wav", "gtzan/jazz/jazz.00000.wav"]
HALF = "".join(INDEX.splitlines(keepends=True)[:6])
TWO_ARTISTS = "track_id,artist\nblues.00000,A\nblues.00000.wav,B\n"
OTHERS = "track_id,artist\nsong 1,Me\n"
EXCELS = "sep=;\ntrack_id;artist\n" + ";Z\n".join(GTZAN) + ";Z\n"
ACCENTS = rows(["e\u0301te.wav", "ou\u0302.wav"], ["pop", "pop"])
ACCENTS_INDEX = "\u00e9te.wav:::A:::\noû:::B:::"


def without_recordings(folder):
    return split(load_tracks(folder).drop(columns="recording"), by="track")


FEATURE_FILES = [
    fine(pieces_of_file, "pieces as published", csv(PUBLISHED)),
    fine(pieces_of_file, "pieces called part", csv(in_pieces("{}_part{}.wav".format))),
    fine(pieces_of_file, "pieces in brackets", csv(in_pieces("{} ({}).wav".format))),
    fine(pieces_of_file, "pieces of own songs", csv(in_pieces("my {}b.{}".format))),
    fine(pieces_of_file, "pieces in folders", csv(in_pieces("C:\\x\\{}-{}.mp3".format))),
    refused(
        *(naive_pieces, "pieces whose ids are one's own", csv(PUBLISHED)),
        *("recording", "load_features"),
    ),
    refused(
        lambda path: split(read_features(path).assign(genre="pop", artist="")),
        *("features divided as they are", csv(WHOLE), "recording", "load_features"),
    ),
    fine(
        lambda path: read_features(path)["track_id"].nunique() == 12,
        *("ids of a merged table", csv(PUBLISHED)),
    ),
    fine(
        lambda path: set(load_features(path)[0]["artist"]) == {"Z"},
        *("a list in Excel's way", csv(WHOLE, tracks_csv=EXCELS)),
    ),
    fine(
        lambda path: list(load_features(path)[0]["artist"]) == ["A", "B"],
        *("accents composed and decomposed", csv(ACCENTS, index_txt=ACCENTS_INDEX)),
    ),
    said(artists, "pieces as published, said", csv(PUBLISHED), "48 rows", "12 tracks"),
    said(
        *(artists, "pieces as published, artists", csv(PUBLISHED, index_txt=INDEX)),
        *("Artist 11", "'artist'", "12 usable tracks of 12 in 48 pieces"),
    ),
    said(artists, "names with paths", with_index(IN_GTZAN), "Artist 11"),
    said(
        *(artists, "names with paths of Windows"),
        *(with_index([f"C:\\x\\{n}.WAV" for n in GTZAN], LABELS), "Artist 11"),
    ),
    said(artists, "names without suffix", with_index(GTZAN), "Artist 11"),
    said(
        *(artists, "a list of artists about others", csv(WHOLE, tracks_csv=OTHERS)),
        *("tracks.csv", "0 of the 12", "'blues.00000'", "'song 1'"),
    ),
    said(
        *(artists, "a list of artists about half", csv(WHOLE, index_txt=HALF)),
        *("6 of the 12", "'jazz.00000'"),
    ),
    refused(
        *(load_features, "two folders, one name", csv(rows(TWO_FOLDERS, ["blues"] * 6))),
        *("two folders", "blues.00000"),
    ),
    refused(
        *(load_features, "one name twice"),
        *(csv(rows(["a.wav", "b.wav", "a.wav"], [*"ppr"])), "track a"),
    ),
    refused(
        *(load_features, "two artists for one track", csv(WHOLE, tracks_csv=TWO_ARTISTS)),
        *("two artists", "blues.00000"),
    ),
    fine(same(NUMBERS), "labels like numbers", csv(NUMBERS)),
    fine(same(WHOLE), "semicolons", form(lambda text: text.replace(",", ";").encode())),
    fine(same(WHOLE), "decimal commas", form(german)),
    fine(same(WHOLE), "tabs", form(lambda text: text.replace(",", "\t").encode())),
    fine(
        *(same(WHOLE), "byte order mark, CRLF"),
        form(lambda text: text.replace("\n", "\r\n").encode("utf-8-sig")),
    ),
    fine(same(WHOLE), "UTF-16", form(lambda text: text.encode("utf-16"))),
    fine(same(WHOLE), "packed", form(lambda text: gzip.compress(text.encode()), "f.csv.gz")),
    fine(same(WHOLE), "an index column", csv(WHOLE.reset_index(names=""))),
    fine(same(WHOLE), "an index column with a name", csv(WHOLE.reset_index(names="Unnamed: 0"))),
    refused(read_features, "one more column", csv(WHOLE.assign(mood=1)), "mood", "remove"),
    refused(read_features, "few columns", csv(WHOLE[["filename", "label"]]), "length", "more"),
    refused(
        *(read_features, "an empty label"),
        *(csv(WHOLE.assign(label=["blues", " "] * 6)), "label", "row 2"),
    ),
    refused(read_features, "a word among numbers", csv(WHOLE.assign(tempo="fast")), "tempo"),
    refused(read_features, "cut short", form(lambda text: text[:-500].encode()), "row 12"),
    refused(
        *(read_features, "packed and cut short"),
        *(form(lambda text: gzip.compress(text.encode())[:-99]), "features.csv"),
    ),
    refused(read_features, "an Excel file", form(lambda text: b"PK\3\4" + text.encode()), "Excel"),
    refused(read_features, "sound for a table", form(lambda _: b"RIFF\0\0\0\1" * 9), "no text"),
    said(
        *(read_features, "labels that differ in case"),
        *(csv(WHOLE.assign(label=["Rock", "rock "] * 6)), "'Rock'", "'rock '"),
    ),
]

FOLDERS = [
    fine(
        *(distinct("artist", 6), "genres renamed"),
        sounds(*RENAMED_FILES, index_txt=RENAMED_INDEX),
    ),
    fine(
        *(distinct("artist", 2), "a list without folders"),
        sounds("rock/s 0.wav", "pop/s 1.wav", tracks_csv="track_id,artist\ns 0.mp3,A\nS 1,B"),
    ),
    fine(
        *(distinct("artist", 2), "numbers for names"),
        sounds("rock/1.wav", "pop/02.wav", tracks_csv="track_id,artist\n1,A\n02,B\n"),
    ),
    fine(pieces_of_folder, "pieces in files", sounds(*PIECES)),
    fine(pieces_of_folder, "pieces of own songs in files", sounds(*SONGS)),
    fine(distinct("track_id", 3), "names that begin with dots", sounds(*DOTS)),
    fine(distinct("track_id", 5), "names of all kinds", sounds(*ODD_NAMES)),
    fine(distinct("track_id", 2), "links in circles", linked),
    fine(copies_together, "copies under two genres", copies),
    refused(
        *(without_recordings, "a table that has lost its recordings", copies),
        *("recording", "load_tracks"),
    ),
    said(latin_rows, "names in Latin-1", latin, "pop/caf\\xe9", "pop/caf\\xe8", "r\\xf6ck"),
    fine(
        *(distinct("genre", 2), "wrapped five times"),
        sounds("a/b/c/d/e/pop/1.wav", "a/b/c/d/e/rock/1.wav"),
    ),
    fine(distinct("genre", 2), "an empty folder", with_empty_folder),
    fine(
        *(distinct("genre", 2), "genres and albums, other depths"),
        sounds("Jazz/A/1.wav", "Jazz/2.wav", "Rock/B/C/3.wav"),
    ),
    said(
        *(listed, "one genre of artists", sounds("music/Rock/A/1.wav", "music/Rock/B/2.wav")),
        "1 genre (Rock)",
    ),
    said(
        *(listed, "names that fit two tracks"),
        sounds("rock/01.wav", "pop/01.wav", tracks_csv="track_id,artist\n01,A\n"),
        *("0 of the 2", "'pop/01'"),
    ),
    said(
        *(listed, "a list about others"),
        *(sounds("rock/a.wav", "pop/b.wav", index_txt="x/y.wav:::A:::\n"), "0 of the 2", "'x/y'"),
    ),
    said(listed, "pieces in files, said", sounds(*PIECES), "36 files", "12 tracks"),
    said(
        *(listed, "genres, artists and albums", sounds(*ALBUMS), "2 genres (Jazz, Rock)"),
        *("artists are taken from the folders", "Jazz/A/Album/00"),
    ),
    said(listed, "artists for genres", sounds("music/A/1.wav", "music/B/2.wav"), "2 genres (A, B)"),
    said(
        *(listed, "folders of FMA", sounds("000/000002.wav", "001/001005.wav")),
        *("numbers", "tracks.csv"),
    ),
    said(
        *(listed, "tracks beside genres", sounds("lost.wav", "pop/a.wav", "rock/b.wav")),
        *("lost.wav", "2 usable"),
    ),
    said(
        *(listed, "genres in two cases", sounds("Rock/a.wav", "rock/b.wav", "pop/c.wav")),
        *("'Rock'", "'rock'"),
    ),
    said(listed, "many genres", sounds(*(f"g{n:02}/a.wav" for n in range(12))), "and 2 more"),
    refused(load_tracks, "train and test", sounds(*PARTS), "train", "test"),
    refused(load_tracks, "GTZAN beside other music", sounds(*BESIDE), "gtzan"),
]

TABLES = [
    refused(
        lambda folder: split(usable(load_tracks(folder))),
        *("no usable track", sounds("pop/a.wav", "rock/b.wav"), "no usable track"),
    ),
    refused(
        with_parts(lambda table, parts: shared_artists(table.iloc[::-1], parts)),
        *("parts of a shuffled table", nothing, "indices"),
    ),
    refused(
        with_parts(lambda table, parts: shared_artists(table.head(3), parts)),
        *("parts of a shorter table", nothing, "indices"),
    ),
    refused(
        with_parts(lambda table, _: split(table, "fault-filtered")),
        *("published lists by a wrong name", nothing, "fault-filtered"),
    ),
    refused(
        lambda folder: fault_filtered(load_tracks("demo"), lists=folder),
        *("published lists for the demo", nothing, "demo"),
    ),
]

CASES: list[tuple] = [*FEATURE_FILES, *FOLDERS, *TABLES]
