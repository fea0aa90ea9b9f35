"""When the broker says no."""

import httpx


class RefusedError(Exception):
    """The broker said no. `code` is one of the documented ones; `again` says that the same may work later."""

    def __init__(self, status: int, code: str) -> None:
        """Carries nothing of the request."""
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code

    @property
    def again(self) -> bool:
        """Whether to try again after a while."""
        return self.status == httpx.codes.SERVICE_UNAVAILABLE


def code_of(answer: httpx.Response) -> str:
    """The documented code of a refusal; `error` where there is none."""
    try:
        return str(answer.json()["code"])
    except (ValueError, KeyError, TypeError):
        return "error"
