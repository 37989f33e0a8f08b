-- The lines of `focus_cost_and_usage`, in whole millionths of a yuan: parts of usage whose cost is
-- known, lines of closed months, and bill lines in whose window no usage fell, cut into days. Usage
-- without a known price is in `cost_daily.unpriced_s`, not here.
-- @column account the account's name
-- @column source estimate (of usage), closed (of usage, frozen), or bill
-- @column starts_s start of the charge period, epoch seconds
-- @column ends_s its end, exclusive
-- @column title the user's name for it at that time; of a closed month, as of its closing
-- @column charged_s seconds charged
-- @column list_microcny at list prices, else as contracted
-- @column cost_microcny as contracted: at the user's own price if there is one
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column list_hour_microcny list price of all its GPUs for an hour
-- @column hour_microcny contracted price of all its GPUs for an hour
-- @column price_starts_s since when that price holds, epoch seconds
-- @column billed_microcny paid from the balance: 0 if a compute card pays
-- @column remark what the bill line says
SELECT
    a.name AS account,
    'estimate' AS source,
    p.day,
    p.starts_s,
    CASE WHEN p.ends_s > p.starts_s THEN p.ends_s ELSE p.starts_s + 1 END AS ends_s,
    p.instance_uuid,
    COALESCE((
        SELECT h.title FROM instance_history h
        WHERE is_instance_of(h, p)
            AND h.first_seen_at <= instant(p.starts_s)
        ORDER BY h.version DESC LIMIT 1
    ), i.title) AS title,
    p.kind,
    p.gpu_uuid,
    p.gpu_name,
    p.gpu_nums,
    p.charging_type,
    w.project,
    w.owner,
    w.cost_centre,
    p.charged_s,
    COALESCE(p.list_cost_microcny, p.cost_microcny) AS list_microcny,
    p.cost_microcny,
    p.cost_min_microcny,
    p.cost_max_microcny,
    COALESCE(
        CAST(amount_min({HOUR_S}, rate(p.gpu_nums, q.list_microcny, 0), q.list_per_s) AS BIGINT),
        CAST(
        amount_min({HOUR_S}, rate(p.gpu_nums, q.price_microcny, q.flat_microcny), q.per_s) AS BIGINT
    )
    ) AS list_hour_microcny,
    CAST(
        amount_min({HOUR_S}, rate(p.gpu_nums, q.price_microcny, q.flat_microcny), q.per_s) AS BIGINT
    )
        AS hour_microcny,
    q.starts_s AS price_starts_s,
    p.cost_microcny AS billed_microcny,
    NULL AS order_number,
    NULL AS remark
FROM cost_part p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
JOIN price_period q
    ON is_price_of(q, p)
    AND holds(q, p.starts_s)
LEFT JOIN allocation w
    ON is_payer_of(w, p, p.starts_s)
LEFT JOIN closed_month m
    ON m.account_id = p.account_id AND m.month = month_of(p.day)
WHERE m.month IS NULL AND p.cost_microcny IS NOT NULL AND p.charged_s > 0
UNION ALL
SELECT
    a.name,
    'closed',
    c.day,
    d.starts_s,
    d.ends_s,
    c.instance_uuid,
    c.title,
    c.kind,
    c.gpu_uuid,
    c.gpu_name,
    c.gpu_nums,
    c.charging_type,
    c.project,
    c.owner,
    c.cost_centre,
    c.charged_s,
    COALESCE(c.list_cost_microcny, c.cost_microcny),
    c.cost_microcny,
    c.cost_min_microcny,
    c.cost_max_microcny,
    CAST(COALESCE(c.list_cost_microcny, c.cost_microcny) * {HOUR_S} / c.charged_s AS BIGINT),
    CAST(c.cost_microcny * {HOUR_S} / c.charged_s AS BIGINT),
    NULL,
    c.cost_microcny,
    NULL,
    NULL
FROM closed_cost c
JOIN account a ON a.account_id = c.account_id
JOIN calendar_day d ON d.day = c.day
WHERE c.cost_microcny IS NOT NULL AND c.charged_s > 0
UNION ALL
SELECT
    a.name,
    'bill',
    e.day,
    later(epoch(b.settle_start_at), d.starts_s),
    CASE
        WHEN b.settle_end_at = b.settle_start_at THEN epoch(b.settle_start_at) + 1
        WHEN epoch(b.settle_end_at) < d.ends_s THEN epoch(b.settle_end_at)
        ELSE d.ends_s
    END,
    NULL,
    NULL,
    CASE WHEN b.settle_end_at > b.settle_start_at THEN 'billed' ELSE 'bought' END,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    NULL,
    e.amount_microcny,
    e.amount_microcny,
    e.amount_microcny,
    e.amount_microcny,
    NULL,
    NULL,
    NULL,
    by_balance(b.charge_channel, e.amount_microcny),
    b.order_number,
    b.remark
FROM bill_day e
JOIN bill b
    ON b.account_id = e.account_id AND b.order_number = e.order_number
    AND b.settle_start_at = e.settle_start_at AND b.settle_end_at = e.settle_end_at
    AND b.charge_channel = e.charge_channel AND b.remark = e.remark AND b.line_no = e.line_no
JOIN account a ON a.account_id = e.account_id
JOIN calendar_day d ON d.day = e.day
WHERE NOT EXISTS (
        SELECT 1 FROM instance_usage o
        WHERE o.account_id = b.account_id AND o.ended_at IS NULL AND o.started_at <= b.settle_end_at
    )
    AND (
        -- what ended next after the window began has mostly begun before its end: + 0 is for the index by ends
        SELECT 1 FROM instance_usage u
        WHERE u.account_id + 0 = b.account_id AND u.ended_max >= b.settle_start_at
            AND u.started_at <= b.settle_end_at
        ORDER BY u.ended_max LIMIT 1
    ) IS NULL
