-- Up to when each account's bill has settled what was used: the newest end of a settlement window that
-- the newest poll of the bill could know of. Prepaid periods that go on settle no running time.
-- @column reach_s epoch seconds; null: not at all
SELECT
    h.account_id,
    MAX((
        SELECT epoch(MAX(b.settle_end_at)) FROM bill b
        WHERE b.account_id = h.account_id AND b.settle_end_at <= h.last_at
    )) AS reach_s
FROM (
    SELECT account_id, MAX(finished_at) AS last_at
    FROM sync_run
    WHERE resource IN ('bills', 'instances') AND outcome IN ('complete', 'partial')
    GROUP BY account_id
) h
GROUP BY h.account_id
