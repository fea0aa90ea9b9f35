"""Nothing is kept longer than was promised, and nothing shorter."""

import uuid

from broker.store.database import connect, migrate
from broker.store.outbox import expire


def test_rejected_bytes_and_receipts_go_after_thirty_days_and_the_rest_of_rejections_and_outcomes_after_thirty_five(
    database: str,
) -> None:
    migrate(database)
    with connect(database, "test") as connection:
        for days in (29, 31, 36):
            ago = f"{days} days"
            connection.execute(
                "INSERT INTO rejection (rejection_id, authority, system, code, pointer, detail, payload, at)"
                " VALUES (%s, 'a', 's', 'kle_unknown', '', '', 'x', clock_timestamp() - %s::interval)",
                [uuid.uuid4(), ago],
            )
            connection.execute(
                "INSERT INTO receipt VALUES (%s, 's', 'me', clock_timestamp() - %s::interval, '[]')",
                [uuid.uuid4(), ago],
            )
            connection.execute(
                "INSERT INTO outcome VALUES ('t', 0, %s, 9, 'x', clock_timestamp() - %s::interval)", [days, ago]
            )
        assert expire(connection) == (2, 2, 1)
        assert expire(connection) == (0, 0, 0)
        kept = connection.execute(
            "SELECT (SELECT count(*) FROM rejection), (SELECT count(payload) FROM rejection),"
            " (SELECT count(*) FROM receipt), (SELECT count(*) FROM outcome)"
        ).fetchone()
        assert kept == (3, 1, 1, 2)
        connection.execute("UPDATE rejection SET published_at = now() WHERE at < now() - interval '30 days'")
        expire(connection)
        left = connection.execute("SELECT extract(day FROM now() - at)::int FROM rejection ORDER BY 1").fetchall()
        assert left == [(29,), (31,)]
