-- The time up to which each account's bill has settled usage: the newest end of a settlement window that
-- the newest poll of the bill could know of. Prepaid periods that go on settle no running time. Each row
-- is one look into an index, however many polls there were; the groupings keep it one for each account. Found
-- first, once: else Postgres asks it anew for each row that it is joined to.
-- @column reach_s epoch seconds; null: not at all
-- @column reach_day the day that this is in: days before it are settled, days after it are not
WITH reached AS MATERIALIZED (
    SELECT
        b.account_id,
        b.reach_s,
        MAX((
            SELECT c.day FROM calendar_day c
            WHERE c.starts_s <= b.reach_s
            ORDER BY c.starts_s DESC LIMIT 1
        )) AS reach_day
    FROM (
        SELECT
            h.account_id,
            MAX((
                SELECT epoch(MAX(b.settle_end_at)) FROM bill b
                WHERE b.account_id = h.account_id AND b.settle_end_at <= h.last_at
                    AND b.superseded_at IS NULL
            )) AS reach_s
        FROM (
            SELECT account_id, MAX(last_at) AS last_at
            FROM (
                SELECT
                    a.account_id,
                    (
                        SELECT r.finished_at FROM sync_run r
                        WHERE r.account_id = a.account_id AND r.resource = k.resource
                            AND r.outcome = k.outcome
                        ORDER BY r.started_at DESC LIMIT 1
                    ) AS last_at
                FROM account a
                CROSS JOIN (
                    SELECT 'bills' AS resource, 'complete' AS outcome UNION ALL SELECT 'bills', 'partial'
                    UNION ALL SELECT 'instances', 'complete' UNION ALL SELECT 'instances', 'partial'
                ) k
            ) polls
            WHERE last_at IS NOT NULL
            GROUP BY account_id
        ) h
        GROUP BY h.account_id
    ) b
    GROUP BY b.account_id, b.reach_s
)
SELECT account_id, reach_s, reach_day FROM reached
