-- What each instance cost on each day of the reporting time zone: surely at least `cost_min_microcny`,
-- by the best estimate `cost_microcny`, at most `cost_max_microcny` millionths of a yuan, as far as
-- prices are known: `unpriced_s` seconds are charged at a price that nobody knows, and are in none of
-- the amounts; all of them are null where no price of the day is known. An instance that was allocated
-- anew within the day has a row for each project. Closed months are as they were closed.
-- @column account the account's name
-- @column title the user's name for it, as of now; of a closed month, as of its closing
-- @column price_source override, learned, list, list_assumed (before the first known list price, or after the last), unknown, or mixed
-- @column settled settled, partly or estimated, by how far the bill reaches
-- @column is_closed 1 where the month is closed
-- @column charged_s seconds charged, estimate
-- @column unpriced_s of them, seconds without a known price
-- @column unpriced_max_s the same, at most
-- @column cost_microcny estimate; null: no price is known
-- @column cost_yuan the same in yuan
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column list_cost_microcny at list prices; null: not known
SELECT
    account,
    day,
    instance_uuid,
    title,
    project,
    owner,
    cost_centre,
    CAST(SUM(charged_s) AS BIGINT) AS charged_s,
    CAST(SUM(cost_microcny) AS BIGINT) AS cost_microcny,
    CAST(SUM(cost_min_microcny) AS BIGINT) AS cost_min_microcny,
    CAST(SUM(cost_max_microcny) AS BIGINT) AS cost_max_microcny,
    CAST(SUM(cost_microcny) AS BIGINT) / 1000000.0 AS cost_yuan,
    CAST(SUM(list_cost_microcny) AS BIGINT) AS list_cost_microcny,
    CAST(SUM(unpriced_s) AS BIGINT) AS unpriced_s,
    CAST(SUM(unpriced_max_s) AS BIGINT) AS unpriced_max_s,
    CASE
        WHEN MIN(CASE WHEN used_s > 0 THEN price_source END) = MAX(CASE WHEN used_s > 0 THEN price_source END)
        THEN MIN(CASE WHEN used_s > 0 THEN price_source END)
        WHEN MAX(used_s) = 0 AND MIN(price_source) = MAX(price_source) THEN MIN(price_source)
        ELSE 'mixed'
    END AS price_source,
    CASE
        WHEN MIN(CASE WHEN used_s > 0 THEN settled END) = MAX(CASE WHEN used_s > 0 THEN settled END)
        THEN MIN(CASE WHEN used_s > 0 THEN settled END)
        WHEN MAX(used_s) = 0 AND MIN(settled) = MAX(settled) THEN MIN(settled)
        ELSE 'partly'
    END AS settled,
    MAX(is_closed) AS is_closed
FROM cost_line
GROUP BY account, day, instance_uuid, title, project, owner, cost_centre
