-- Cost of each instance by day of the reporting time zone: surely at least `cost_min_microcny`,
-- by the best estimate `cost_microcny`, at most `cost_max_microcny` millionths of a yuan, as far as
-- prices are known: `unpriced_s` seconds are charged at a price that nobody knows, and are in none of
-- the amounts; all of them are null if no price of the day is known. An instance that was allocated
-- anew within the day, or got other tags, has a row for each, and their bounds
-- hold the time in which a rename was not seen yet. Closed months are as they were closed.
-- @column account the account's name
-- @column title the user's name for it, as of now; of a closed month, as of its closing
-- @column price_source override, learned, list, list_assumed (before the first known list price, or after the last), unknown, or mixed
-- @column settled settled, partly or estimated, by how far the bill reaches
-- @column is_closed whether the month is closed
-- @column charged_s seconds charged, estimate
-- @column unpriced_s of them, seconds without a known price
-- @column unpriced_max_s seconds without a known price, at most
-- @column cost_microcny estimate; null: no price is known
-- @column cost_yuan estimate, yuan; null: no price is known
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column cost_min_yuan at least, yuan
-- @column cost_max_yuan at most, yuan
-- @column list_cost_yuan at list prices, yuan; null: not known
-- @column charged_hours hours charged, estimate
-- @column list_cost_microcny at list prices; null: not known
-- @column observed_until_s until when the account was observed: start of its newest complete poll, epoch seconds
SELECT
    account,
    day,
    instance_uuid,
    title,
    project,
    owner,
    cost_centre,
    tags,
    charged_s,
    cost_microcny,
    cost_min_microcny,
    cost_max_microcny,
    yuan(cost_microcny) AS cost_yuan,
    list_cost_microcny,
    unpriced_s,
    unpriced_max_s,
    CASE
        WHEN SUBSTR(first_source, 2) = SUBSTR(last_source, 2) THEN SUBSTR(last_source, 2)
        ELSE 'mixed'
    END AS price_source,
    CASE
        WHEN SUBSTR(first_settled, 2) = SUBSTR(last_settled, 2) THEN SUBSTR(last_settled, 2)
        ELSE 'partly'
    END AS settled,
    flag(is_closed = 1) AS is_closed,
    (SELECT s.last_s FROM sync_span s WHERE s.account = parts.account) AS observed_until_s,
    yuan(cost_min_microcny) AS cost_min_yuan,
    yuan(cost_max_microcny) AS cost_max_yuan,
    yuan(list_cost_microcny) AS list_cost_yuan,
    in_hours(charged_s) AS charged_hours,
    periods_of(parts.day)
FROM (
    -- by windows, not by grouping: SQLite hands a condition on the day down through them to the tables
    SELECT
        account,
        day,
        instance_uuid,
        title,
        project,
        owner,
        cost_centre,
        tags,
        CAST(SUM(charged_s) OVER days AS BIGINT) AS charged_s,
        CAST(SUM(cost_microcny) OVER days AS BIGINT) AS cost_microcny,
        CAST(SUM(cost_min_microcny) OVER days AS BIGINT) AS cost_min_microcny,
        CAST(SUM(cost_max_microcny) OVER days AS BIGINT) AS cost_max_microcny,
        CAST(SUM(list_cost_microcny) OVER days AS BIGINT) AS list_cost_microcny,
        CAST(SUM(unpriced_s) OVER days AS BIGINT) AS unpriced_s,
        CAST(SUM(unpriced_max_s) OVER days AS BIGINT) AS unpriced_max_s,
        -- the mark before the word puts parts with usage first: those without count where there are no others
        MIN(CASE WHEN used_s > 0 THEN 'a' ELSE 'b' END || price_source) OVER days AS first_source,
        MAX(CASE WHEN used_s > 0 THEN 'b' ELSE 'a' END || price_source) OVER days AS last_source,
        MIN(CASE WHEN used_s > 0 THEN 'a' ELSE 'b' END || settled) OVER days AS first_settled,
        MAX(CASE WHEN used_s > 0 THEN 'b' ELSE 'a' END || settled) OVER days AS last_settled,
        MAX(is_closed) OVER days AS is_closed,
        ROW_NUMBER() OVER days AS place
    FROM (
        SELECT
            account, day, instance_uuid, title, project, owner, cost_centre, tags, charged_s, cost_microcny,
            cost_min_microcny, cost_max_microcny, list_cost_microcny, unpriced_s, unpriced_max_s, used_s,
            price_source, settled, is_closed
        FROM _cost_line
        UNION ALL
        SELECT
            account, day, instance_uuid, title, project, owner, cost_centre, tags, 0, cost_microcny, cost_min_microcny,
            cost_max_microcny, 0, 0, 0, 0, price_source, settled, 0
        FROM _cost_doubt
    ) lines
    WINDOW days AS (PARTITION BY account, day, instance_uuid, title, project, owner, cost_centre, tags)
) parts
WHERE place = 1
