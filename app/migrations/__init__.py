"""Numbered migration scripts, applied in order by `app.database.migrate`."""
