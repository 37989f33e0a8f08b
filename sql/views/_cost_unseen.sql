-- The possible cost since the newest poll of usage that went on then: lines like those of `_cost_line`, for
-- the parts of `_usage_unseen_part`. Nobody knows if it went on: minima are 0, estimates null. Choose the
-- days up to today.
-- @column account the account's name
-- @column title the user's name for it, as of now
-- @column kind running or held
-- @column is_closed 0
-- @column settled estimated
-- @column used_s null: not known
-- @column gpu_s null: not known
-- @column charged_s null: not known
-- @column unpriced_s 0
-- @column unpriced_max_s seconds that may be charged at a price that is not known
-- @column cost_microcny null: not known
-- @column cost_min_microcny 0
-- @column cost_max_microcny at most
-- @column list_cost_microcny null: not known
SELECT
    head_of_line(a, p, i, w),
    CAST('estimated' AS TEXT) AS settled,
    0 AS is_closed,
    CAST(NULL AS BIGINT) AS used_s,
    CAST(NULL AS BIGINT) AS gpu_s,
    CAST(NULL AS BIGINT) AS charged_s,
    CAST(0 AS BIGINT) AS unpriced_s,
    CAST(unpriced(p.charged_max_s, p.cost_microcny) AS BIGINT) AS unpriced_max_s,
    CAST(NULL AS BIGINT) AS cost_microcny,
    CAST(0 AS BIGINT) AS cost_min_microcny,
    p.cost_max_microcny,
    CAST(NULL AS BIGINT) AS list_cost_microcny
FROM _cost_open(_usage_unseen_part AS _usage_open_part) p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN allocation w ON is_payer_of(w, p, p.starts_s)
LEFT JOIN closed_month m ON m.account_id = p.account_id AND m.month = month_of(p.day)
WHERE m.month IS NULL
