"""What every command line of the house shares: errors as one sentence, exit codes, whole files.

sys.exit(run(main))
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from training.errors import UserError

EXIT_OK = 0
EXIT_FAILED = 1
"""The command ran and something in its input was left out, or a check was missed."""
EXIT_USER_ERROR = 2
EXIT_INTERRUPTED = 130


def run(main: Callable[[], int | None]) -> int:
    """Call `main` and turn what the user can put right into one sentence on standard error.

    Args:
        main: the command; returns its exit code, None meaning 0.

    Returns:
        The exit code: `main`'s own, 2 after a `UserError` or an error of the file system, 130 after Ctrl-C, 1 when
        who was reading the output left.
    """
    try:
        return main() or EXIT_OK
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
    except BrokenPipeError:
        # Who was reading has left (`| head`): no fault of the file system, and nobody is left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        print(f"error: {where}{error.strerror or error}; check the path, its permissions and the disk's "
              "free space, then run the command again.", file=sys.stderr)  # fmt: skip
    except KeyboardInterrupt:
        print("\ninterrupted; what was finished is kept.", file=sys.stderr)
        return EXIT_INTERRUPTED
    return EXIT_USER_ERROR


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path beside `path`; move it there only if the block ends well.

    A reader sees the old file or the new one, never half of one; a failure leaves the old one alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.", suffix=path.suffix)
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8, whole or not at all."""
    with whole_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
