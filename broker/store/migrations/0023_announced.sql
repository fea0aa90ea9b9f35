-- How many entries stand on numbers that the KLE edition in force announces as retired.

ALTER TABLE coverage_part ADD COLUMN announced_retired bigint NOT NULL DEFAULT 0;
ALTER TABLE coverage_entry ADD COLUMN announced_retired bigint NOT NULL DEFAULT 0;
COMMENT ON COLUMN coverage_part.announced_retired IS 'on a number that the edition in force announces to be gone: by its title, or from a day that lies ahead';
