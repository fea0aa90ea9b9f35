"""What an embedded part says when it cannot do its duty: a sentence for the person at the keyboard."""


class EmbeddedError(Exception):
    """The message says what is wrong and what to do about it."""
