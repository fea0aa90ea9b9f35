"""Asking a Confluent-compatible registry for a schema by its id."""

import httpx

TIMEOUT_S = 3.0
NOT_FOUND = 404
NO_SUCH_SCHEMA = 40403


class RegistryUnreachable(Exception):  # noqa: N818 - named for what the operator sees
    """The registry gave no answer that settles anything."""


class Registry:
    """`base` is the registry's URL, such as http://host:port/registry."""

    def __init__(self, base: str) -> None:
        self._client = httpx.Client(timeout=TIMEOUT_S)
        self._base = base.rstrip("/")

    def schema(self, schema_id: int) -> str | None:
        """The schema's text, None when the registry says that there is none. Raises RegistryUnreachable."""
        try:
            answer = self._client.get(f"{self._base}/schemas/ids/{schema_id}")
        except httpx.HTTPError as error:
            raise RegistryUnreachable(type(error).__name__) from None
        try:
            body = answer.json()
            if answer.status_code == NOT_FOUND and body["error_code"] == NO_SUCH_SCHEMA:
                return None
            return str(body["schema"])
        except (ValueError, KeyError, TypeError):
            # A proxy's own 404 settles nothing: only the registry can say that a schema does not exist.
            raise RegistryUnreachable(f"status {answer.status_code} without a schema") from None

    def close(self) -> None:
        """Let go of the connections."""
        self._client.close()
