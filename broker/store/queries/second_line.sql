-- Read as the role that sees only what these settings say, until the transaction ends.
SELECT set_config('role', 'sagsbro_reader', true), set_config('sagsbro.authorities', %(authorities)s::text, true),
    set_config('sagsbro.persons', %(persons)s::text, true), set_config('sagsbro.parties', %(parties)s::text, true)
