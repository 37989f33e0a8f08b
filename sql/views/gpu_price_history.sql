-- One row for each list price of a GPU model while it held, in yuan. The price changed at an unknown moment
-- after `last_seen_at` and not later than `valid_to`.
-- @column account the account's name
-- @column gpu_uuid GPU model
-- @column gpu_name name of the GPU model
-- @column valid_from end of the poll that first saw it
-- @column last_seen_at start of the last poll that saw it; null while it holds
-- @column valid_to end of the poll that first saw another; null while it holds
-- @column hour_yuan one GPU for an hour, yuan
-- @column day_yuan one GPU for a day, yuan
-- @column week_yuan one GPU for a week, yuan
-- @column month_yuan one GPU for a month, yuan
-- @column valid_from_s epoch seconds
-- @column valid_to_s epoch seconds; null while it holds
SELECT
    a.name AS account,
    p.gpu_uuid,
    p.gpu_name,
    p.valid_from,
    p.last_seen_at,
    p.valid_to,
    yuan(p.hour_microcny) AS hour_yuan,
    yuan(p.day_microcny) AS day_yuan,
    yuan(p.week_microcny) AS week_yuan,
    yuan(p.month_microcny) AS month_yuan,
    epoch(p.valid_from) AS valid_from_s,
    epoch(p.valid_to) AS valid_to_s
FROM gpu_price p
JOIN account a ON a.account_id = p.account_id
