-- The lines of `focus_cost_and_usage`, in whole millionths of a yuan: parts of usage whose cost is known,
-- lines of closed months, and bill lines that can be attributed to no usage, cut into days. The bill of a
-- day is shared out over the parts as in `_bill_share`, so that all lines of a day add up to it. Usage
-- without a known price is in `cost_daily.unpriced_s`, not here.
-- @column account the account's name
-- @column source estimate (of usage), closed (of usage, frozen), or bill
-- @column starts_s start of the charge period, epoch seconds
-- @column ends_s its end, exclusive
-- @column title the user's name for it at that time; of a closed month, as of its closing
-- @column kind running, held, or of a bill line alone: billed (for a window), bought (at a moment)
-- @column charged_s seconds charged
-- @column list_microcny at list prices, else as contracted
-- @column cost_microcny as contracted: at the user's own price if there is one
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column list_hour_microcny list price of all its GPUs for an hour
-- @column hour_microcny contracted price of all its GPUs for an hour
-- @column price_starts_s since when that price holds, epoch seconds
-- @column billed_microcny its share of the bill: 0 while nothing is billed
-- @column card_microcny of that, paid by compute cards
-- @column remark what the bill line says
SELECT
    account,
    source,
    day,
    starts_s,
    ends_s,
    instance_uuid,
    title,
    kind,
    gpu_uuid,
    gpu_name,
    gpu_nums,
    charging_type,
    project,
    owner,
    cost_centre,
    tags,
    charged_s,
    list_microcny,
    cost_microcny,
    cost_min_microcny,
    cost_max_microcny,
    list_hour_microcny,
    hour_microcny,
    price_starts_s,
    CASE
        WHEN source = 'bill' THEN cash_microcny + card_microcny
        WHEN all_of IS NULL THEN 0
        ELSE share_within(day_cash_microcny, t) + share_within(day_card_microcny, t)
    END AS billed_microcny,
    CASE
        WHEN source = 'bill' THEN card_microcny
        WHEN all_of IS NULL THEN 0
        ELSE share_within(day_card_microcny, t)
    END AS card_microcny,
    order_number,
    remark
FROM (
    SELECT
        r.*,
        bounds_of_share(r)
    FROM (
        SELECT
            l.*,
            CAST(
                SUM(weight) OVER (
                    PARTITION BY account_id, day, spread_over
                    ORDER BY
                        COALESCE(instance_uuid, ''), COALESCE(project, ''), COALESCE(owner, ''),
                        COALESCE(cost_centre, ''), COALESCE(tags, ''), starts_s, ends_s, COALESCE(gpu_uuid, ''),
                        COALESCE(gpu_name, ''), COALESCE(gpu_nums, 0), COALESCE(charging_type, 0), weight
                    ROWS UNBOUNDED PRECEDING
                ) AS BIGINT
            ) AS upto,
            -- null for no weight at all, by which nothing can be divided
            NULLIF(CAST(SUM(weight) OVER (PARTITION BY account_id, day, spread_over) AS BIGINT), 0)
                AS all_of,
            CAST(SUM(cash_microcny) OVER (PARTITION BY account_id, day, spread_over) AS BIGINT)
                AS day_cash_microcny,
            CAST(SUM(card_microcny) OVER (PARTITION BY account_id, day, spread_over) AS BIGINT)
                AS day_card_microcny
        FROM (
            SELECT
                a.name AS account,
                p.account_id,
                p.kind AS spread_over,
                p.cost_microcny AS weight,
                'estimate' AS source,
                p.day,
                p.starts_s,
                -- a charge period must last: a moment is told as a second
                CASE WHEN p.ends_s > p.starts_s THEN p.ends_s ELSE p.starts_s + 1 END AS ends_s,
                p.instance_uuid,
                -- its name at that time: a month that is exported again must not follow a rename
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
                w.tags,
                p.charged_s,
                COALESCE(p.list_cost_microcny, p.cost_microcny) AS list_microcny,
                p.cost_microcny,
                p.cost_min_microcny,
                p.cost_max_microcny,
                COALESCE(
                    CAST(amount_min({HOUR_S}, rate(p.gpu_nums, q.list_microcny, 0), q.list_per_s) AS BIGINT),
                    price_of_time(p, q, {HOUR_S})
                ) AS list_hour_microcny,
                price_of_time(p, q, {HOUR_S}) AS hour_microcny,
                q.starts_s AS price_starts_s,
                0 AS cash_microcny,
                0 AS card_microcny,
                NULL AS order_number,
                NULL AS remark
            FROM _cost_part p
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
                c.account_id,
                c.kind,
                c.cost_microcny,
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
                c.tags,
                c.charged_s,
                COALESCE(c.list_cost_microcny, c.cost_microcny),
                c.cost_microcny,
                c.cost_min_microcny,
                c.cost_max_microcny,
                -- no price is frozen: that of an hour follows from what was charged
                CAST(COALESCE(c.list_cost_microcny, c.cost_microcny) * {HOUR_S} / c.charged_s AS BIGINT),
                CAST(c.cost_microcny * {HOUR_S} / c.charged_s AS BIGINT),
                NULL,
                0,
                0,
                NULL,
                NULL
            FROM closed_cost c
            JOIN account a ON a.account_id = c.account_id
            JOIN calendar_day d ON d.day = c.day
            WHERE c.cost_microcny IS NOT NULL AND c.charged_s > 0
            UNION ALL
            SELECT
                w.account,
                w.account_id,
                w.spread_over,
                0,
                'bill',
                w.day,
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
                NULL,
                e.amount_microcny,
                e.amount_microcny,
                e.amount_microcny,
                e.amount_microcny,
                NULL,
                NULL,
                NULL,
                by_balance(e.charge_channel, e.amount_microcny),
                by_card(e.charge_channel, e.amount_microcny),
                b.order_number,
                b.remark
            FROM _bill_window w
            CROSS JOIN bill_day e
            JOIN bill b
                ON is_day_of_line(e, b)
            JOIN calendar_day d ON d.day = e.day
            WHERE e.day = w.day AND e.account_id = w.account_id AND e.charge_channel = w.charge_channel
                AND e.settle_start_at = w.settle_start_at AND e.settle_end_at = w.settle_end_at
        ) l
    ) r
) t
-- bill lines bring the amounts that are shared out, and are lines only where no usage takes them
WHERE source <> 'bill' OR all_of IS NULL
