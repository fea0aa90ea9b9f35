-- Which policy was in force when: a past moment is judged by the one of then.

CREATE TABLE policy_history (
    since    timestamptz PRIMARY KEY DEFAULT clock_timestamp(),
    document text NOT NULL
);
COMMENT ON TABLE policy_history IS 'each policy from when on a running instance has had it; nothing is known of before the first';
