"""Everything that the capture page says, by language: one file a language, addressed by dotted keys.

    words = words_in(choose_language("ja", "en-GB"))
    words("error.too_many_bytes", name="lesion.jpg", megabytes=21, limit=20)

A file here, named by its BCP 47 tag (`en.json`, `ja.json`), is a language; `tests/capture_app/test_words.py` holds
it to the same keys and placeholders as English. The labels of lesions are the model card's and stay as they are.
Torch-free.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, reduce
from pathlib import Path
from typing import Any

from training.errors import PhotoError

HERE = Path(__file__).parent
FALLBACK = "en"


@dataclass(frozen=True, eq=False)
class Words:
    """One language's sentences."""

    language: str
    """A BCP 47 tag, as the attribute `lang` takes it."""
    tree: Mapping[str, Any]
    """As in the file: by part, in as many levels as it has."""
    sentences: Mapping[str, str]
    """By dotted key."""

    def __call__(self, key: str, **values: object) -> str:
        """The sentence, its placeholders filled.

        Raises:
            KeyError: there is no such sentence, or it needs a value that is not given.
        """
        return self.sentences[key].format(**values) if values else self.sentences[key]

    def advice(self, code: str, towards: str | None = None) -> str:
        """What to do about a finding, or what is good about it.

        Args:
            code: `Finding.code`.
            towards: `Finding.towards`; faults of another kind than of place take no notice of it.
        """
        key = f"advice.{code}"
        return self(key) if key in self.sentences else self(f"{key}.{towards or 'none'}")

    def in_a_row(self, *sentences: str) -> str:
        """Sentences one after another, as the language sets them; empty ones are left out."""
        said = [sentence for sentence in sentences if sentence]
        return (
            reduce(lambda one, another: self("language.two", one=one, another=another), said) if said else ""
        )

    def of_error(self, error: PhotoError) -> str:
        """What is wrong with a photo; in English where no language has words for it."""
        key = f"error.{error.kind}"
        return self(key, **error.values) if key in self.sentences else str(error)


def languages() -> tuple[str, ...]:
    """The tags of all languages, English first."""
    found = sorted(path.stem for path in HERE.glob("*.json"))
    return (FALLBACK, *(tag for tag in found if tag != FALLBACK))


@cache
def words_in(language: str) -> Words:
    """The sentences of a language.

    Args:
        language: one of `languages()`.
    """
    tree: dict[str, Any] = json.loads((HERE / f"{language}.json").read_text(encoding="utf-8"))
    return Words(language, tree, dict(_flat(tree)))


def choose_language(*wanted: str | None) -> str:
    """The first wanted language that there is, `de-AT` being had by `de` too; else English.

    Args:
        wanted: BCP 47 tags, the most wanted first; None where nothing is known.
    """
    there = {tag.lower(): tag for tag in languages()}
    for tag in wanted:
        parts = (tag or "").lower().replace("_", "-").split("-")
        for count in range(len(parts), 0, -1):
            if (found := there.get("-".join(parts[:count]))) is not None:
                return found
    return FALLBACK


def _flat(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    for name, below in tree.items():
        if isinstance(below, str):
            yield above + name, below
        else:
            yield from _flat(below, f"{above}{name}.")
