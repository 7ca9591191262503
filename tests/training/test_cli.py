"""Files appear whole or not at all; errors are one sentence."""

import subprocess
import sys

import pytest

from training.cli import EXIT_INTERRUPTED, EXIT_USER_ERROR, run, whole_file, write_text
from training.errors import PhotoError


def test_a_whole_file_replaces_the_old_one_only_at_the_end(tmp_path):
    file = tmp_path / "deep" / "card.json"
    write_text(file, "old")
    with whole_file(file) as temporary:
        temporary.write_text("new")
        assert file.read_text() == "old"
        assert temporary.suffix == ".json"
    assert file.read_text() == "new"


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt, SystemExit])
def test_a_failure_leaves_the_old_file_and_nothing_else(tmp_path, error):
    file = tmp_path / "model.onnx"
    file.write_text("old")

    def fail_midway():
        with whole_file(file) as temporary:
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        fail_midway()
    assert file.read_text() == "old"
    assert list(tmp_path.iterdir()) == [file]


def raiser(error):
    def raise_it():
        raise error

    return raise_it


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (PhotoError("x.jpg is no photo."), EXIT_USER_ERROR, "error: x.jpg is no photo.\n"),
        (
            OSError(28, "No space left on device", "runs/a"),
            EXIT_USER_ERROR,
            "error: runs/a: No space left on device",
        ),
        (KeyboardInterrupt(), EXIT_INTERRUPTED, "interrupted"),
    ],
)
def test_what_a_user_can_cause_is_one_sentence(capsys, error, code, words):
    assert run(raiser(error)) == code
    assert words in capsys.readouterr().err


def test_a_bug_stays_a_bug():
    with pytest.raises(ZeroDivisionError):
        run(raiser(ZeroDivisionError()))


def test_a_reader_who_leaves_is_no_error_of_the_disk():
    script = "import sys; from training.cli import run; sys.exit(run(lambda: print('line\\n' * 100_000)))"
    with subprocess.Popen(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as writer:
        writer.stdout.readline()
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 1
