-- What sources call the cases whose entries have another number; one table for each session, empty after every commit.
CREATE TEMPORARY TABLE IF NOT EXISTS source_number (case_id uuid NOT NULL, kle text COLLATE "C") ON COMMIT DELETE ROWS
