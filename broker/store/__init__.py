"""PostgreSQL: the schema, its statements, and reading and writing through them."""
