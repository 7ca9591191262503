"""Label maps: what is mapped, what is left alone, and that the report adds up."""

import json
from collections import Counter
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.cli import run
from training.data.datasets.phantom import write_phantom
from training.data.label_map import PAPER, LabelMap, Rules, apply_label_map, read_label_map
from training.data.manifest import Manifest, read_manifest_csv
from training.errors import DataError
from training.label_map import main

LESIONS = ("cyst", "erosion", "macule", "naevus", "ulcer")
SITES = ("arm", "fingers", "hands", "nails")


def manifest_of(rows, **options):
    """A manifest of (lesions, location) pairs."""
    rows = [
        {"path": f"{index}.jpg", "lesions": lesions, "location": location, "group": f"p{index // 2}"}
        for index, (lesions, location) in enumerate(rows)
    ]
    return Manifest.from_rows("set", rows, root=Path("/photos"), **options)


MIXED = (
    ("ulcer;erosion", "nails"),
    ("erosion", "fingers"),
    ("naevus", "arm"),
    ("naevus", "arm"),
    ("naevus;cyst", "hands"),
    ("cyst", ""),
)


@st.composite
def rules(draw, names):
    """Any valid rules: each name is merged into one of two, renamed, dropped, or left."""
    fates = {name: draw(st.sampled_from(["x", "y", "rename", "drop", "leave"])) for name in names}
    merge = {new: tuple(name for name in names if fates[name] == new) for new in ("x", "y")}
    return Rules(
        merge={new: olds for new, olds in merge.items() if olds},
        rename={name: f"new {name}" for name in names if fates[name] == "rename"},
        drop=tuple(name for name in names if fates[name] == "drop"),
        min_photos=draw(st.integers(0, 4)),
    )


manifests = st.lists(
    st.tuples(
        st.lists(st.sampled_from(LESIONS), min_size=1, max_size=3, unique=True), st.sampled_from(["", *SITES])
    ),
    min_size=1,
    max_size=14,
).map(manifest_of)
label_maps = st.builds(LabelMap, lesions=rules(LESIONS), locations=rules(SITES))


def applied(manifest, label_map):
    """The map's result, or None where it refuses the data set."""
    try:
        return apply_label_map(manifest, label_map)
    except DataError:
        return None


@given(manifests, label_maps)
@settings(max_examples=80, deadline=None)
def test_any_map_on_any_manifest(manifest, label_map):
    table_before = manifest.table.copy()
    result = applied(manifest, label_map)
    pd.testing.assert_frame_equal(manifest.table, table_before)
    if result is None:
        return
    mapped, report = result

    def expected(names, rule, after):
        return tuple(name for name in dict.fromkeys(map(rule.target, names)) if name in after)

    kept = []
    for _, row in manifest.table.iterrows():
        lesions = expected(row["lesions"], label_map.lesions, mapped.lesion_labels)
        if lesions:
            site = expected([row["location"]], label_map.locations, mapped.location_labels)
            kept.append((row["path"], row["group"], lesions, "".join(site)))
    columns = ["path", "group", "lesions", "location"]
    assert list(mapped.table[columns].itertuples(index=False, name=None)) == kept

    for changes, rule, occurring in (
        (report.lesions, label_map.lesions, [set(row) for row in mapped.table["lesions"]]),
        (report.locations, label_map.locations, [{name} - {""} for name in mapped.table["location"]]),
    ):
        counts = Counter(name for row in occurring for name in row)
        assert changes.after == {name: counts[name] for name in changes.after}
        assert sum(counts.values()) == sum(changes.after.values())
        assert all(count >= rule.min_photos for count in changes.after.values())
        assert {rule.target(name) for name in changes.before} == set(changes.after) | set(changes.dropped)
        assert not set(changes.after) & set(changes.dropped)
        assert all(gone.named or gone.photos < rule.min_photos for gone in changes.dropped.values())
        for new, olds in changes.merged.items():
            total = changes.after[new] if new in changes.after else changes.dropped[new].photos
            assert total <= sum(olds.values())
    untouched = set(LESIONS) - set(label_map.lesions.names)
    assert all(
        report.lesions.before[name] == n for name, n in report.lesions.after.items() if name in untouched
    )
    assert report.lesions.before == manifest.counts()
    assert report.lesions.after == mapped.counts()
    assert report.photos_before == len(manifest) == len(mapped) + report.photos_removed
    known_before = (manifest.table["location"][manifest.table["path"].isin(mapped.table["path"])] != "").sum()
    assert report.unknown_location == known_before - (mapped.table["location"] != "").sum()
    assert json.loads(json.dumps(report.to_json())) == report.to_json()
    assert all(sentence.endswith(".") for sentence in report.sentences())


@given(manifests, label_maps)
@settings(max_examples=80, deadline=None)
def test_what_is_mapped_twice_is_mapped_once(manifest, label_map):
    once = applied(manifest, label_map)
    twice = once and applied(once[0], label_map)
    if not twice:
        return
    pd.testing.assert_frame_equal(once[0].table, twice[0].table)
    assert once[0].lesion_labels == twice[0].lesion_labels
    assert once[0].location_labels == twice[0].location_labels
    assert twice[1].lesions.before == twice[1].lesions.after


@given(manifests)
@settings(max_examples=30, deadline=None)
def test_an_empty_map_changes_nothing(manifest):
    mapped, report = apply_label_map(manifest, LabelMap())
    pd.testing.assert_frame_equal(mapped.table, manifest.table)
    assert report.lesions.before == report.lesions.after
    assert report.locations.before == report.locations.after
    assert report.sentences() == ["No label changes."]


def test_the_papers_steps_and_their_report():
    label_map = LabelMap(
        lesions=Rules(merge={"erosion/ulcer": ("erosion", "ulcer", "atrophy")}, min_photos=3),
        locations=Rules(merge={"hands": ("nails", "fingers")}, drop=("arm",)),
    )
    manifest = manifest_of(MIXED, synthetic=True, licence="ours")
    mapped, report = apply_label_map(manifest, label_map)
    assert mapped.table["lesions"].tolist() == [("naevus",)] * 3
    assert mapped.table["location"].tolist() == ["", "", "hands"]
    assert (mapped.name, mapped.synthetic, mapped.licence) == ("set", True, "ours")
    assert report.sentences() == [
        "lesion: 'erosion' (2), 'ulcer' (1) merged into 'erosion/ulcer', 2 photos now.",
        "lesion: 'cyst' dropped, 2 photos, fewer than 3.",
        "lesion: 'erosion/ulcer' dropped, 2 photos, fewer than 3.",
        "lesion: 'atrophy' of the label map not found in this data set.",
        "location: 'fingers' (1), 'nails' (1) merged into 'hands', 1 before and 1 photo now.",
        "location: 'arm' dropped, 2 photos, named in drop.",
        "3 photos of 6 had no lesion left and were removed; 3 stay.",
        "2 photos that stay have their location unknown now.",
    ]
    assert report.to_json()["lesions"]["dropped"]["cyst"] == {"photos": 2, "named": False}


def test_the_papers_limit_is_ten_photos():
    manifest = manifest_of([("naevus", "arm")] * 9 + [("naevus;cyst", "leg")] * 10 + [("macule", "leg")] * 9)
    mapped, report = apply_label_map(manifest, PAPER)
    assert mapped.counts() == {"cyst": 10, "naevus": 19}
    assert mapped.location_labels == ("leg",)
    assert report.locations.dropped["arm"].photos == 9
    assert (report.photos_removed, report.unknown_location) == (9, 9)


def test_sites_are_counted_on_photos_that_stay():
    manifest = manifest_of([("naevus", "arm")] * 3 + [("naevus", "leg")] * 2 + [("cyst", "leg")])
    _, report = apply_label_map(manifest, PAPER.with_min_photos(3))
    assert report.locations.before == {"arm": 3, "leg": 3}
    assert report.locations.after == {"arm": 3}


def test_labels_keep_their_order_and_a_new_one_stands_at_its_first():
    order = ("ulcer", "naevus", "erosion", "cyst", "macule")
    label_map = LabelMap(Rules(merge={"wound": ("erosion", "ulcer")}, rename={"cyst": "sac"}))
    mapped, _ = apply_label_map(manifest_of(MIXED, lesion_labels=order), label_map)
    assert mapped.lesion_labels == ("wound", "naevus", "sac", "macule")
    assert mapped.table["lesions"][0] == ("wound",)


@pytest.mark.parametrize(
    ("given_rules", "words"),
    [
        ({"rename": {"a": ""}}, "'' cannot be a label"),
        ({"rename": {"a": "b;c"}}, "'b;c' cannot be a label"),
        ({"merge": {" x": ("a",)}}, "' x' cannot be a label"),
        ({"merge": {"x": ()}}, "no name is merged into 'x'"),
        ({"merge": {"x": ("a", "b"), "y": ("b",)}}, "'b' is merged or renamed twice"),
        ({"merge": {"x": ("a",)}, "rename": {"a": "y"}}, "'a' is merged or renamed twice"),
        ({"merge": {"x": ("a",)}, "rename": {"b": "x"}}, "'x' is made by two rules"),
        ({"rename": {"a": "x", "b": "x"}}, "'x' is made by two rules"),
        ({"merge": {"x": ("a",)}, "drop": ("a",)}, "'a' is both dropped and merged"),
        ({"merge": {"x": ("a",)}, "drop": ("x",)}, "'x' is both dropped and merged"),
        ({"drop": ("a", "a")}, "'a' is named twice in drop"),
        ({"merge": {"x": ("a",)}, "rename": {"x": "y"}}, "'a' becomes 'x', which becomes 'y' in turn"),
        ({"rename": {"a": "b", "b": "a"}}, "which becomes 'a' in turn"),
        ({"min_photos": -1}, "min_photos is -1"),
    ],
)
def test_rules_that_contradict_each_other(given_rules, words):
    with pytest.raises(DataError, match=words):
        Rules(**given_rules)


def test_a_map_file_reads_as_it_is_written(tmp_path):
    path = tmp_path / "labels.toml"
    path.write_text(
        "[lesions]\nmin_photos = 10\n\n[locations]\n"
        'merge = { hands = ["nails", "fingers"] }\nrename = { noze = "nose" }\ndrop = ["other"]\n'
    )
    assert read_label_map(path) == LabelMap(
        lesions=Rules(min_photos=10),
        locations=Rules(merge={"hands": ("nails", "fingers")}, rename={"noze": "nose"}, drop=("other",)),
    )


def test_the_manuals_example_is_a_map(tmp_path):
    manual = (Path(__file__).parents[2] / "docs" / "training.md").read_text(encoding="utf-8")
    (tmp_path / "labels.toml").write_text(manual.split("```toml\n")[1].split("```")[0])
    assert read_label_map(tmp_path / "labels.toml").locations.target("nails") == "hands"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[lesions", "is not TOML"),
        ("min_photos = 3", r"no place for 'min_photos'; valid are the tables \[lesions\] and \[locations\]"),
        ("[sites]", "no place for 'sites'"),
        ("lesions = 3", "no place for 'lesions'"),
        ("[lesions]\nkeep = 3", r"\[lesions\] has no key 'keep'; valid are merge, rename, drop, min_photos"),
        ('[lesions]\nmin_photos = "3"', "min_photos is '3'; write it as a whole number"),
        ("[lesions]\nmin_photos = true", "min_photos is True; write it as a whole number"),
        ('[lesions]\ndrop = "other"', "drop is 'other'; write it as a list of names"),
        ('[lesions]\nmerge = { x = "a" }', "merge is .*; write it as a table"),
        ("[lesions]\nmerge = { x = [1] }", "merge is .*; write it as a table"),
        ("[lesions]\nrename = { a = 1 }", "rename is .*; write it as a table"),
        ('[locations]\ndrop = ["a", "a"]', r"labels.toml, \[locations\]: 'a' is named twice"),
    ],
)
def test_a_map_file_that_is_none(tmp_path, text, words):
    path = tmp_path / "labels.toml"
    path.write_text(text)
    with pytest.raises(DataError, match=words):
        read_label_map(path)


def test_a_map_file_that_is_not_there_or_not_text(tmp_path):
    with pytest.raises(DataError, match="is not there"):
        read_label_map(tmp_path / "labels.toml")
    (tmp_path / "labels.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match="is not TOML in UTF-8"):
        read_label_map(tmp_path / "labels.toml")


@pytest.mark.parametrize(
    ("label_map", "words"),
    [
        (LabelMap(Rules(drop=("wart",))), r"none of the label map's names \(wart\) is a label of set"),
        (LabelMap(Rules(rename={"cyst": "naevus"})), "'cyst' cannot be renamed 'naevus', which set has"),
        (LabelMap(Rules(min_photos=99)), r"no photo of set keeps a lesion .* lower min_photos \(99\)"),
    ],
)
def test_maps_that_a_data_set_refuses(label_map, words):
    with pytest.raises(DataError, match=words):
        apply_label_map(manifest_of(MIXED), label_map)


def write_mixed(folder: Path) -> Path:
    folder.mkdir()
    manifest_of(MIXED).write_csv(folder / "photos.csv")
    return folder / "photos.csv"


def test_the_command_writes_a_new_manifest_and_prints_both_counts(tmp_path, capsys):
    data = write_mixed(tmp_path / "set")
    (tmp_path / "labels.toml").write_text(
        '[locations]\nmerge = { hands = ["nails", "fingers"] }\nmin_photos = 3\n'
    )
    out = tmp_path / "new" / "manifest.csv"
    arguments = ["--data", str(data), "--map", str(tmp_path / "labels.toml"), "--out", str(out)]
    assert run(lambda: main(arguments)) == 0
    printed = capsys.readouterr().out
    assert "  hands            1        3\n" in printed
    assert "  arm              2        -\n" in printed
    mapped = read_manifest_csv(out)
    assert mapped.table["location"].tolist() == ["hands", "hands", "", "", "hands", ""]
    assert mapped.table["path"].tolist() == [f"/photos/{index}.jpg" for index in range(6)]
    assert run(lambda: main(arguments)) == 2
    assert "is there already" in capsys.readouterr().err


def test_the_command_without_out_only_says_what_would_be(tmp_path, capsys):
    data = write_mixed(tmp_path / "set")
    before = data.read_bytes()
    assert run(lambda: main(["--data", str(data), "--min-photos", "3"])) == 0
    printed = capsys.readouterr().out
    assert "lesion: 'cyst' dropped, 2 photos, fewer than 3." in printed
    assert "nothing is written" in printed
    assert data.read_bytes() == before
    assert list(data.parent.iterdir()) == [data]
    assert run(lambda: main(["--data", str(data)])) == 2
    assert r"lower min_photos (10)" in capsys.readouterr().err


def test_min_photos_takes_the_place_of_the_maps_own(tmp_path, capsys):
    data = write_mixed(tmp_path / "set")
    (tmp_path / "labels.toml").write_text("[lesions]\nmin_photos = 99\n")
    arguments = ["--data", str(data), "--map", str(tmp_path / "labels.toml"), "--min-photos", "0"]
    assert run(lambda: main(arguments)) == 0
    assert "No label changes." in capsys.readouterr().out


def test_the_command_never_changes_what_it_reads(tmp_path, capsys):
    data = write_mixed(tmp_path / "set")
    before = data.read_bytes()
    assert run(lambda: main(["--data", str(data), "--min-photos", "3", "--out", str(data)])) == 2
    assert data.read_bytes() == before
    for label in ("cyst", "naevus"):
        (tmp_path / "folders" / label).mkdir(parents=True)
        (tmp_path / "folders" / label / "1.jpg").write_bytes(b"a photo")
    folders = tmp_path / "folders"
    arguments = ["--data", str(folders), "--min-photos", "1", "--out", str(folders / "manifest.csv")]
    assert run(lambda: main(arguments)) == 2
    assert "would change what --data" in capsys.readouterr().err
    assert not (folders / "manifest.csv").exists()


def test_a_manifest_written_elsewhere_finds_its_photos(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    manifest = Manifest.from_rows("set", [{"path": "1.jpg", "lesions": "cyst"}], root=Path("photos"))
    manifest.write_csv(Path("new/manifest.csv"))
    assert read_manifest_csv("new/manifest.csv").table["path"].tolist() == [str(tmp_path / "photos/1.jpg")]
    manifest.write_csv(Path("manifest.csv"))
    assert "photos/1.jpg,cyst" in Path("manifest.csv").read_text().splitlines()[1]
    assert str(tmp_path) + "/photos/1.jpg,cyst" not in Path("manifest.csv").read_text()


def test_a_phantom_stays_synthetic_wherever_its_table_goes(tmp_path):
    phantom = write_phantom(tmp_path / "phantom", n_photos=10, size=64, progress=False)
    mapped, _ = apply_label_map(phantom, LabelMap().with_min_photos(1))
    mapped.write_csv(tmp_path / "new" / "manifest.csv")
    again = read_manifest_csv(tmp_path / "new" / "manifest.csv")
    assert again.synthetic
    assert again.table["path"].tolist() == phantom.table["path"].tolist()
    table = pd.read_csv(tmp_path / "new" / "manifest.csv", dtype=str, keep_default_na=False)
    table.loc[0, "source"] = "clinic"
    table.to_csv(tmp_path / "mixed.csv", index=False)
    assert not read_manifest_csv(tmp_path / "mixed.csv").synthetic
