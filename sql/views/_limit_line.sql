-- Every lease of an instance and every limit of an account, project or owner, with what is used of it and what is
-- left. Uses and what is allowed are in `unit`: seconds, card-seconds, or GPUs.
-- @column kind until, hours, gpus (of an instance), together (GPUs at a time of all), card_hours (of a month)
-- @column scope instance, account, project or owner
-- @column name its name; of an instance the title
-- @column account account of the instance, or the account itself; null: of a project or owner
-- @column month the month of card_hours; null: of now
-- @column is_up whether it runs, as of the newest poll
-- @column is_now whether the lease or the limit holds now
-- @column entry_no the lease or the limit, as it stands in the file
-- @column allowed seconds, card-seconds or GPUs, with those carried over; of until 0
-- @column allowed_min at least
-- @column allowed_max at most
-- @column carried of them, carried over from the month before
-- @column used seconds, card-seconds or GPUs, estimate
-- @column used_min at least
-- @column used_max at most
-- @column ends_s when the lease or the month ends, epoch seconds; null: never
-- @column used_up_s when it is used up if what runs now runs on, epoch seconds; null: not before it ends
-- @column running_gpus GPUs that run now
-- @column state surely over, over, perhaps over, unknown or within
WITH span AS MATERIALIZED (
    SELECT a.account_id, s.account, s.first_s, s.last_s
    FROM sync_span s
    JOIN account a ON a.name = s.account
),
-- what runs now by who pays: an instance that the newest poll missed, or that boots, is not sure
now_up AS MATERIALIZED (
    SELECT
        s.account,
        o.instance_uuid,
        w.project,
        w.owner,
        o.gpu_nums,
        CASE WHEN o.evidence = 'booting' OR o.horizon_s < s.last_s THEN 0 ELSE o.gpu_nums END AS sure_nums,
        CASE WHEN o.evidence = 'booting' THEN 0 ELSE o.gpu_nums END AS likely_nums
    FROM _usage_open o
    JOIN span s ON s.account_id = o.account_id
    LEFT JOIN allocation w ON is_payer_of(w, o, o.horizon_s)
    WHERE o.kind = 'running' AND (EXISTS (SELECT 1 FROM lease) OR EXISTS (SELECT 1 FROM usage_limit))
),
up_scoped AS (
    SELECT 'account' AS scope, account AS name, sure_nums, likely_nums, gpu_nums FROM now_up
    UNION ALL
    SELECT 'project', project, sure_nums, likely_nums, gpu_nums FROM now_up
    UNION ALL
    SELECT 'owner', owner, sure_nums, likely_nums, gpu_nums FROM now_up
),
up_by AS MATERIALIZED (
    SELECT
        scope, name, sum_of(sure_nums) AS sure_nums, sum_of(likely_nums) AS likely_nums,
        sum_of(gpu_nums) AS gpu_nums
    FROM up_scoped
    GROUP BY scope, name
),
newest AS MATERIALIZED (
    SELECT MAX(last_s) AS last_s FROM span
),
leased AS MATERIALIZED (
    SELECT
        l.lease_no,
        w.account_id,
        w.instance_uuid,
        MAX(CASE WHEN holds(w, s.last_s) THEN 1 ELSE 0 END) AS is_now
    FROM lease l
    JOIN allocation w ON w.lease_no = l.lease_no
    JOIN span s ON s.account_id = w.account_id
    GROUP BY l.lease_no, w.account_id, w.instance_uuid
),
rented AS MATERIALIZED (
    SELECT
        d.lease_no,
        d.account_id,
        d.instance_uuid,
        sum_of(p.running_s) AS running_s,
        sum_of(p.running_min_s) AS running_min_s,
        sum_of(p.running_max_s) AS running_max_s,
        sum_of(within_part(p.starts_s, p.running_s, epoch(l.until), {FOREVER_S})) AS after_s,
        sum_of(within_part(p.starts_s, p.running_min_s, epoch(l.until), {FOREVER_S})) AS after_min_s,
        sum_of(within_part(p.starts_s, p.running_max_s, epoch(l.until), {FOREVER_S})) AS after_max_s
    FROM leased d
    JOIN lease l ON l.lease_no = d.lease_no
    JOIN _payer_part p ON is_instance_of(p, d) AND p.lease_no = d.lease_no
    GROUP BY d.lease_no, d.account_id, d.instance_uuid
),
gap AS MATERIALIZED (
    SELECT account, gap_from_s, gap_to_s FROM sync_gap WHERE EXISTS (SELECT 1 FROM lease)
),
held AS MATERIALIZED (
    SELECT
        l.lease_no,
        s.account,
        s.last_s,
        d.instance_uuid,
        i.title,
        l.max_running_s,
        l.max_gpus,
        epoch(l.until) AS until_s,
        CASE WHEN d.is_now = 1 AND i.gone_at IS NULL THEN 1 ELSE 0 END AS is_now,
        COALESCE(r.running_s, 0) AS running_s,
        COALESCE(r.running_min_s, 0) AS running_min_s,
        COALESCE(r.running_max_s, 0) AS running_max_s,
        COALESCE(r.after_s, 0) AS after_s,
        COALESCE(r.after_min_s, 0) AS after_min_s,
        COALESCE(r.after_max_s, 0) AS after_max_s,
        COALESCE(u.sure_nums, 0) AS sure_nums,
        COALESCE(u.likely_nums, 0) AS likely_nums,
        COALESCE(u.gpu_nums, 0) AS gpu_nums,
        CASE WHEN u.instance_uuid IS NULL THEN 0 ELSE 1 END AS is_up,
        is_blind_time(
            later(COALESCE(epoch(i.create_time), 0), COALESCE(epoch(l.valid_from), 0)),
            (SELECT until_s FROM _asked_until), s.first_s, s.last_s, s.account
        ) AS is_blind,
        is_blind_time(
            later(COALESCE(epoch(i.create_time), 0), epoch(l.until)),
            (SELECT until_s FROM _asked_until), s.first_s, s.last_s, s.account
        ) AS is_blind_after
    FROM leased d
    JOIN lease l ON l.lease_no = d.lease_no
    JOIN span s ON s.account_id = d.account_id
    JOIN instance i ON is_instance_of(i, d)
    LEFT JOIN rented r ON r.lease_no = d.lease_no AND is_instance_of(r, d)
    LEFT JOIN now_up u ON u.account = s.account AND u.instance_uuid = d.instance_uuid
),
lines AS (
    SELECT
        CAST('until' AS TEXT) AS kind,
        CAST('instance' AS TEXT) AS scope,
        title AS name,
        account,
        instance_uuid,
        CAST(NULL AS TEXT) AS month,
        lease_no AS entry_no,
        CAST(0 AS BIGINT) AS allowed,
        CAST(0 AS BIGINT) AS allowed_min,
        CAST(0 AS BIGINT) AS allowed_max,
        CAST(0 AS BIGINT) AS carried,
        after_s AS used,
        after_min_s AS used_min,
        after_max_s AS used_max,
        until_s AS ends_s,
        CASE WHEN is_up = 1 AND is_now = 1 AND until_s >= last_s THEN until_s END AS used_up_s,
        is_up * gpu_nums AS running_gpus,
        is_up,
        is_now,
        is_blind_after AS is_blind
    FROM held
    WHERE until_s IS NOT NULL
    UNION ALL
    SELECT
        'hours', 'instance', title, account, instance_uuid, NULL, lease_no,
        max_running_s, max_running_s, max_running_s, 0, running_s, running_min_s, running_max_s, until_s,
        CASE
            WHEN is_up = 1 AND is_now = 1 AND running_s <= max_running_s
                AND last_s + max_running_s - running_s < COALESCE(until_s, {FOREVER_S})
            THEN last_s + max_running_s - running_s
        END,
        is_up * gpu_nums, is_up, is_now, is_blind
    FROM held
    WHERE max_running_s IS NOT NULL
    UNION ALL
    SELECT
        'gpus', 'instance', title, account, instance_uuid, NULL, lease_no,
        max_gpus, max_gpus, max_gpus, 0, likely_nums, sure_nums, gpu_nums, until_s, NULL,
        is_up * gpu_nums, is_up, is_now, 0
    FROM held
    WHERE max_gpus IS NOT NULL AND is_now = 1
    UNION ALL
    SELECT
        'together', l.scope, l.name, CASE WHEN l.scope = 'account' THEN l.name END, NULL, NULL, l.limit_no,
        l.max_gpus, l.max_gpus, l.max_gpus, 0,
        COALESCE(u.likely_nums, 0), COALESCE(u.sure_nums, 0), COALESCE(u.gpu_nums, 0),
        epoch(l.valid_to), NULL, COALESCE(u.gpu_nums, 0), CASE WHEN u.gpu_nums > 0 THEN 1 ELSE 0 END, 1, 0
    FROM usage_limit l
    CROSS JOIN newest n
    LEFT JOIN up_by u ON u.scope = l.scope AND u.name = l.name
    WHERE l.max_gpus IS NOT NULL
        AND COALESCE(epoch(l.valid_from), 0) <= n.last_s AND COALESCE(epoch(l.valid_to), {FOREVER_S}) > n.last_s
    UNION ALL
    SELECT
        'card_hours', m.scope, m.name, CASE WHEN m.scope = 'account' THEN m.name END, NULL, m.month, m.limit_no,
        m.month_gpu_s + m.carried_s, m.month_gpu_s + m.carried_min_s, m.month_gpu_s + m.carried_max_s,
        m.carried_s, m.used_s, m.used_min_s, m.used_max_s, m.ends_s,
        CASE
            WHEN u.gpu_nums > 0 AND m.starts_s <= n.last_s AND m.ends_s > n.last_s
                AND m.used_s <= m.month_gpu_s + m.carried_s
                AND n.last_s + (m.month_gpu_s + m.carried_s - m.used_s) / u.gpu_nums < m.ends_s
            THEN n.last_s + (m.month_gpu_s + m.carried_s - m.used_s) / u.gpu_nums
        END,
        COALESCE(u.gpu_nums, 0), CASE WHEN u.gpu_nums > 0 THEN 1 ELSE 0 END,
        CASE WHEN m.starts_s <= n.last_s AND m.ends_s > n.last_s THEN 1 ELSE 0 END, m.is_blind
    FROM _limit_month m
    CROSS JOIN newest n
    LEFT JOIN up_by u ON u.scope = m.scope AND u.name = m.name
)
SELECT
    l.*,
    CAST(standing(used, used_min, used_max, allowed, allowed_min, allowed_max, is_blind) AS TEXT) AS state
FROM lines l
-- of what is over, or another has taken its place, only what was used too much
WHERE is_now = 1 OR month IS NOT NULL OR used > allowed
