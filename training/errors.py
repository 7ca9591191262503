"""What can go wrong with what a person gave us: one exception a kind, one sentence a message.

Every message names the value, what would be valid, and the way out, so that a command line or a page can
show it as it is. All of them are `ValueError`s: a caller that does not care which one can catch that.
"""


class UserError(ValueError):
    """The root of the tree: something that the user can put right."""


class PhotoError(UserError):
    """A photo that cannot be decoded, or should not be.

    Attributes:
        kind: what is wrong, in one word, for whoever says it in another language; empty where nobody does.
        values: what the sentence names, by placeholder.
    """

    def __init__(self, sentence: str, kind: str = "", **values: object) -> None:
        super().__init__(sentence)
        self.kind, self.values = kind, values


class DataError(UserError):
    """A data set, manifest or split that cannot be used."""


class RecipeError(UserError):
    """A recipe, or an override of one, that does not describe a possible experiment."""


class CheckpointError(UserError):
    """A run folder or weights file that is missing, half written, or made for something else."""


class ModelFileError(UserError):
    """An ONNX file that is not one of ours, is damaged, or cannot run here."""


class ResultsError(UserError):
    """A file of results that cannot be written, or gone on with."""
