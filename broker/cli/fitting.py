"""A process of a release that does not fit the database's schema does not start."""

import sys

import psycopg

from broker.logs import tell
from broker.settings import Settings
from broker.store.database import unfit

NEEDS_OPERATOR = 3


def check_schema(settings: Settings) -> None:
    """Ends the process with a word why. A database that is away is waited for elsewhere."""
    try:
        why = unfit(settings.dsn)
    except psycopg.OperationalError as error:
        # Nothing was read, so nothing of anybody can be in it: it says what TLS or the server has against us.
        tell("database_unreachable", error=type(error).__name__, because=str(error).strip())
        return
    if why is not None:
        tell("schema_refused", detail=why)
        sys.exit(NEEDS_OPERATOR)
