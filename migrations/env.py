"""How Alembic reaches the database: through the connection of `etl.store.schema`, or by its own URL."""

from __future__ import annotations

from alembic import context

from etl.dialect import open_database
from etl.tables import metadata

config = context.config

for table in metadata.tables.values():
    for (
        index
    ) in table.indexes:  # to name a dialect's option loads that dialect, so not in etl.tables
        if (where := index.info.get("where")) is not None:
            index.dialect_kwargs.update({"sqlite_where": where, "postgresql_where": where})


def run(connection) -> None:  # type: ignore[no-untyped-def]
    context.configure(
        connection=connection,
        target_metadata=metadata,
        compare_type=True,
        render_as_batch=connection.dialect.name == "sqlite",
    )
    with context.begin_transaction():
        context.run_migrations()


if (given := config.attributes.get("connection")) is not None:
    run(given)
else:
    from etl.app import configured_url

    with open_database(
        config.get_main_option("sqlalchemy.url") or configured_url()
    ).writing() as own:
        run(own)
