"""Loading tracks: the demo, every form that GTZAN is found in, broken data; and the songs."""

import shutil
import tarfile
import zipfile

import numpy as np
import pytest
import soundfile as sf

from gtzan_helpers import datasets
from gtzan_helpers.audio import read_audio
from gtzan_helpers.cache import cache_folder
from gtzan_helpers.datasets import describe_source, load_songs, load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.lists import GENRES

RATE = 22050
NAMES = ["blues.00000", "blues.00001", "jazz.00000", "jazz.00001"]
INDEX = (
    "blues.00000.wav ::: Etta Example ::: Some Song\n"
    "blues.00001.wav ::: ::: \n"
    "jazz.00000.wav ::: Näyte Trio :::\n"
    "jazz.00001.wav ::: ::: \n"
)
# What lies beside the tracks in the wild.
STRAYS = [
    *(".DS_Store", "jazz/.DS_Store", "blues/Thumbs.db", "blues/._blues.00000.wav"),
    *("__MACOSX/rock/._rock.00000.wav", "images_original/blues/blues00000.png", "blues/cover.jpg"),
    *("features_30_sec.csv", "README.md", "jazz/bextract_single.mf"),
]


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_track(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)


def write_gtzan(root, kind="wav"):
    """Two genres of two tracks each, and what lies beside them in the wild."""
    for name in NAMES:
        write_track(root / name.split(".")[0] / f"{name}.{kind}")
    for name in STRAYS:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"\0\5\26\7")


def check_gtzan(tracks):
    assert list(tracks.columns) == [
        *("track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"),
        *("recording", "source"),
    ]
    assert list(tracks["track_id"]) == NAMES
    assert list(tracks["genre"]) == ["blues", "blues", "jazz", "jazz"]
    for name, value in {
        "seconds": 1,
        "sample_rate": RATE,
        "problem": "",
        "source": "folder",
    }.items():
        assert (tracks[name] == value).all()


def test_the_demo_is_the_default():
    tracks = load_tracks()
    assert set(tracks["source"]) == {"demo"}
    assert sorted(set(tracks["genre"])) == GENRES
    assert 100 <= len(tracks) <= 120
    assert tracks["track_id"].is_unique and tracks["track_id"].is_monotonic_increasing
    assert (tracks["artist"] != "").all()
    text = describe_source(tracks)
    assert text.startswith("demo: ") and "nothing about real music" in text
    assert f"10 genres ({', '.join(GENRES)}), 10 s each" in text


@pytest.mark.parametrize("kind", ["wav", "au", "flac", "mp3", "ogg"])
@pytest.mark.parametrize("form", ["", "genres", "archive/Data/genres_original"])
def test_every_form_in_the_wild_is_read(tmp_path, form, kind):
    write_gtzan(tmp_path / form, kind)
    check_gtzan(load_tracks(tmp_path))


@pytest.mark.parametrize("name", ["gtzan.tar.gz", "genres.tar", "archive.zip"])
def test_an_archive_is_unpacked_once(tmp_path, capsys, name):
    write_gtzan(tmp_path / "a" / "Data" / "genres_original")
    if name.endswith("zip"):
        with zipfile.ZipFile(tmp_path / name, "w") as packed:
            for path in (tmp_path / "a").rglob("*"):
                packed.write(path, path.relative_to(tmp_path))
    else:
        with tarfile.open(tmp_path / name, "w:gz" if name.endswith("gz") else "w") as packed:
            packed.add(tmp_path / "a", ".")
    check_gtzan(load_tracks(tmp_path / name))
    assert f"Unpacking {name} into {cache_folder()}" in capsys.readouterr().out
    unpacked = sorted(path.stem for path in cache_folder().rglob("*.*") if path.is_file())
    assert unpacked == NAMES
    check_gtzan(load_tracks(tmp_path / name))
    assert capsys.readouterr().out == ""


def test_own_genres_and_names_are_read(tmp_path):
    names = ["Drum & Bass/01 – Café", "polka/a.song", "polka/b", "polka/metal.00000", "waltz/b"]
    for name in names:
        write_track(tmp_path / f"{name}.{'flac' if 'D' in name else 'wav'}")
    assert list(load_tracks(tmp_path)["track_id"]) == names


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


def test_broken_files_are_listed_with_their_problem_and_counted_in_the_description(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "jazz" / "jazz.00054.wav").write_text("not audio")
    (tmp_path / "jazz" / "jazz.00055.wav").touch()
    tracks = load_tracks(tmp_path).set_index("track_id", drop=False)
    broken = tracks[tracks["problem"] != ""]
    assert list(broken.index) == ["jazz.00054", "jazz.00055"]
    assert broken["seconds"].isna().all() and (broken["sample_rate"] == 0).all()
    start = "folder: 4 usable tracks of 6, 2 genres (blues, jazz), 1 s each. "
    assert describe_source(tracks).startswith(start)
    assert describe_source(broken) == "folder: none of 2 tracks can be read."
    write_track(tmp_path / "jazz" / "jazz.00003.wav", seconds=3)
    assert "1 to 3 s each" in describe_source(load_tracks(tmp_path))


@pytest.mark.parametrize(
    ("files", "name"),
    [
        (["notes.txt"], "here holds no audio files"),
        (["blues.00000.wav"], "here holds no audio files in folders"),
        (["genres/blues/1.wav", "genres/pop/2.wav", "o/rock/1.wav", "o/pop/2.wav"], "genres and"),
        (["jazz/jazz.00001.wav", "jazz/jazz.00001.au", "pop/a.wav"], r"\.au and .*\.wav"),
        (["test/polka/a.wav", "train/polka/b.wav"], "test and train"),
    ],
)
def test_folders_that_cannot_be_understood_are_named(tmp_path, files, name):
    for file in files:
        path = tmp_path / "here" / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with pytest.raises(CourseError, match=name):
        load_tracks(tmp_path / "here")


@pytest.mark.parametrize(
    ("name", "text", "artists"),
    [
        ("index.txt", INDEX, ["Etta Example", "", "Näyte Trio", ""]),
        ("genres/index.txt", INDEX, ["Etta Example", "", "Näyte Trio", ""]),
        ("genres/tracks.csv", "track_id,artist\njazz.00001,NA\nblues.00000,Z", ["Z", "", "", "NA"]),
        ("genres/tracks.csv", "id,name\n1,a\n", r"tracks\.csv .*track_id and artist"),
    ],
)
@pytest.mark.filterwarnings("ignore:the list of artists")
def test_a_list_among_the_tracks_gives_the_artists(tmp_path, name, text, artists):
    write_gtzan(tmp_path / "genres")
    (tmp_path / name).write_text(text, encoding="utf-8")
    if isinstance(artists, list):
        assert list(load_tracks(tmp_path)["artist"]) == artists
    else:
        with pytest.raises(CourseError, match=artists):
            load_tracks(tmp_path)


def test_a_list_can_be_given_and_a_fetched_one_serves_gtzans_tracks_only(tmp_path):
    write_gtzan(tmp_path / "gtzan")
    write_track(tmp_path / "own" / "polka" / "a.wav")
    (cache_folder() / "sturm").mkdir()
    index = cache_folder() / "sturm" / "mine.txt"
    index.write_text(INDEX, encoding="utf-8")
    assert (load_tracks(tmp_path / "gtzan")["artist"] == "").all()
    assert load_tracks(tmp_path / "gtzan", index=index)["artist"][0] == "Etta Example"
    index.rename(index.with_name("index.txt"))
    assert load_tracks(tmp_path / "gtzan")["artist"][0] == "Etta Example"
    for other in (tmp_path / "own", "demo"):
        assert "Etta Example" not in set(load_tracks(other)["artist"])


def test_real_tracks_get_their_artists(real_data):
    tracks = load_tracks(real_data / "gtzan_dev", index=real_data / "sturm" / "index.txt")
    assert len(tracks) == 50
    assert (tracks["problem"] == "").all()
    assert tracks.set_index("track_id")["artist"]["blues.00000"] == "John Lee Hooker"
    assert tracks["seconds"].between(29.9, 30.7).all()


def test_six_songs_are_listed_with_what_their_licences_ask_for():
    songs = load_songs()
    assert list(songs.columns) == [
        *("song", "title", "by", "called", "licence", "licence_url", "source", "changed"),
        *("path", "seconds"),
    ]
    assert list(songs["song"]) == [
        *("brahms_hungarian_dance_5", "sugar_plum_fairy", "vibe_ace", "lets_go_fishin"),
        *("humpback_whale", "speech_sense_and_sensibility"),
    ]
    assert (songs.drop(columns="seconds") != "").all(axis=None)
    terms = (datasets.SONGS.parents[1] / "LICENSE-TEXT").read_text("utf-8")
    for song in songs.itertuples():
        beside = (datasets.SONGS / f"{song.song}.txt").read_text("utf-8")
        assert song.source in beside and song.licence_url in beside
        assert beside.endswith(f"\n{song.changed}.\n")
        assert song.title in terms and song.licence_url in terms


def test_songs_are_short_and_read_in_full():
    songs = load_songs().set_index("song")
    assert songs["seconds"].max() <= 30.5
    for song in songs.itertuples():
        header = sf.info(song.path)
        assert (header.samplerate, header.channels) == (RATE, 1)
        samples = read_audio(song.path)
        assert len(samples) == round(song.seconds * RATE)
        assert samples.std() > 0.02 and abs(samples.mean()) < 1e-3 and abs(samples).max() < 1
    assert sum(path.stat().st_size for path in datasets.SONGS.iterdir()) < 1.5e6
    assert len(list(datasets.SONGS.glob("*.ogg"))) == len(songs)


@pytest.mark.parametrize("change", ["missing", "changed"])
@pytest.mark.parametrize("name", ["vibe_ace.ogg", "songs.csv"])
def test_a_song_that_is_not_as_it_was_installed_is_named(tmp_path, monkeypatch, name, change):
    folder = shutil.copytree(datasets.SONGS, tmp_path / "songs")
    monkeypatch.setattr(datasets, "SONGS", folder)
    assert load_songs()["path"][0].startswith(str(folder))
    (folder / name).unlink()
    if change == "changed":
        shutil.copy(folder / "humpback_whale.ogg", folder / name)
    with pytest.raises(CourseError, match="install the package again") as error:
        load_songs()
    assert name in str(error.value) and "\n" not in str(error.value)
