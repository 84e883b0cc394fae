"""What was acknowledged, on disk: SQLite behind the `Store` that the orders ask for.

`tables` holds the schema as migrations, applied forward at start and never edited once released; `sqlite` the rows
as JSON beside the few columns that are searched, `lately` those written last, which are read most. One file per
operator, owned by one process.
"""
