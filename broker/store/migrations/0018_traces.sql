-- One event traced: the trace it came with, when its request came, and found again by its id.

ALTER TABLE receipt ADD COLUMN received_at timestamptz, ADD COLUMN trace_id uuid;
ALTER TABLE rejection ADD COLUMN trace_id uuid;
COMMENT ON COLUMN receipt.received_at IS 'when the request was judged; `at` is when its receipt was written, after Kafka had acknowledged';
COMMENT ON COLUMN rejection.trace_id IS 'the W3C trace that the event came with; NULL: none';
CREATE INDEX rejection_event ON rejection (event_id) WHERE event_id IS NOT NULL;
