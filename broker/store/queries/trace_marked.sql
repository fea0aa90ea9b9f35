-- Since when an entry waits to be published.
SELECT since FROM dirty WHERE authority = %(authority)s AND system = %(system)s AND case_id = %(case_id)s::uuid
