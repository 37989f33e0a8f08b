-- Commitment: whether the day, week or month price would have been cheaper for what ran, by instance and GPU
-- model. `by_hour_yuan` is its cost by the hour, `best_yuan` the cheapest mix of hours and of prepaid days, weeks
-- and months: days are those of the reporting time zone; a week is seven of them, a month thirty, counted from
-- the first day on which it ran, each at the price of its first day and only if it costs less than what it
-- replaces. What is prepaid is compared the same way, and says how much of it stood idle: on whole days since
-- the account's first poll, as nobody saw before whether it ran. A price that is not known is never taken:
-- without one of a week there is none in the mix.
-- @param account only this account, or all
-- @param from_day first day
-- @param to_day last day
-- @param by a line for each [instance, model]
-- @column account {text} the account's name
-- @column what {text, keep} the instance's name, or the model
-- @column gpu_name {text} GPU model
-- @column charging {text} how it is charged: hour, day, week, month; empty: not known
-- @column gpu_hours {unit=card-h, total} card-hours that it ran, estimate
-- @column paid_yuan {unit=yuan, total} its cost as it is charged, estimate
-- @column paid_yuan_min {unit=yuan, total} at least
-- @column paid_yuan_max {unit=yuan, total} at most
-- @column by_hour_yuan {unit=yuan, total, keep} the cost by the hour of what ran, estimate
-- @column by_hour_yuan_min {unit=yuan, total} at least
-- @column by_hour_yuan_max {unit=yuan, total} at most
-- @column best_yuan {unit=yuan, total, keep} the cheapest mix for what ran, estimate
-- @column best_yuan_min {unit=yuan, total} at least
-- @column best_yuan_max {unit=yuan, total} at most
-- @column days {int, total} prepaid days in the mix
-- @column weeks {int, total} prepaid weeks in the mix
-- @column months {int, total} prepaid months in the mix
-- @column saving_yuan {unit=yuan, total, keep} what the mix would have saved; below 0: it is charged more cheaply already
-- @column saving_yuan_min {unit=yuan, total} at least
-- @column saving_yuan_max {unit=yuan, total} at most
-- @column day_from_hours {int} hours of a day from which on its price is not dearer, at the newest prices; empty: one is not known
-- @column week_from_hours {int} hours of a week from which on its price is not dearer
-- @column month_from_hours {int} hours of 30 days from which on a month's price is not dearer
-- @column idle_gpu_hours {unit=card-h, total} card-hours that were prepaid and did not run, estimate
-- @column idle_gpu_hours_min {unit=card-h, total} at least
-- @column idle_gpu_hours_max {unit=card-h, total} at most
-- @column idle_yuan {unit=yuan, total} cost of the idle card-hours, estimate
-- @column unpriced_hours {unit=h, total} hours at a price that is not known, in no amount
-- @column instance_uuid {text} identity, by instance
WITH unseen AS unseen_in_period(),
offer AS MATERIALIZED (
    SELECT * FROM _offer
),
calendar AS MATERIALIZED (
    SELECT day, starts_s, ROW_NUMBER() OVER (ORDER BY starts_s) AS day_no
    FROM calendar_day
),
-- whole days since the first poll: before it nobody saw whether what is prepaid ran
watched AS (
    SELECT s.account, c.day
    FROM sync_span s
    JOIN calendar_day c ON c.starts_s >= s.first_s
    WHERE in_period(c.day) AND account_chosen(s.account)
),
lines AS (
    SELECT
        account_id, account, day, instance_uuid, title, gpu_uuid, gpu_name, gpu_nums, charging_type, image_uuid,
        gpu_s, unpriced_s, cost_microcny, cost_min_microcny, cost_max_microcny
    FROM _cost_line
    WHERE in_period(day) AND account_chosen(account)
    UNION ALL
    SELECT
        account_id, account, day, instance_uuid, title, gpu_uuid, gpu_name, gpu_nums, charging_type, image_uuid,
        gpu_s, unpriced_s, cost_microcny, cost_min_microcny, cost_max_microcny
    FROM _cost_unseen(unseen AS _usage_unseen_part) c
),
parts AS MATERIALIZED (
    SELECT p.*
    FROM (
        SELECT columns_of_usage(_prepaid_part), usage_started_s, started_s, account, title
        FROM _prepaid_part
        WHERE in_period(day)
        UNION ALL
        SELECT columns_of_usage(u), u.usage_started_s, u.started_s, u.account, u.title
        FROM unseen u
        LEFT JOIN _charging_unit t ON t.charging_type = u.charging_type
        WHERE COALESCE(t.unit, '') <> 'hour'
    ) p
    JOIN watched w ON w.account = p.account AND w.day = p.day
),
-- charged by the hour all the same, at the price of that offer
ran AS (
    SELECT
        account_id, day, instance_uuid, usage_no, kind, running_s, running_min_s, running_max_s, gpu_uuid,
        gpu_name, gpu_nums, {OFFERED_HOUR} AS charging_type, image_uuid, evidence, usage_started_s, started_s
    FROM parts
    WHERE kind = 'running'
),
ran_as AS (
    SELECT DISTINCT account_id, account, instance_uuid, title, usage_no, charging_type FROM parts
),
used AS (
    SELECT
        l.account_id, l.account, l.day, l.instance_uuid, l.title, l.gpu_uuid, l.gpu_name, l.gpu_nums,
        l.charging_type, l.image_uuid, l.gpu_s, l.unpriced_s, l.cost_microcny AS paid,
        l.cost_min_microcny AS paid_min, l.cost_max_microcny AS paid_max, l.cost_microcny AS by_hour,
        l.cost_min_microcny AS by_hour_min, l.cost_max_microcny AS by_hour_max, 0 AS held_s, 0 AS held_min_s,
        0 AS held_max_s, 0 AS ran_s, 0 AS ran_min_s, 0 AS ran_max_s
    FROM lines l
    JOIN _charging_unit t ON t.charging_type = l.charging_type
    WHERE t.unit = 'hour'
    UNION ALL
    SELECT
        l.account_id, l.account, l.day, l.instance_uuid, l.title, l.gpu_uuid, l.gpu_name, l.gpu_nums,
        l.charging_type, l.image_uuid, 0, l.unpriced_s, l.cost_microcny, l.cost_min_microcny,
        l.cost_max_microcny, 0, 0, 0, 0, 0, 0, 0, 0, 0
    FROM lines l
    JOIN watched w ON w.account = l.account AND w.day = l.day
    LEFT JOIN _charging_unit t ON t.charging_type = l.charging_type
    WHERE COALESCE(t.unit, '') <> 'hour'
    UNION ALL
    SELECT
        c.account_id, u.account, c.day, c.instance_uuid, u.title, c.gpu_uuid, c.gpu_name, c.gpu_nums,
        u.charging_type, c.image_uuid, 0, unpriced(c.charged_s, c.cost_microcny), 0, 0, 0, c.cost_microcny,
        c.cost_min_microcny, c.cost_max_microcny, 0, 0, 0, 0, 0, 0
    FROM _cost_open(ran AS _usage_open_part) c
    JOIN ran_as u
        ON u.account_id = c.account_id AND u.instance_uuid = c.instance_uuid AND u.usage_no = c.usage_no
    UNION ALL
    SELECT
        p.account_id, p.account, p.day, p.instance_uuid, p.title, p.gpu_uuid, p.gpu_name, p.gpu_nums,
        p.charging_type, p.image_uuid, p.running_s * p.gpu_nums, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, p.running_s,
        p.running_min_s, p.running_max_s
    FROM parts p
    WHERE p.kind = 'running'
    UNION ALL
    SELECT
        p.account_id, p.account, p.day, p.instance_uuid, p.title, p.gpu_uuid, p.gpu_name, p.gpu_nums,
        p.charging_type, p.image_uuid, 0, 0, 0, 0, 0, 0, 0, 0, p.running_s, p.running_min_s, p.running_max_s, 0,
        0, 0
    FROM parts p
    WHERE p.kind = 'held'
),
-- one GPU model, number of GPUs, image and charging of an instance: what a price is for
days AS (
    SELECT
        s.*,
        DENSE_RANK() OVER (
            ORDER BY
                s.account_id, s.instance_uuid, COALESCE(s.gpu_uuid, ''), COALESCE(s.gpu_name, ''),
                COALESCE(s.gpu_nums, -1), COALESCE(s.image_uuid, ''), COALESCE(s.charging_type, -1)
        ) AS rental
    FROM (
        SELECT
            u.account_id, u.account, u.instance_uuid, u.gpu_uuid, u.gpu_name, u.gpu_nums, u.charging_type,
            u.image_uuid, c.day_no,
            -- of a closed month it is the title at its closing
            MAX(u.title) AS title,
            MIN(c.starts_s) AS starts_s,
            sum_of(u.gpu_s) AS gpu_s,
            sum_of(u.unpriced_s) AS unpriced_s,
            sum_of(u.paid) AS paid,
            sum_of(u.paid_min) AS paid_min,
            sum_of(u.paid_max) AS paid_max,
            sum_of(u.by_hour) AS by_hour,
            sum_of(u.by_hour_min) AS by_hour_min,
            sum_of(u.by_hour_max) AS by_hour_max,
            sum_of(u.held_s) AS held_s,
            sum_of(u.held_min_s) AS held_min_s,
            sum_of(u.held_max_s) AS held_max_s,
            sum_of(u.ran_s) AS ran_s,
            sum_of(u.ran_min_s) AS ran_min_s,
            sum_of(u.ran_max_s) AS ran_max_s
        FROM used u
        JOIN calendar c ON c.day = u.day
        GROUP BY
            u.account_id, u.account, u.instance_uuid, u.gpu_uuid, u.gpu_name, u.gpu_nums, u.charging_type,
            u.image_uuid, c.day_no
    ) s
),
-- the mix: terms of 7 and of 30 days follow each other, the first with the first day; days on which it ran at
-- most can lie before that
ran_day AS (
    SELECT
        d.*,
        d.day_no - COALESCE(
            MIN(CASE WHEN d.by_hour > 0 THEN d.day_no END) OVER (PARTITION BY d.rental),
            MIN(d.day_no) OVER (PARTITION BY d.rental)
        ) + {MONTH_DAYS} * 1000 AS nth  -- whole months: what is divided must not be below 0
    FROM days d
    WHERE d.by_hour_max > 0
),
termed AS (
    SELECT
        r.*,
        r.nth / {MONTH_DAYS} AS month_no,
        (r.nth - r.nth / {MONTH_DAYS} * {MONTH_DAYS}) / {WEEK_DAYS} AS week_no,
        r.day_no - r.nth + r.nth / {MONTH_DAYS} * {MONTH_DAYS} AS month_from,
        r.day_no - r.nth + r.nth / {MONTH_DAYS} * {MONTH_DAYS}
            + (r.nth - r.nth / {MONTH_DAYS} * {MONTH_DAYS}) / {WEEK_DAYS} * {WEEK_DAYS} AS week_from
    FROM ran_day r
),
priced AS (
    SELECT
        t.*,
        term_cost(t, d, d.price_microcny, {DAY_S}) AS day_price,
        term_cost(t, d, d.price_min_microcny, {DAY_S}) AS day_price_min,
        term_cost(t, d, d.price_max_microcny, {DAY_S}) AS day_price_max,
        term_cost(t, w, w.price_microcny, {WEEK_DAYS} * {DAY_S}) AS week_price,
        term_cost(t, w, w.price_min_microcny, {WEEK_DAYS} * {DAY_S}) AS week_price_min,
        term_cost(t, w, w.price_max_microcny, {WEEK_DAYS} * {DAY_S}) AS week_price_max,
        term_cost(t, m, m.price_microcny, {MONTH_DAYS} * {DAY_S}) AS month_price,
        term_cost(t, m, m.price_min_microcny, {MONTH_DAYS} * {DAY_S}) AS month_price_min,
        term_cost(t, m, m.price_max_microcny, {MONTH_DAYS} * {DAY_S}) AS month_price_max
    FROM termed t
    JOIN calendar cw ON cw.day_no = t.week_from
    JOIN calendar cm ON cm.day_no = t.month_from
    LEFT JOIN offer d ON is_offer_to(d, t, 'day') AND holds(d, t.starts_s)
    LEFT JOIN offer w ON is_offer_to(w, t, 'week') AND holds(w, cw.starts_s)
    LEFT JOIN offer m ON is_offer_to(m, t, 'month') AND holds(m, cm.starts_s)
),
-- the same sum five times: a saving is least if little ran and terms were dear
supposed AS (
    SELECT
        'estimate' AS bound, rental, month_no, week_no, by_hour, day_price, week_price, month_price
    FROM priced
    UNION ALL
    SELECT
        'least', rental, month_no, week_no, by_hour_min, day_price_min, week_price_min, month_price_min
    FROM priced
    UNION ALL
    SELECT
        'most', rental, month_no, week_no, by_hour_max, day_price_max, week_price_max, month_price_max
    FROM priced
    UNION ALL
    SELECT
        'least saved', rental, month_no, week_no, by_hour_min, day_price_max, week_price_max, month_price_max
    FROM priced
    UNION ALL
    SELECT
        'most saved', rental, month_no, week_no, by_hour_max, day_price_min, week_price_min, month_price_min
    FROM priced
),
by_week AS (
    SELECT
        bound,
        rental,
        month_no,
        sum_of(cheaper(day_price, by_hour)) AS cost,
        MIN(week_price) AS week_price,
        MIN(month_price) AS month_price,
        sum_of(by_hour) AS by_hour,
        SUM(CASE WHEN day_price < by_hour THEN 1 ELSE 0 END) AS days
    FROM supposed
    GROUP BY bound, rental, month_no, week_no
),
by_month AS (
    SELECT
        bound,
        rental,
        sum_of(cheaper(week_price, cost)) AS cost,
        MIN(month_price) AS month_price,
        sum_of(by_hour) AS by_hour,
        SUM(CASE WHEN week_price < cost THEN 0 ELSE days END) AS days,
        SUM(CASE WHEN week_price < cost THEN 1 ELSE 0 END) AS weeks
    FROM by_week
    GROUP BY bound, rental, month_no
),
mix AS (
    SELECT
        bound,
        rental,
        sum_of(cheaper(month_price, cost)) AS cost,
        sum_of(by_hour) - sum_of(cheaper(month_price, cost)) AS saved,
        sum_of(CASE WHEN month_price < cost THEN 0 ELSE days END) AS days,
        sum_of(CASE WHEN month_price < cost THEN 0 ELSE weeks END) AS weeks,
        sum_of(CASE WHEN month_price < cost THEN 1 ELSE 0 END) AS months
    FROM by_month
    GROUP BY bound, rental
),
rental AS (
    SELECT
        rental, account_id, account, instance_uuid, gpu_uuid, gpu_name, gpu_nums, charging_type, image_uuid,
        MAX(title) AS title,
        MAX(starts_s) AS newest_s,
        sum_of(gpu_s) AS gpu_s,
        sum_of(unpriced_s) AS unpriced_s,
        sum_of(paid) AS paid,
        sum_of(paid_min) AS paid_min,
        sum_of(paid_max) AS paid_max,
        sum_of(by_hour) AS by_hour,
        sum_of(by_hour_min) AS by_hour_min,
        sum_of(by_hour_max) AS by_hour_max,
        sum_of(held_s) AS held_s,
        later(sum_of(held_s) - sum_of(ran_s), 0) AS idle_s,
        later(sum_of(held_min_s) - sum_of(ran_max_s), 0) AS idle_min_s,
        later(sum_of(held_max_s) - sum_of(ran_min_s), 0) AS idle_max_s
    FROM days
    GROUP BY
        rental, account_id, account, instance_uuid, gpu_uuid, gpu_name, gpu_nums, charging_type, image_uuid
),
compared AS (
    SELECT
        r.account,
        CASE WHEN CAST(:by AS TEXT) = 'model' THEN COALESCE(r.gpu_name, r.gpu_uuid, '(unknown)') ELSE r.title END
            AS what,
        COALESCE(r.gpu_name, r.gpu_uuid) AS gpu_name,
        t.unit,
        CASE WHEN CAST(:by AS TEXT) = 'instance' THEN r.instance_uuid END AS instance_uuid,
        r.gpu_s,
        r.unpriced_s,
        r.paid,
        r.paid_min,
        r.paid_max,
        r.by_hour,
        r.by_hour_min,
        r.by_hour_max,
        -- what did not run at all costs nothing by the hour; what has no price is not known
        CASE WHEN e.rental IS NULL THEN r.by_hour ELSE e.cost END AS best,
        CASE WHEN e.rental IS NULL THEN r.by_hour_min ELSE l.cost END AS best_min,
        CASE WHEN e.rental IS NULL THEN r.by_hour_max ELSE m.cost END AS best_max,
        COALESCE(e.days, 0) AS days,
        COALESCE(e.weeks, 0) AS weeks,
        COALESCE(e.months, 0) AS months,
        CASE
            WHEN t.unit = 'hour' THEN e.saved
            WHEN r.unpriced_s = 0 THEN r.paid - COALESCE(e.cost, r.by_hour)
        END AS saved,
        CASE
            WHEN t.unit = 'hour' THEN ls.saved
            WHEN r.unpriced_s = 0 THEN r.paid_min - COALESCE(m.cost, r.by_hour_max)
        END AS saved_min,
        CASE
            WHEN t.unit = 'hour' THEN ms.saved
            WHEN r.unpriced_s = 0 THEN r.paid_max - COALESCE(l.cost, r.by_hour_min)
        END AS saved_max,
        hours_worth(
            term_cost(r, od, od.price_microcny, {DAY_S}), term_cost(r, oh, oh.price_microcny, {HOUR_S})
        ) AS day_from_hours,
        hours_worth(
            term_cost(r, ow, ow.price_microcny, {WEEK_DAYS} * {DAY_S}),
            term_cost(r, oh, oh.price_microcny, {HOUR_S})
        ) AS week_from_hours,
        hours_worth(
            term_cost(r, om, om.price_microcny, {MONTH_DAYS} * {DAY_S}),
            term_cost(r, oh, oh.price_microcny, {HOUR_S})
        ) AS month_from_hours,
        r.idle_s * r.gpu_nums AS idle_gpu_s,
        r.idle_min_s * r.gpu_nums AS idle_gpu_min_s,
        r.idle_max_s * r.gpu_nums AS idle_gpu_max_s,
        CASE WHEN r.held_s > 0 THEN scaled(r.paid, r.idle_s, r.held_s) ELSE 0 END AS idle
    FROM rental r
    LEFT JOIN _charging_unit t ON t.charging_type = r.charging_type
    LEFT JOIN mix e ON e.rental = r.rental AND e.bound = 'estimate'
    LEFT JOIN mix l ON l.rental = r.rental AND l.bound = 'least'
    LEFT JOIN mix m ON m.rental = r.rental AND m.bound = 'most'
    LEFT JOIN mix ls ON ls.rental = r.rental AND ls.bound = 'least saved'
    LEFT JOIN mix ms ON ms.rental = r.rental AND ms.bound = 'most saved'
    LEFT JOIN offer oh ON is_offer_to(oh, r, 'hour') AND holds(oh, r.newest_s)
    LEFT JOIN offer od ON is_offer_to(od, r, 'day') AND holds(od, r.newest_s)
    LEFT JOIN offer ow ON is_offer_to(ow, r, 'week') AND holds(ow, r.newest_s)
    LEFT JOIN offer om ON is_offer_to(om, r, 'month') AND holds(om, r.newest_s)
)
SELECT
    account,
    what,
    gpu_name,
    unit AS charging,
    hours(sum_of(gpu_s)) AS gpu_hours,
    yuan(sum_of(paid)) AS paid_yuan,
    yuan(sum_of(paid_min)) AS paid_yuan_min,
    yuan(sum_of(paid_max)) AS paid_yuan_max,
    yuan(sum_of(by_hour)) AS by_hour_yuan,
    yuan(sum_of(by_hour_min)) AS by_hour_yuan_min,
    yuan(sum_of(by_hour_max)) AS by_hour_yuan_max,
    yuan(sum_of(best)) AS best_yuan,
    yuan(sum_of(best_min)) AS best_yuan_min,
    yuan(sum_of(best_max)) AS best_yuan_max,
    sum_of(days) AS days,
    sum_of(weeks) AS weeks,
    sum_of(months) AS months,
    yuan(sum_of(saved)) AS saving_yuan,
    yuan(sum_of(saved_min)) AS saving_yuan_min,
    yuan(sum_of(saved_max)) AS saving_yuan_max,
    MAX(day_from_hours) AS day_from_hours,
    MAX(week_from_hours) AS week_from_hours,
    MAX(month_from_hours) AS month_from_hours,
    hours(sum_of(idle_gpu_s)) AS idle_gpu_hours,
    hours(sum_of(idle_gpu_min_s)) AS idle_gpu_hours_min,
    hours(sum_of(idle_gpu_max_s)) AS idle_gpu_hours_max,
    yuan(sum_of(idle)) AS idle_yuan,
    hours(sum_of(unpriced_s)) AS unpriced_hours,
    instance_uuid
FROM compared
GROUP BY account, what, gpu_name, unit, instance_uuid
ORDER BY
    COALESCE(SUM(saved), 0) DESC, COALESCE(SUM(paid), 0) DESC, account, what, gpu_name, unit, instance_uuid
