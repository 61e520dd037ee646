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


def n_artists(n):
    return lambda folder: sum(load_tracks(folder)["artist"] != "") == n


def genres(*names):
    return lambda folder: tuple(sorted(set(load_tracks(folder)["genre"]))) == names


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
    table = pd.DataFrame({"track_id": GTZAN, "genre": [name[:4] for name in GTZAN], "artist": "A"})
    return lambda _: use(table, split(table, by="track"))


def nothing(folder):
    return folder


CASES: list[tuple] = [
    # Feature files: pieces, paths, lists of artists
    ("pieces as published", csv(PUBLISHED), pieces_of_file, "fine"),
    ("pieces as published, said", csv(PUBLISHED), artists, "said", ("48 rows", "12 tracks")),
    (
        "pieces as published, artists",
        csv(PUBLISHED, index_txt=INDEX),
        artists,
        "said",
        ("Artist 11", "'artist'", "12 usable tracks of 12 in 48 pieces"),
    ),
    ("pieces called part", csv(in_pieces("{}_part{}.wav".format)), pieces_of_file, "fine"),
    ("pieces in brackets", csv(in_pieces("{} ({}).wav".format)), pieces_of_file, "fine"),
    ("pieces of own songs", csv(in_pieces("my {}b.{}".format)), pieces_of_file, "fine"),
    ("pieces in folders", csv(in_pieces("C:\\x\\{}-{}.mp3".format)), pieces_of_file, "fine"),
    (
        "pieces whose ids are one's own",
        csv(PUBLISHED),
        naive_pieces,
        "refused",
        ("recording", "load_features"),
    ),
    (
        "features divided as they are",
        csv(WHOLE),
        lambda path: split(read_features(path).assign(genre="pop", artist="")),
        "refused",
        ("recording", "load_features"),
    ),
    (
        "names with paths",
        csv(rows([f"Data/genres_original/{n[:4]}/{n}.wav" for n in GTZAN]), index_txt=INDEX),
        artists,
        "said",
        "Artist 11",
    ),
    (
        "names with paths of Windows",
        csv(rows([f"C:\\x\\{n}.WAV" for n in GTZAN], [n[:4] for n in GTZAN]), index_txt=INDEX),
        artists,
        "said",
        "Artist 11",
    ),
    ("names without suffix", csv(rows(GTZAN), index_txt=INDEX), artists, "said", "Artist 11"),
    (
        "two folders, one name",
        csv(rows([f"{c}/blues/blues.0000{n}.wav" for c in "ab" for n in range(3)], ["blues"] * 6)),
        load_features,
        "refused",
        ("two folders", "blues.00000"),
    ),
    (
        "one name twice",
        csv(rows(["a.wav", "b.wav", "a.wav"], ["pop", "pop", "rock"])),
        load_features,
        "refused",
        "track a",
    ),
    (
        "a list of artists about others",
        csv(WHOLE, tracks_csv="track_id,artist\nsong 1,Me\n"),
        artists,
        "said",
        ("tracks.csv", "0 of the 12", "'blues.00000'", "'song 1'"),
    ),
    (
        "a list of artists about half",
        csv(WHOLE, index_txt="".join(INDEX.splitlines(keepends=True)[:6])),
        artists,
        "said",
        ("6 of the 12", "'jazz.00000'"),
    ),
    (
        "two artists for one track",
        csv(WHOLE, tracks_csv="track_id,artist\nblues.00000,A\nblues.00000.wav,B\n"),
        load_features,
        "refused",
        ("two artists", "blues.00000"),
    ),
    (
        "a list in Excel's way",
        csv(WHOLE, tracks_csv="sep=;\ntrack_id;artist\n" + ";Z\n".join(GTZAN) + ";Z\n"),
        lambda path: set(load_features(path)[0]["artist"]) == {"Z"},
        "fine",
    ),
    (
        "accents composed and decomposed",
        csv(
            rows(["e\u0301te.wav", "ou\u0302.wav"], ["pop", "pop"]),
            index_txt="\u00e9te.wav:::A:::\noû:::B:::",
        ),
        lambda path: list(load_features(path)[0]["artist"]) == ["A", "B"],
        "fine",
    ),
    # Feature files: text and form
    (
        "labels like numbers",
        csv(rows(ODD_LABELS, ODD_LABELS)),
        same(rows(ODD_LABELS, ODD_LABELS)),
        "fine",
    ),
    ("semicolons", csv(WHOLE, lambda t: t.replace(",", ";").encode()), same(WHOLE), "fine"),
    (
        "decimal commas",
        csv(WHOLE, german),
        same(WHOLE),
        "fine",
    ),
    ("tabs", csv(WHOLE, lambda t: t.replace(",", "\t").encode()), same(WHOLE), "fine"),
    (
        "byte order mark, CRLF",
        csv(WHOLE, lambda t: t.replace("\n", "\r\n").encode("utf-8-sig")),
        same(WHOLE),
        "fine",
    ),
    ("UTF-16", csv(WHOLE, lambda t: t.encode("utf-16")), same(WHOLE), "fine"),
    ("packed", csv(WHOLE, lambda t: gzip.compress(t.encode()), "f.csv.gz"), same(WHOLE), "fine"),
    ("an index column", csv(WHOLE.reset_index(names="")), same(WHOLE), "fine"),
    (
        "an index column with a name",
        csv(WHOLE.reset_index(names="Unnamed: 0")),
        same(WHOLE),
        "fine",
    ),
    ("one more column", csv(WHOLE.assign(mood=1)), read_features, "refused", ("mood", "remove")),
    (
        "few columns",
        csv(WHOLE[["filename", "label"]]),
        read_features,
        "refused",
        ("length", "more"),
    ),
    (
        "an empty label",
        csv(WHOLE.assign(label=["blues", " "] * 6)),
        read_features,
        "refused",
        ("label", "row 2"),
    ),
    ("a word among numbers", csv(WHOLE.assign(tempo="fast")), read_features, "refused", "tempo"),
    (
        "labels that differ in case",
        csv(WHOLE.assign(label=["Rock", "rock "] * 6)),
        read_features,
        "said",
        ("'Rock'", "'rock '"),
    ),
    ("cut short", csv(WHOLE, lambda t: t[:-500].encode()), read_features, "refused", "row 12"),
    (
        "packed and cut short",
        csv(WHOLE, lambda t: gzip.compress(t.encode())[:-99]),
        read_features,
        "refused",
        "features.csv",
    ),
    (
        "an Excel file",
        csv(WHOLE, lambda t: b"PK\3\4" + t.encode()),
        read_features,
        "refused",
        "Excel",
    ),
    (
        "sound for a table",
        csv(WHOLE, lambda t: b"RIFF\0\0\0\1" * 9),
        read_features,
        "refused",
        "no text",
    ),
    # Folders
    (
        "genres renamed",
        sounds(
            *(
                f"{g}/{f}.0000{n}.wav"
                for g, f in (("Hip-Hop", "hiphop"), ("Blues", "blues"))
                for n in range(3)
            ),
            index_txt="".join(
                f"{g}.0000{n}.wav:::A{n}:::\n" for g in ("hiphop", "blues") for n in range(3)
            ),
        ),
        n_artists(6),
        "fine",
    ),
    (
        "a list without folders",
        sounds(
            "rock/song 0.wav",
            "pop/song 1.wav",
            tracks_csv="track_id,artist\nsong 0.mp3,A\nSONG 1,B",
        ),
        n_artists(2),
        "fine",
    ),
    (
        "numbers for names",
        sounds("rock/1.wav", "pop/02.wav", tracks_csv="track_id,artist\n1,A\n02,B\n"),
        n_artists(2),
        "fine",
    ),
    (
        "names that fit two tracks",
        sounds("rock/01.wav", "pop/01.wav", tracks_csv="track_id,artist\n01,A\n"),
        listed,
        "said",
        ("0 of the 2", "'pop/01'"),
    ),
    (
        "a list about others",
        sounds("rock/a.wav", "pop/b.wav", index_txt="x/y.wav:::A:::\n"),
        listed,
        "said",
        ("0 of the 2", "'x/y'"),
    ),
    (
        "pieces in files",
        sounds(*(f"{n[:4]}/{n}.{k}.wav" for n in GTZAN for k in range(3))),
        pieces_of_folder,
        "fine",
    ),
    (
        "pieces in files, said",
        sounds(*(f"{n[:4]}/{n}.{k}.wav" for n in GTZAN for k in range(3))),
        listed,
        "said",
        ("36 files", "12 tracks"),
    ),
    (
        "pieces of own songs in files",
        sounds(
            *(f"{g}/song {c}.{k}.wav" for g in ("pop", "rock") for c in "abcd" for k in range(3))
        ),
        pieces_of_folder,
        "fine",
    ),
    ("copies under two genres", copies, copies_together, "fine"),
    (
        "a table that has lost its recordings",
        copies,
        lambda folder: split(load_tracks(folder).drop(columns="recording"), by="track"),
        "refused",
        ("recording", "load_tracks"),
    ),
    ("names in Latin-1", latin, latin_rows, "said", ("pop/caf\\xe9", "pop/caf\\xe8", "r\\xf6ck")),
    (
        "names that begin with dots",
        sounds(
            "pop/...Baby One More Time.wav",
            "pop/__init__ (interlude).wav",
            "metal/...And Justice.wav",
            "metal/._x.wav",
            "metal/.git/y.wav",
        ),
        lambda folder: len(load_tracks(folder)) == 3,
        "fine",
    ),
    (
        "names of all kinds",
        sounds(
            "C$h/A$AP^_.wav", "C$h/夜に駆ける.wav", "_x/ b .wav", ".x/a\nb.wav", "_x/AC\\DC.wav"
        ),
        lambda folder: len(load_tracks(folder)) == 5,
        "fine",
    ),
    (
        "genres, artists and albums",
        sounds(
            *(f"{g}/{a}/Album/0{n}.wav" for g in ("Jazz", "Rock") for a in "AB" for n in range(2))
        ),
        listed,
        "said",
        ("2 genres (Jazz, Rock)", "artists are taken from the folders", "Jazz/A/Album/00"),
    ),
    (
        "genres and albums, other depths",
        sounds("Jazz/A/1.wav", "Jazz/2.wav", "Rock/B/C/3.wav"),
        genres("Jazz", "Rock"),
        "fine",
    ),
    (
        "wrapped five times",
        sounds(*(f"a/b/c/d/e/{g}/1.wav" for g in ("pop", "rock"))),
        genres("pop", "rock"),
        "fine",
    ),
    (
        "one genre of artists",
        sounds("music/Rock/A/1.wav", "music/Rock/B/2.wav"),
        genres("Rock"),
        "fine",
    ),
    (
        "artists for genres",
        sounds("music/A/1.wav", "music/B/2.wav"),
        listed,
        "said",
        "2 genres (A, B)",
    ),
    (
        "train and test",
        sounds(*(f"{p}/{g}/{p}.wav" for p in ("train", "test") for g in ("pop", "rock"))),
        load_tracks,
        "refused",
        ("train", "test"),
    ),
    (
        "GTZAN beside other music",
        sounds("mine/a.wav", "gtzan/blues/blues.00000.wav", "gtzan/jazz/jazz.00000.wav"),
        load_tracks,
        "refused",
        "gtzan",
    ),
    (
        "folders of FMA",
        sounds("000/000002.wav", "001/001005.wav"),
        listed,
        "said",
        ("numbers", "tracks.csv"),
    ),
    (
        "tracks beside genres",
        sounds("lost.wav", "pop/a.wav", "rock/b.wav"),
        listed,
        "said",
        ("lost.wav", "2 usable"),
    ),
    (
        "an empty folder",
        lambda folder: (
            sounds("pop/a.wav", "rock/b.wav")(folder)
            if (folder / "playlists").mkdir() is None
            else None
        ),
        genres("pop", "rock"),
        "fine",
    ),
    ("links in circles", linked, lambda folder: len(load_tracks(folder)) == 2, "fine"),
    (
        "genres in two cases",
        sounds("Rock/a.wav", "rock/b.wav", "pop/c.wav"),
        listed,
        "said",
        ("'Rock'", "'rock'"),
    ),
    ("many genres", sounds(*(f"g{n:02}/a.wav" for n in range(12))), listed, "said", "and 2 more"),
    # Tables
    (
        "no usable track",
        sounds("pop/a.wav", "rock/b.wav"),
        lambda folder: split(usable(load_tracks(folder))),
        "refused",
        "no usable track",
    ),
    (
        "parts of a shuffled table",
        nothing,
        with_parts(lambda t, p: shared_artists(t.iloc[::-1], p)),
        "refused",
        "indices",
    ),
    (
        "parts of a shorter table",
        nothing,
        with_parts(lambda t, p: shared_artists(t.head(3), p)),
        "refused",
        "indices",
    ),
    (
        "an option of another split",
        nothing,
        with_parts(lambda t, p: split(t, by="repaired")),
        "refused",
        "repaired",
    ),
    (
        "published lists by a wrong name",
        nothing,
        with_parts(lambda t, p: split(t, "fault-filtered")),
        "refused",
        "fault_filtered",
    ),
    (
        "ids of a merged table",
        csv(PUBLISHED),
        lambda path: read_features(path)["track_id"].nunique() == 12,
        "fine",
    ),
]
