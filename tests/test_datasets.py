"""Loading tracks: the demo, every form that GTZAN is found in, and data that are broken."""

import shutil
import tarfile
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile as sf

from gtzan_helpers.cache import cache_folder
from gtzan_helpers.datasets import describe_source, load_tracks
from gtzan_helpers.errors import CourseError
from gtzan_helpers.lists import GENRES, read_index

RATE = 22050
COLUMNS = [
    *("track_id", "genre", "artist", "path", "seconds", "sample_rate", "problem"),
    *("recording", "source"),
]
INDEX = (
    "## an index in Sturm's form\r\n"
    "\r\n"
    "blues.00000.wav ::: Etta Example ::: Some Song\r\n"
    "blues.00001.wav ::: ::: \r\n"
    "jazz.00000.wav ::: Näyte Trio :::\r\n"
)


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch):
    monkeypatch.setenv("GTZAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def write_track(path, seconds=1.0):
    path.parent.mkdir(parents=True, exist_ok=True)
    sf.write(path, np.random.default_rng(0).uniform(-0.5, 0.5, round(seconds * RATE)), RATE)


def write_gtzan(root, kind="wav", strays=True):
    """Two genres of two tracks each, and what lies beside them in the wild."""
    for name in ("blues.00000", "blues.00001", "jazz.00000", "jazz.00001"):
        write_track(root / name.split(".")[0] / f"{name}.{kind}")
    if strays:
        (root / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (root / "blues" / "._blues.00000.wav").write_bytes(b"\0\5\26\7")
        (root / "bextract_single.mf").write_text("/genres/blues/blues.00000.au blues\n")
        (root / "README.md").write_text("# GTZAN\n")
        (root / "__MACOSX" / "blues").mkdir(parents=True)
        (root / "__MACOSX" / "blues" / "._blues.00000.wav").write_bytes(b"\0\5\26\7")
        (root / "images_original" / "blues").mkdir(parents=True)
        (root / "images_original" / "blues" / "blues00000.png").write_bytes(b"\x89PNG")
        for place in (root, root / "blues"):
            (place / "features_30_sec.csv").write_text("filename,length\nblues.00000.wav,661794\n")
            (place / "Thumbs.db").write_bytes(b"\xd0\xcf\x11\xe0")
        (root / "blues" / "README.md").write_text("# blues\n")
        (root / "blues" / "cover.jpg").write_bytes(b"\xff\xd8\xff")
        (root / "jazz" / ".DS_Store").write_bytes(b"\0\0\0\1Bud1")
        (root / "jazz" / "bextract_single.mf").write_text("/genres/jazz/jazz.00000.au jazz\n")


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
    assert sorted(set(tracks["genre"])) == list(GENRES)
    assert 100 <= len(tracks) <= 120
    assert tracks["track_id"].is_unique
    assert tracks["track_id"].is_monotonic_increasing
    assert (tracks["artist"] != "").all()
    assert tracks.groupby("genre")["artist"].nunique().min() >= 5


@pytest.mark.parametrize("kind", ["wav", "au", "flac", "mp3", "ogg"])
@pytest.mark.parametrize(
    "form",
    ["", "genres", "genres_original", "Data/genres_original", "archive/Data/genres_original"],
)
def test_every_form_in_the_wild_is_read(tmp_path, form, kind):
    write_gtzan(tmp_path / form, kind)
    check_gtzan(load_tracks(tmp_path))


def test_images_and_tables_beside_the_genres_are_let_be(tmp_path):
    write_gtzan(tmp_path / "Data" / "genres_original")
    for genre in ("blues", "jazz", "rock"):
        images = tmp_path / "Data" / "images_original" / genre
        images.mkdir(parents=True)
        (images / f"{genre}00000.png").write_bytes(b"\x89PNG")
    (tmp_path / "Data" / "features_3_sec.csv").write_text("filename\n")
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
    write_track(tmp_path / "Drum & Bass" / "01 – Café.flac")
    write_track(tmp_path / "polka" / "b.wav")
    write_track(tmp_path / "polka" / "a.song.ogg")
    write_track(tmp_path / "polka" / "metal.00000.wav")
    write_track(tmp_path / "waltz" / "b.wav")
    tracks = load_tracks(tmp_path)
    assert list(tracks["track_id"]) == [
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
    check_gtzan(load_tracks(tmp_path / "here"))


def test_the_environment_chooses_the_source(tmp_path, monkeypatch):
    write_gtzan(tmp_path)
    monkeypatch.setenv("GTZAN_DATA", str(tmp_path))
    check_gtzan(load_tracks())
    assert set(load_tracks("demo")["source"]) == {"demo"}
    monkeypatch.setenv("GTZAN_DATA", "")
    assert set(load_tracks()["source"]) == {"demo"}


def test_broken_files_are_listed_with_their_problem(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "jazz" / "jazz.00054.wav").write_text("not audio")
    (tmp_path / "jazz" / "jazz.00055.wav").touch()
    tracks = load_tracks(tmp_path).set_index("track_id")
    assert tracks.loc["jazz.00054", "problem"] == "not a readable WAV file (no RIFF header)"
    assert tracks.loc["jazz.00055", "problem"] == "the file is empty (0 bytes)"
    assert np.isnan(tracks.loc["jazz.00054", "seconds"])
    assert (tracks["problem"] != "").sum() == 2


def test_a_path_that_is_not_there_is_named(tmp_path, monkeypatch):
    missing = tmp_path / "nowhere"
    with pytest.raises(CourseError, match="nowhere does not exist: give 'demo'") as error:
        load_tracks(missing)
    assert "GTZAN_DATA" not in str(error.value)
    monkeypatch.setenv("GTZAN_DATA", str(missing))
    with pytest.raises(CourseError, match=r"\(GTZAN_DATA is set to .*nowhere\)"):
        load_tracks()


def test_a_folder_without_audio_is_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("no music")
    with pytest.raises(CourseError, match="holds no audio files: point to a folder"):
        load_tracks(tmp_path)


def test_tracks_outside_genre_folders_are_refused(tmp_path):
    write_track(tmp_path / "blues.00000.wav")
    with pytest.raises(CourseError, match=r"holds blues\.00000\.wav outside any genre folder"):
        load_tracks(tmp_path)


def test_genres_in_two_places_are_refused(tmp_path):
    write_gtzan(tmp_path / "genres")
    write_gtzan(tmp_path / "genres_original")
    with pytest.raises(CourseError, match="more than one place"):
        load_tracks(tmp_path)


@pytest.mark.parametrize("content", [None, "._rock.00000.wav", "rock.00000.png"])
def test_an_empty_genre_folder_is_named(tmp_path, content):
    write_gtzan(tmp_path)
    (tmp_path / "rock").mkdir()
    if content:
        (tmp_path / "rock" / content).write_bytes(b"?")
    with pytest.warns(UserWarning, match=r"the genre folder .*rock holds no audio files"):
        check_gtzan(load_tracks(tmp_path))


def test_one_track_in_two_files_is_refused(tmp_path):
    write_gtzan(tmp_path)
    write_track(tmp_path / "jazz" / "jazz.00001.au")
    with pytest.raises(CourseError, match=r"are both track jazz\.00001: keep one"):
        load_tracks(tmp_path)


def test_a_file_that_is_no_archive_is_refused(tmp_path):
    write_track(tmp_path / "song.wav")
    with pytest.raises(CourseError, match="neither a folder nor a tar or zip archive"):
        load_tracks(tmp_path / "song.wav")


def test_an_index_among_the_tracks_gives_the_artists(tmp_path):
    write_gtzan(tmp_path / "genres")
    (tmp_path / "index.txt").write_text(INDEX, encoding="utf-8", newline="")
    artists = load_tracks(tmp_path)["artist"]
    assert list(artists) == ["Etta Example", "", "Näyte Trio", ""]


def test_a_track_that_the_index_does_not_list_has_no_artist(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "index.txt").write_text("blues.00001.wav ::: Etta Example ::: Song\n")
    assert list(load_tracks(tmp_path)["artist"]) == ["", "Etta Example", "", ""]


def test_an_index_elsewhere_can_be_given(tmp_path):
    write_gtzan(tmp_path / "tracks")
    (tmp_path / "mine.txt").write_text(INDEX, encoding="utf-8")
    assert load_tracks(tmp_path / "tracks", index=tmp_path / "mine.txt")["artist"][0] != ""
    assert (load_tracks(tmp_path / "tracks")["artist"] == "").all()


def test_a_fetched_index_serves_every_copy_of_gtzan(tmp_path):
    (cache_folder() / "sturm").mkdir()
    (cache_folder() / "sturm" / "index.txt").write_text(INDEX, encoding="utf-8")
    write_gtzan(tmp_path / "gtzan")
    assert load_tracks(tmp_path / "gtzan")["artist"][0] == "Etta Example"
    write_track(tmp_path / "own" / "polka" / "a.wav")
    assert load_tracks(tmp_path / "own")["artist"][0] == ""
    assert "Etta Example" not in set(load_tracks("demo")["artist"])


def test_artists_of_own_tracks_come_from_a_table_or_index(tmp_path):
    write_track(tmp_path / "polka" / "a.wav")
    (tmp_path / "index.txt").write_text("polka/a.wav ::: Die Beispiele ::: A\n")
    assert load_tracks(tmp_path)["artist"][0] == "Die Beispiele"
    (tmp_path / "tracks.csv").write_text("track_id,artist\npolka/a,NA\n")
    assert load_tracks(tmp_path)["artist"][0] == "NA"


def test_a_table_without_artists_is_refused(tmp_path):
    write_gtzan(tmp_path)
    (tmp_path / "tracks.csv").write_text("id,name\n1,a\n")
    with pytest.raises(CourseError, match="needs the columns track_id and artist"):
        load_tracks(tmp_path)


def test_an_index_is_read_with_its_gaps(tmp_path):
    (tmp_path / "index.txt").write_text(INDEX, encoding="utf-8", newline="")
    expected = pd.DataFrame(
        [
            ("blues.00000", "Etta Example", "Some Song"),
            ("blues.00001", "", ""),
            ("jazz.00000", "Näyte Trio", ""),
        ],
        columns=["track_id", "artist", "title"],
    )
    pd.testing.assert_frame_equal(read_index(tmp_path / "index.txt"), expected)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_an_index_may_come_from_any_system(tmp_path, end, encoding):
    lines = ["jazz.00000.wav ::: Näyte Trio ::: One", "jazz.00001.wav ::: Other ::: Two"]
    text = "".join(line + end for line in lines)
    (tmp_path / "index.txt").write_text(text, encoding=encoding, newline="")
    index = read_index(tmp_path / "index.txt")
    assert list(index["track_id"]) == ["jazz.00000", "jazz.00001"]
    assert list(index["artist"]) == ["Näyte Trio", "Other"]
    assert list(index["title"]) == ["One", "Two"]


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("blues.00002.wav ::: Artist", "line 6 .* is not 'file ::: artist ::: title'"),
        ("blues.00002.wav, Artist, Title", "line 6 .* is not 'file ::: artist ::: title'"),
        (" ::: Artist ::: Title", "line 6 .* is not 'file ::: artist ::: title'"),
        ("blues.00000.wav ::: Other ::: Song", r"line 6 .* repeats blues\.00000"),
        ("blues.00000.wav ::: Etta Example ::: Some Song", r"line 6 .* repeats blues\.00000"),
    ],
)
def test_a_malformed_line_of_an_index_is_named(tmp_path, line, message):
    (tmp_path / "index.txt").write_text(INDEX + line + "\n", encoding="utf-8")
    with pytest.raises(CourseError, match=message):
        read_index(tmp_path / "index.txt")


@pytest.mark.parametrize("content", [b"", b"## only comments\n", b"\xff\xfe\x00\xd8"])
def test_a_file_that_is_no_index_is_refused(tmp_path, content):
    (tmp_path / "index.txt").write_bytes(content)
    with pytest.raises(CourseError, match=r"lists no tracks|cannot be read"):
        read_index(tmp_path / "index.txt")
    with pytest.raises(CourseError, match="cannot be read"):
        read_index(tmp_path / "other.txt")


def test_a_description_counts_tracks_and_genres(tmp_path):
    write_gtzan(tmp_path)
    shutil.copy(tmp_path / "README.md", tmp_path / "jazz" / "jazz.00002.wav")
    text = describe_source(load_tracks(tmp_path))
    assert text.startswith("folder: 4 usable tracks of 5, 2 genres (blues, jazz), 1 s each. ")
    write_track(tmp_path / "jazz" / "jazz.00003.wav", seconds=3)
    assert "1 to 3 s each" in describe_source(load_tracks(tmp_path))


def test_the_description_of_the_demo_warns_of_its_scores():
    text = describe_source(load_tracks("demo"))
    assert text.startswith("demo: ")
    assert f"10 genres ({', '.join(GENRES)}), 10 s each" in text
    assert "nothing about real music" in text


def test_a_description_of_nothing_readable_says_so(tmp_path):
    (tmp_path / "jazz").mkdir()
    (tmp_path / "jazz" / "a.wav").write_text("no audio")
    assert describe_source(load_tracks(tmp_path)) == "folder: none of 1 tracks can be read."


def test_sturms_index_is_read_whole(real_data):
    index = read_index(real_data / "sturm" / "index.txt")
    assert len(index) == 1000
    assert (index["artist"] == "").sum() == 17
    known = index[index["artist"] != ""]
    assert known["artist"].nunique() == 271
    assert (index["artist"] == "Bob Marley").sum() == 35
    assert (index["artist"] == "Britney Spears").sum() == 24


def test_real_tracks_get_their_artists(real_data):
    tracks = load_tracks(real_data / "gtzan_dev", index=real_data / "sturm" / "index.txt")
    assert len(tracks) == 50
    assert (tracks["problem"] == "").all()
    artists = tracks.set_index("track_id")["artist"]
    assert artists["blues.00000"] == "John Lee Hooker"
    assert tracks["seconds"].between(29.9, 30.7).all()
