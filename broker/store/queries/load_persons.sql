-- The time, and all that is registered of the persons behind some numbers; of consents only those for an effort, if one is named.
SELECT clock_timestamp(), registered_persons(%(numbers)s::text[], %(effort_id)s::text)
