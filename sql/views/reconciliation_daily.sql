-- The bill against the estimate by day of the reporting time zone, each difference with its cause:
-- `within_bounds` (the bill lies between the estimate's minimum and maximum, or off by the rounding of
-- its lines), `unsettled` (the bill does not reach past the day yet), `no_instance` (lines at times when
-- nothing was used; `workflow` if runs of workflows that ended on the day cost at least half of that, and not
-- much more), `prepaid` (prepaid time is billed otherwise than it passes, running time agrees),
-- `correction` (lines that the source no longer lists still count, and await a second whole reading of the
-- bill; or it took lines back or replaced them; that explains half of the difference or more), `unread` (less was billed, and lines of the bill could not be understood: see `rejected_record`),
-- `price` (usage at a price that is not known, or assumed), `coverage_gap` (more was billed than can be
-- explained, and not all of the day was observed), `unexplained`.
-- @column account the account's name
-- @column billed_microcny charged for the day; millionths of a yuan
-- @column billed_cash_microcny of it, from the balance
-- @column billed_card_microcny of it, from compute cards
-- @column estimated_microcny cost by the best estimate
-- @column estimated_min_microcny at least
-- @column estimated_max_microcny at most
-- @column difference_microcny billed - estimated
-- @column no_instance_microcny of the bill, what cannot be attributed to any usage
-- @column prepaid_difference_microcny of the difference, what is of prepaid time
-- @column slack_microcny by how much the bill may be off the bounds: a fen for each line, and what is cut at midnight
-- @column settled_percent share of the day that the bill reaches
-- @column lines bill lines that reach into the day
-- @column awaiting_microcny of the bill, lines that the source no longer lists: one more whole reading and they count no longer
-- @column awaiting_yuan as awaiting_microcny, yuan
-- @column corrected_microcny what corrections took from the bill of the day: lines that the source took back, less those that came in their place; they are in no other figure
-- @column corrected_yuan as corrected_microcny, yuan
-- @column workflow_microcny what runs of workflows that ended on the day cost; whether the bill has it is not known
-- @column workflow_yuan as workflow_microcny, yuan
-- @column cause why they differ, see above
-- @column billed_yuan charged for the day, yuan
-- @column estimated_yuan cost by the best estimate, yuan
-- @column estimated_min_yuan at least, yuan
-- @column estimated_max_yuan at most, yuan
-- @column difference_yuan billed - estimated, yuan
WITH gaps AS MATERIALIZED (SELECT account, gap_from_s, gap_to_s FROM sync_gap)
SELECT
    account,
    day,
    billed_microcny,
    billed_cash_microcny,
    billed_card_microcny,
    estimated_microcny,
    estimated_min_microcny,
    estimated_max_microcny,
    difference_microcny,
    no_instance_microcny,
    prepaid_difference_microcny,
    slack_microcny,
    settled_percent,
    lines,
    awaiting_microcny,
    corrected_microcny,
    workflow_microcny,
    CASE
        -- the first that holds is told: what needs nobody comes first
        WHEN difference_microcny >= estimated_min_microcny - estimated_microcny - slack_microcny
            AND difference_microcny <= estimated_max_microcny - estimated_microcny + slack_microcny
        THEN 'within_bounds'
        WHEN corrected_microcny <> awaiting_microcny
            AND ABS(difference_microcny + corrected_microcny - awaiting_microcny) * 2
                <= ABS(difference_microcny)
        THEN 'correction'
        -- nothing of the day was observed: no cause within it can be told from another
        WHEN observed_from_s >= ends_s OR observed_to_s <= starts_s THEN 'coverage_gap'
        -- the largest of three parts gives the difference its name
        WHEN (is_explained_running = 1 OR unsettled_microcny > 0) AND no_instance_microcny <> 0
            AND ABS(no_instance_microcny) >= ABS(prepaid_difference_microcny)
            AND ABS(no_instance_microcny) >= unsettled_microcny
        THEN cause_of_no_instance(r)
        WHEN (is_explained_running = 1 OR unsettled_microcny > 0)
            AND prepaid_difference_microcny <> 0
            AND ABS(prepaid_difference_microcny) >= unsettled_microcny
        THEN 'prepaid'
        WHEN unsettled_microcny > 0 THEN 'unsettled'
        WHEN difference_microcny < 0 AND unread_lines > 0 THEN 'unread'
        WHEN unpriced_s > 0 OR assumed = 1 THEN 'price'
        WHEN difference_microcny > 0 AND (
            observed_from_s > starts_s
            OR (observed_to_s < ends_s AND reach_s > observed_to_s)
            OR EXISTS (
                SELECT 1 FROM gaps g
                WHERE g.account = r.account AND g.gap_to_s > r.starts_s AND g.gap_from_s < r.ends_s
            )
        )
        THEN 'coverage_gap'
        -- running time is off as well, but by less
        WHEN is_explained_running = 0 AND no_instance_microcny <> 0
            AND ABS(running_difference_microcny) < ABS(no_instance_microcny)
        THEN cause_of_no_instance(r)
        ELSE 'unexplained'
    END AS cause,
    yuan(billed_microcny) AS billed_yuan,
    yuan(estimated_microcny) AS estimated_yuan,
    yuan(estimated_min_microcny) AS estimated_min_yuan,
    yuan(estimated_max_microcny) AS estimated_max_yuan,
    yuan(difference_microcny) AS difference_yuan,
    yuan(awaiting_microcny) AS awaiting_yuan,
    yuan(corrected_microcny) AS corrected_yuan,
    yuan(workflow_microcny) AS workflow_yuan,
    periods_of(r.day)
FROM (
    SELECT
        e.*,
        CASE
            WHEN is_explained_running = 0 AND reach_s < ends_s + {HOUR_S}
                AND running_difference_microcny < 0
            THEN -running_difference_microcny
            ELSE 0
        END AS unsettled_microcny
    FROM (
        SELECT
            d.*,
            d.billed_microcny - d.estimated_microcny AS difference_microcny,
            d.billed_running_microcny - d.running_microcny AS running_difference_microcny,
            d.billed_held_microcny - (d.estimated_microcny - d.running_microcny)
                AS prepaid_difference_microcny,
            CASE
                WHEN d.billed_running_microcny >= d.running_min_microcny - d.slack_microcny
                    AND d.billed_running_microcny <= d.running_max_microcny + d.slack_microcny
                THEN 1
                ELSE 0
            END AS is_explained_running,
            c.starts_s,
            c.ends_s,
            COALESCE(b.reach_s, 0) AS reach_s,
            COALESCE(n.records, 0) AS unread_lines,
            COALESCE(w.awaiting_microcny, 0) AS awaiting_microcny,
            COALESCE(k.corrected_microcny, 0) AS corrected_microcny,
            COALESCE(f.workflow_microcny, 0) AS workflow_microcny,
            COALESCE(o.first_s, c.ends_s) AS observed_from_s,
            COALESCE(o.last_s, c.starts_s) AS observed_to_s,
            CASE
                WHEN b.reach_s IS NULL OR b.reach_s <= c.starts_s THEN 0.0
                WHEN b.reach_s >= c.ends_s THEN 100.0
                ELSE (b.reach_s - c.starts_s) * 10000 / (c.ends_s - c.starts_s) / 100.0
            END AS settled_percent
        FROM (
            SELECT
                account_id,
                account,
                day,
                sum_of(billed) AS billed_microcny,
                sum_of(billed - billed_card) AS billed_cash_microcny,
                sum_of(billed_card) AS billed_card_microcny,
                sum_of(billed_running) AS billed_running_microcny,
                sum_of(billed_held) AS billed_held_microcny,
                sum_of(billed - billed_running - billed_held) AS no_instance_microcny,
                sum_of(slack) AS slack_microcny,
                sum_of(lines) AS lines,
                sum_of(estimated) AS estimated_microcny,
                sum_of(estimated_min) AS estimated_min_microcny,
                sum_of(estimated_max) AS estimated_max_microcny,
                sum_of(running) AS running_microcny,
                sum_of(running_min) AS running_min_microcny,
                sum_of(running_max) AS running_max_microcny,
                sum_of(unpriced) AS unpriced_s,
                MAX(assumed) AS assumed
            FROM (
                SELECT
                    account_id,
                    account,
                    day,
                    SUM(amount_microcny) AS billed,
                    SUM(by_card(charge_channel, amount_microcny)) AS billed_card,
                    SUM(CASE WHEN spread_over = 'running' THEN amount_microcny ELSE 0 END) AS billed_running,
                    SUM(CASE WHEN spread_over = 'held' THEN amount_microcny ELSE 0 END) AS billed_held,
                    -- each line is rounded by itself, by a fen at most
                    SUM(cut_microcny + {FEN} * lines) AS slack,
                    SUM(lines) AS lines,
                    -- the other side has these: a day may be on one of them alone
                    0 AS estimated,
                    0 AS estimated_min,
                    0 AS estimated_max,
                    0 AS running,
                    0 AS running_min,
                    0 AS running_max,
                    0 AS unpriced,
                    0 AS assumed
                FROM _bill_window
                GROUP BY account_id, account, day
                UNION ALL
                SELECT
                    account_id,
                    account,
                    day,
                    0,
                    0,
                    0,
                    0,
                    0,
                    0,
                    SUM(COALESCE(cost_microcny, 0)),
                    SUM(COALESCE(cost_min_microcny, 0)),
                    SUM(COALESCE(cost_max_microcny, 0)),
                    SUM(CASE WHEN kind = 'running' THEN COALESCE(cost_microcny, 0) ELSE 0 END),
                    SUM(CASE WHEN kind = 'running' THEN COALESCE(cost_min_microcny, 0) ELSE 0 END),
                    SUM(CASE WHEN kind = 'running' THEN COALESCE(cost_max_microcny, 0) ELSE 0 END),
                    SUM(unpriced_max_s),
                    MAX(CASE WHEN price_source = 'list_assumed' AND used_s > 0 THEN 1 ELSE 0 END)
                FROM _cost_line
                GROUP BY account_id, account, day
            ) both_sides
            GROUP BY account_id, account, day
        ) d
        JOIN calendar_day c ON c.day = d.day
        LEFT JOIN _bill_reach b ON b.account_id = d.account_id
        LEFT JOIN sync_span o ON o.account = d.account
        LEFT JOIN _money_unread n ON n.account = d.account AND n.resource = 'bills'
        LEFT JOIN (
            SELECT p.account_id, p.day, sum_of(p.amount_microcny) AS awaiting_microcny
            FROM bill l
            -- CROSS: SQLite finds the few lines first, and does not walk all days in the order of the groups
            CROSS JOIN bill_day p
            WHERE is_day_of_line(p, l)
                AND l.missing_since IS NOT NULL AND l.superseded_at IS NULL
            GROUP BY p.account_id, p.day
        ) w ON w.account_id = d.account_id AND w.day = d.day
        LEFT JOIN _workflow_day f ON f.account_id = d.account_id AND f.day = d.day
        LEFT JOIN _bill_corrected k ON k.account_id = d.account_id AND k.day = d.day
    ) e
) r
