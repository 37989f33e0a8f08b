-- Every part of usage with its cost and who pays: estimates for open months, frozen amounts for
-- closed ones. `project`, `owner` and `cost_centre` are null if no rule matches, `tags` if there are none. `settled` says
-- how far the bill reaches: past the part (settled), into it (partly), not up to it (estimated).
-- @column account the account's name
-- @column title the user's name for it, as of now; of a closed month, as of its closing
-- @column kind running or held
-- @column is_closed 1 if the month is closed
-- @column settled settled, partly or estimated
-- @column used_s seconds of usage, estimate
-- @column gpu_s card-seconds, estimate
-- @column charged_s seconds charged, estimate
-- @column unpriced_s of them, seconds without a known price
-- @column unpriced_max_s seconds without a known price, at most
-- @column cost_microcny estimate; null: no price is known
-- @column cost_min_microcny at least
-- @column cost_max_microcny at most
-- @column list_cost_microcny at list prices; null: not known
SELECT
    a.name AS account,
    summed.account_id,
    summed.day,
    summed.instance_uuid,
    i.title,
    summed.project,
    summed.owner,
    summed.cost_centre,
    summed.tags,
    summed.kind,
    summed.gpu_uuid,
    summed.gpu_name,
    summed.gpu_nums,
    summed.charging_type,
    summed.image_uuid,
    summed.price_source,
    CAST(CASE WHEN summed.day < r.reach_day THEN 'settled' ELSE 'estimated' END AS TEXT) AS settled,
    0 AS is_closed,
    summed.used_s,
    CAST(summed.used_s * summed.gpu_nums AS BIGINT) AS gpu_s,
    summed.charged_s,
    summed.unpriced_s,
    summed.unpriced_max_s,
    summed.cost_microcny,
    summed.cost_min_microcny,
    summed.cost_max_microcny,
    summed.list_cost_microcny
FROM cost_sum summed
JOIN account a ON a.account_id = summed.account_id
JOIN instance i ON is_instance_of(i, summed)
LEFT JOIN _bill_reach r ON r.account_id = summed.account_id
LEFT JOIN closed_month m
    ON m.account_id = summed.account_id AND m.month = month_of(summed.day)
-- the day into which the bill reaches is settled in part: its single parts follow, which tell what is
WHERE m.month IS NULL AND (r.reach_day IS NULL OR summed.day <> r.reach_day)
UNION ALL
SELECT line_of_part(a, p, i, w, r)
FROM _bill_reach r
JOIN usage_cost p ON p.account_id = r.account_id AND p.day = r.reach_day
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN allocation w
    ON is_payer_of(w, p, p.starts_s)
LEFT JOIN closed_month m
    ON m.account_id = p.account_id AND m.month = month_of(p.day)
WHERE m.month IS NULL
UNION ALL
SELECT line_of_part(a, p, i, w, r)
-- what still runs is in no sum yet
FROM _cost_open p
JOIN account a ON a.account_id = p.account_id
JOIN instance i ON is_instance_of(i, p)
LEFT JOIN allocation w
    ON is_payer_of(w, p, p.starts_s)
LEFT JOIN _bill_reach r ON r.account_id = p.account_id
LEFT JOIN closed_month m
    ON m.account_id = p.account_id AND m.month = month_of(p.day)
WHERE m.month IS NULL
UNION ALL
SELECT
    a.name,
    c.account_id,
    c.day,
    c.instance_uuid,
    c.title,
    c.project,
    c.owner,
    c.cost_centre,
    c.tags,
    c.kind,
    c.gpu_uuid,
    c.gpu_name,
    c.gpu_nums,
    c.charging_type,
    c.image_uuid,
    c.price_source,
    c.settled,
    1,
    c.used_s,
    c.gpu_s,
    c.charged_s,
    c.unpriced_s,
    c.unpriced_max_s,
    c.cost_microcny,
    c.cost_min_microcny,
    c.cost_max_microcny,
    c.list_cost_microcny
-- frozen with its names and payers, whatever is learned later
FROM closed_cost c
JOIN account a ON a.account_id = c.account_id
