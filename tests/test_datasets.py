"""Loading tracks: the demo, every form that GTZAN is found in, and data that are broken."""

import tarfile
import zipfile

import numpy as np
import pytest
import soundfile as sf

from gtzan_helpers.cache import cache_folder
from gtzan_helpers.datasets import describe_source, load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.lists import GENRES

RATE = 22050
COLUMNS = [
    *("track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"),
    *("recording", "source"),
]
INDEX = (
    "blues.00000.wav ::: Etta Example ::: Some Song\n"
    "blues.00001.wav ::: ::: \n"
    "jazz.00000.wav ::: Näyte Trio :::\n"
    "jazz.00001.wav ::: ::: \n"
)
# What lies beside the tracks in the wild.
STRAYS = {
    **dict.fromkeys((".DS_Store", "jazz/.DS_Store", "Thumbs.db", "blues/Thumbs.db"), b"\0\0\0\1"),
    **dict.fromkeys(("blues/._blues.00000.wav", "__MACOSX/rock/._rock.00000.wav"), b"\0\5\26\7"),
    **dict.fromkeys(("blues/cover.jpg", "images_original/blues/blues00000.png"), b"\xff\xd8\xff"),
    **dict.fromkeys(("features_30_sec.csv", "blues/features_3_sec.csv"), b"filename,length\n"),
    **dict.fromkeys(("README.md", "jazz/bextract_single.mf"), b"# GTZAN\n"),
}


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_track(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)


def write_gtzan(root, kind="wav"):
    """Two genres of two tracks each, and what lies beside them in the wild."""
    for name in ("blues.00000", "blues.00001", "jazz.00000", "jazz.00001"):
        write_track(root / name.split(".")[0] / f"{name}.{kind}")
    for name, content in STRAYS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(content)


def check_gtzan(tracks):
    assert list(tracks.columns) == COLUMNS
    assert list(tracks["track_id"]) == ["blues.00000", "blues.00001", "jazz.00000", "jazz.00001"]
    assert list(tracks["genre"]) == ["blues", "blues", "jazz", "jazz"]
    assert (tracks["seconds"] == 1.0).all()
    assert (tracks["sample_rate"] == RATE).all()
    assert (tracks["problem"] == "").all()
    assert set(tracks["source"]) == {"folder"}


def test_the_demo_is_the_default():
    tracks = load_tracks()
    assert set(tracks["source"]) == {"demo"}
    assert sorted(set(tracks["genre"])) == GENRES
    assert 100 <= len(tracks) <= 120
    assert tracks["track_id"].is_unique
    assert tracks["track_id"].is_monotonic_increasing
    assert (tracks["artist"] != "").all()


@pytest.mark.parametrize("kind", ["wav", "au", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("form", ["", "genres", "archive/Data/genres_original"])
def test_every_form_in_the_wild_is_read(tmp_path, form, kind):
    write_gtzan(tmp_path / form, kind)
    check_gtzan(load_tracks(tmp_path))


@pytest.mark.parametrize("form", ["genres", "Data/genres_original"])
@pytest.mark.parametrize("name", ["gtzan.tar.gz", "genres.tar", "archive.zip"])
def test_an_archive_is_unpacked_once(tmp_path, capsys, name, form):
    write_gtzan(tmp_path / "a" / form)
    pack(tmp_path / "a", tmp_path / name)
    check_gtzan(load_tracks(tmp_path / name))
    assert f"Unpacking {name} into {cache_folder()}" in capsys.readouterr().out
    unpacked = sorted(path.name for path in cache_folder().rglob("*.*") if path.is_file())
    assert unpacked == [f"{g}.0000{n}.wav" for g in ("blues", "jazz") for n in (0, 1)]
    check_gtzan(load_tracks(tmp_path / name))
    assert capsys.readouterr().out == ""


def pack(folder, archive):
    if archive.suffix == ".zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in sorted(folder.rglob("*")):
                packed.write(path, path.relative_to(folder))
    else:
        with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as packed:
            packed.add(folder, ".")


def test_own_genres_and_names_are_read(tmp_path):
    names = ("Drum & Bass/01 – Café.flac", "polka/a.song.ogg", "polka/b.wav", "waltz/b.wav")
    for name in (*names, "polka/metal.00000.wav"):
        write_track(tmp_path / name)
    assert list(load_tracks(tmp_path)["track_id"]) == [
        "Drum & Bass/01 – Café",
        "polka/a.song",
        "polka/b",
        "polka/metal.00000",
        "waltz/b",
    ]


def test_genre_folders_may_be_links(tmp_path):
    write_gtzan(tmp_path / "elsewhere")
    (tmp_path / "here").mkdir()
    for genre in ("blues", "jazz"):
        (tmp_path / "here" / genre).symlink_to(tmp_path / "elsewhere" / genre)
    (tmp_path / "here" / "the blues again").symlink_to(tmp_path / "here" / "blues")
    check_gtzan(load_tracks(tmp_path / "here"))


def test_the_environment_chooses_the_source_and_is_named_where_it_is_wrong(tmp_path, monkeypatch):
    write_gtzan(tmp_path)
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path))
    check_gtzan(load_tracks())
    assert set(load_tracks("demo")["source"]) == {"demo"}
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(CourseError, match=r"GTZAN_DATA is set to .*nowhere"):
        load_tracks()
    with pytest.raises(CourseError, match="elsewhere") as error:
        load_tracks(tmp_path / "elsewhere")
    assert "GTZAN_DATA" not in str(error.value)


def test_broken_files_are_listed_with_their_problem(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "jazz" / "jazz.00054.wav").write_text("not audio")
    (tmp_path / "jazz" / "jazz.00055.wav").touch()
    tracks = load_tracks(tmp_path).set_index("track_id")
    assert list(tracks.index[tracks["problem"] != ""]) == ["jazz.00054", "jazz.00055"]
    assert np.isnan(tracks.loc["jazz.00054", "seconds"])
    assert tracks.loc["jazz.00054", "sample_rate"] == 0


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["notes.txt"], "here holds no audio files"),
        (["blues.00000.wav"], "here holds no audio files in folders"),
        (
            ["genres/blues/1.wav", "genres/pop/2.wav", "other/rock/1.wav", "other/pop/2.wav"],
            "genres and",
        ),
        (["jazz/jazz.00001.wav", "jazz/jazz.00001.au", "pop/a.wav"], r"\.au and .*\.wav"),
        (["test/polka/a.wav", "train/polka/b.wav"], "test and train"),
    ],
)
def test_folders_that_cannot_be_understood_are_named(tmp_path, files, name):
    for file in files:
        write_track(tmp_path / "here" / file.replace(".txt", ".wav"))
        if file.endswith(".txt"):
            (tmp_path / "here" / "notes.wav").rename(tmp_path / "here" / file)
    with pytest.raises(CourseError, match=name):
        load_tracks(tmp_path / "here")


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    write_track(tmp_path / "song.wav")
    with pytest.raises(CourseError, match=r"song\.wav"):
        load_tracks(tmp_path / "song.wav")


@pytest.mark.parametrize(
    ("name", "text", "artists"),
    [
        ("index.txt", INDEX, ["Etta Example", "", "Näyte Trio", ""]),
        ("genres/index.txt", INDEX, ["Etta Example", "", "Näyte Trio", ""]),
        ("genres/tracks.csv", "track_id,artist\njazz.00001,NA\nblues.00000,Z", ["Z", "", "", "NA"]),
    ],
)
@pytest.mark.filterwarnings("ignore:the list of artists")
def test_a_list_among_the_tracks_gives_the_artists(tmp_path, name, text, artists):
    write_gtzan(tmp_path / "genres")
    (tmp_path / name).write_text(text, encoding="utf-8")
    assert list(load_tracks(tmp_path)["artist"]) == artists


def test_a_list_elsewhere_can_be_given(tmp_path):
    write_gtzan(tmp_path / "tracks")
    (tmp_path / "mine.txt").write_text(INDEX, encoding="utf-8")
    assert load_tracks(tmp_path / "tracks", index=tmp_path / "mine.txt")["artist"][0] != ""
    assert (load_tracks(tmp_path / "tracks")["artist"] == "").all()


def test_a_fetched_index_serves_every_copy_of_gtzan_and_no_other_tracks(tmp_path):
    (cache_folder() / "sturm").mkdir()
    (cache_folder() / "sturm" / "index.txt").write_text(INDEX, encoding="utf-8")
    write_gtzan(tmp_path / "gtzan")
    assert load_tracks(tmp_path / "gtzan")["artist"][0] == "Etta Example"
    write_track(tmp_path / "own" / "polka" / "a.wav")
    assert load_tracks(tmp_path / "own")["artist"][0] == ""
    assert "Etta Example" not in set(load_tracks("demo")["artist"])


def test_a_table_without_artists_is_refused(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "tracks.csv").write_text("id,name\n1,a\n")
    with pytest.raises(CourseError, match=r"tracks\.csv .*track_id and artist"):
        load_tracks(tmp_path)


def test_a_description_counts_tracks_and_genres(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "jazz" / "jazz.00002.wav").write_text("no audio")
    text = describe_source(load_tracks(tmp_path))
    assert text.startswith("folder: 4 usable tracks of 5, 2 genres (blues, jazz), 1 s each. ")
    write_track(tmp_path / "jazz" / "jazz.00003.wav", seconds=3)
    tracks = load_tracks(tmp_path)
    assert "1 to 3 s each" in describe_source(tracks)
    unreadable = tracks[tracks["problem"] != ""]
    assert describe_source(unreadable) == "folder: none of 1 tracks can be read."


def test_the_description_of_the_demo_warns_of_its_scores():
    text = describe_source(load_tracks("demo"))
    assert text.startswith("demo: ")
    assert f"10 genres ({', '.join(GENRES)}), 10 s each" in text
    assert "nothing about real music" in text


def test_real_tracks_get_their_artists(real_data):
    tracks = load_tracks(real_data / "gtzan_dev", index=real_data / "sturm" / "index.txt")
    assert len(tracks) == 50
    assert (tracks["problem"] == "").all()
    artists = tracks.set_index("track_id")["artist"]
    assert artists["blues.00000"] == "John Lee Hooker"
    assert tracks["seconds"].between(29.9, 30.7).all()
