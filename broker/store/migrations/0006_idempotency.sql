-- The first answer to a request with an Idempotency-Key, or the claim of the request that is at work on it.

CREATE TABLE idempotency (
    system     text NOT NULL,
    subject    text NOT NULL,
    key        bytea NOT NULL,
    request    bytea NOT NULL,
    receipt_id uuid NOT NULL,
    status     smallint,
    answer     bytea,
    at         timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (system, subject, key)
);
COMMENT ON COLUMN idempotency.key IS 'its hash: a sender may have put anything into it';
COMMENT ON COLUMN idempotency.request IS 'hash of where it went, its form and its body';
COMMENT ON COLUMN idempotency.status IS 'null while the first request is under way';
CREATE INDEX idempotency_at ON idempotency (at);
