-- The words of views and reports that are rules, each in one place. A macro is text: the names in its
-- brackets are replaced by what a call gives, and `{NAME}` is a number of etl/units.py. The formulas of
-- charging are macros too, see etl/money/formulas.py. What an argument in square brackets is, and a view
-- that is called, says etl/dialect/rendering.py.

-- An amount in yuan, of millionths of a yuan.
MACRO yuan(microcny) AS CAST(microcny / {MICRO}.0 AS NUMERIC(20, 6));

-- Seconds as hours, rounded to hundredths in whole numbers, so that all databases give the same.
MACRO hours(seconds) AS ((seconds + 18) / 36 / 100.0);

-- Seconds as whole minutes, rounded.
MACRO minutes(seconds) AS ((seconds + 30) / 60);

-- A sum that is a whole number of 64 bits: Postgres gives a numeric otherwise.
MACRO sum_of(x) AS CAST(SUM(x) AS BIGINT);

-- The share of one amount in another as a percentage, by whole fen; null if that is less than a fen.
MACRO percent_of(part, whole) AS CASE
    WHEN whole >= {FEN} THEN part / {FEN} * {FEN} / (whole / {FEN}) / 100.0
END;

-- The share of some seconds in others as a percentage, rounded to hundredths; not of 0 seconds.
MACRO percent_of_time(part, whole) AS ((20000 * part + whole) / (2 * whole) / 100.0);

-- The earlier, or smaller, of two values.
MACRO earlier(a, b) AS CASE WHEN a < b THEN a ELSE b END;

-- The later, or larger, of two values.
MACRO later(a, b) AS CASE WHEN a > b THEN a ELSE b END;

-- Whether two values are the same, or both null.
MACRO same(a, b) AS (a = b OR (a IS NULL AND b IS NULL));

-- Whether two values differ, null being as good as `none`.
MACRO differ(a, b, none) AS COALESCE(a, none) <> COALESCE(b, none);

-- Whether two versions differ in their GPUs.
MACRO gpus_differ(h, p) AS (
    differ(h.gpu_nums, p.gpu_nums, -1)
    OR differ(h.gpu_name, p.gpu_name, '')
    OR differ(h.gpu_uuid, p.gpu_uuid, '')
);

-- Whether two versions differ in their images.
MACRO images_differ(h, p) AS (
    differ(h.image_name, p.image_name, '')
    OR differ(h.image_tag, p.image_tag, '')
    OR differ(h.image_uuid, p.image_uuid, '')
);

-- Seconds that are charged at a price that nobody knows.
MACRO unpriced(seconds, cost_microcny) AS CASE WHEN cost_microcny IS NULL THEN seconds ELSE 0 END;

-- Columns: an event of an instance `i` of an account `a`, between two moments. `not_before` is an expression
-- in all events, and text is cast: only so does SQLite hand conditions down into their union.
MACRO event_between(a, i, its_event, old, new, from_at, to_at, why) AS
    a.name AS account,
    i.instance_uuid,
    i.title,
    CAST(its_event AS TEXT) AS event,
    CAST(old AS TEXT) AS was,
    CAST(new AS TEXT) AS became,
    COALESCE(from_at, NULL) AS not_before,
    to_at AS not_after,
    epoch(from_at) AS not_before_s,
    epoch(to_at) AS not_after_s,
    CAST(why AS TEXT) AS cause,
    local_of(epoch(from_at)) AS not_before_local,
    local_of(epoch(to_at)) AS not_after_local;

-- The month of a day.
MACRO month_of(day) AS SUBSTR(CAST(day AS TEXT), 1, 7);

-- The ISO week of a day.
MACRO week_of(day) AS (SELECT its.week FROM calendar_day its WHERE its.day = day);

-- The local time of a second, by the clocks of the reporting time zone: they are shifted on some days.
MACRO local_of(at_s) AS (
    SELECT clock(its.day, at_s - its.starts_s
        + CASE WHEN at_s >= its.shift_s THEN {DAY_S} - (its.ends_s - its.starts_s) ELSE 0 END)
    FROM calendar_day its
    WHERE its.starts_s <= at_s AND its.ends_s > at_s
    ORDER BY its.starts_s DESC
    LIMIT 1
);

-- A condition as a column: true or false on Postgres, 1 or 0 on SQLite. Null is false.
MACRO flag(condition) AS CAST(CASE WHEN condition THEN 1 ELSE 0 END AS BOOLEAN);

-- Seconds as a column of hours, not rounded: for tools that add up themselves.
MACRO in_hours(seconds) AS CAST(CAST(seconds AS DOUBLE PRECISION) / {HOUR_S}.0 AS DOUBLE PRECISION);

-- Columns: the month and the week of a day.
MACRO periods_of(day) AS CAST(month_of(day) AS TEXT) AS month, week_of(day) AS week;

-- Columns: `times` in hours.
MACRO hours_of_times(p) AS
    in_hours(p.running_s) AS hours,
    in_hours(p.running_min_s) AS hours_min,
    in_hours(p.running_max_s) AS hours_max,
    in_hours(p.gpu_s) AS gpu_hours,
    in_hours(p.gpu_min_s) AS gpu_hours_min,
    in_hours(p.gpu_max_s) AS gpu_hours_max;

-- What of a text is before a mark; all of it if the mark is not in it.
MACRO before(whole, mark) AS CASE
    WHEN find(whole, mark) > 0 THEN SUBSTR(whole, 1, find(whole, mark) - 1) ELSE whole
END;

-- What of a text is after a mark; null if the mark is not in it.
MACRO after(whole, mark) AS CASE
    WHEN find(whole, mark) > 0 THEN SUBSTR(whole, find(whole, mark) + LENGTH(mark))
END;

-- A whole number of at most nine digits; null for any other text.
MACRO digits(word) AS CASE
    WHEN LENGTH(word) BETWEEN 1 AND 9 AND LTRIM(word, '0123456789') = '' THEN CAST(word AS INTEGER)
END;

-- Columns: a service of `_service_listed` by its list.
MACRO columns_of_service(h, s, list) AS
    h.account_id,
    h.instance_uuid,
    h.version,
    CAST(list AS TEXT) AS listed_in,
    json_member(s, 'title') AS service,
    COALESCE(json_text(s), json_member(s, 'url')) AS url,
    json_member(s, 'port_type') AS port_type,
    json_member(s, 'protocol') AS protocol,
    json_member(s, 'ssh_info.host') AS ssh_host,
    json_member(s, 'ssh_info.port') AS ssh_port,
    json_member(s, 'ssh_info.username') AS username;

-- The value of a tag in a JSON object of tags, whose texts need no escaping; null if it is not there.
MACRO tag_of(tags, its_key) AS before(after(tags, '"' || its_key || '":"'), '"');

-- A JSON array of texts `key:value`, of a JSON object of tags.
MACRO pairs_of(tags) AS '[' || SUBSTR(REPLACE(tags, '":"', ':'), 2, LENGTH(REPLACE(tags, '":"', ':')) - 2) || ']';

-- What the dimension `:by` of a report says of a line: who pays it, or one of its tags (`tag:KEY`).
MACRO payer_by(project, owner, cost_centre, tags) AS CASE CAST(:by AS TEXT)
    WHEN 'project' THEN COALESCE(project, '(no rule)')
    WHEN 'owner' THEN COALESCE(owner, '(no rule)')
    WHEN 'cost_centre' THEN COALESCE(cost_centre, '(no rule)')
    ELSE COALESCE(tag_of(tags, SUBSTR(CAST(:by AS TEXT), 5)), '(untagged)')
END;

-- Whether the dimension `:by` of a report is one that `payer_by` knows.
MACRO is_by_payer() AS (
    CAST(:by AS TEXT) IN ('project', 'owner', 'cost_centre') OR SUBSTR(CAST(:by AS TEXT), 1, 4) = 'tag:'
);

-- Whether the dimension `:by` is one of which a line of `_cost_doubt` leaves open whose it is: of a project whose
-- owner alone changes nothing is in doubt.
MACRO is_payer_in_doubt() AS (
    is_by_payer()
    AND payer_by(project, owner, cost_centre, tags) <> payer_by(or_project, or_owner, or_cost_centre, or_tags)
);

-- A JSON object of the tags of a line, and of who pays it; null if there is neither.
MACRO json_of_payer(l) AS CASE
    WHEN l.project IS NULL AND l.owner IS NULL AND l.cost_centre IS NULL THEN l.tags
    ELSE '{' || SUBSTR(
        COALESCE(',"project":' || json_string(l.project), '')
        || COALESCE(',"owner":' || json_string(l.owner), '')
        || COALESCE(',"cost_centre":' || json_string(l.cost_centre), ''),
        2
    ) || CASE WHEN l.tags IS NULL THEN '}' ELSE ',' || SUBSTR(l.tags, 2) END
END;

-- The partition of a window over one service of an instance.
MACRO services_of(s) AS PARTITION BY
    s.account_id, s.instance_uuid, s.listed_in, s.service, s.url, s.port_type, s.protocol, s.host, s.port,
    s.username;

-- The moment for which a version has a timer that is on, or null.
MACRO timer_of(h) AS CASE WHEN h.shutdown_enabled THEN h.shutdown_time END;

-- Whether a report is to have this account.
MACRO account_chosen(account) AS (CAST(:account AS TEXT) IS NULL OR account = CAST(:account AS TEXT));

-- Whether a day is in the period of a report.
MACRO in_period(day) AS day >= :from_day AND day <= :to_day;

-- Rows: of each account the balance and the cards over the days of the period whose opening is known, or
-- over all of them if none is: opening + added - billed + what is unexplained = closing.
MACRO balance_of_period() AS (
    SELECT
        e.account,
        e.last_day,
        MAX(CASE WHEN d.day = e.first_day THEN d.opening_microcny END) AS opening,
        MAX(CASE WHEN d.day = e.last_day THEN d.closing_microcny END) AS closing,
        SUM(d.recharged_microcny) AS added,
        SUM(d.billed_microcny) AS billed,
        MAX(CASE WHEN d.day = e.first_day THEN d.card_opening_microcny END) AS card_opening,
        MAX(CASE WHEN d.day = e.last_day THEN d.card_closing_microcny END) AS card_closing,
        SUM(d.card_added_microcny) AS card_added,
        SUM(d.card_billed_microcny) AS card_billed,
        MIN(d.counted_from) AS counted_from,
        MIN(d.counted_from_day) AS counted_from_day,
        MAX(d.counted_to) AS counted_to
    FROM (
        SELECT
            account,
            MIN(CASE WHEN opening_microcny IS NOT NULL THEN day END) AS first_day,
            MAX(day) AS last_day
        FROM balance_daily
        WHERE in_period(day) AND account_chosen(account)
        GROUP BY account
    ) e
    JOIN balance_daily d
        ON d.account = e.account AND in_period(d.day) AND d.day >= COALESCE(e.first_day, d.day)
    GROUP BY e.account, e.last_day
);

-- The first second of the period of a report.
MACRO period_starts_s() AS (SELECT MIN(starts_s) FROM calendar_day WHERE day >= :from_day);

-- The second after the period of a report.
MACRO period_ends_s() AS (SELECT MAX(ends_s) FROM calendar_day WHERE day <= :to_day);

-- The first moment of the period of a report, as an instant: it is found in an index.
MACRO period_starts_at() AS (SELECT MIN(starts_at) FROM _day_bounds WHERE day >= :from_day);

-- The moment after the period of a report, as an instant.
MACRO period_ends_at() AS (SELECT MAX(ends_at) FROM _day_bounds WHERE day <= :to_day);

-- The second up to which a report asks: the end of its period, or now.
MACRO asked_ends_s() AS (
    SELECT earlier(CAST(:now AS BIGINT), MAX(ends_s)) FROM calendar_day WHERE day <= :to_day
);

-- Rows: of each account how much of the period was observed (`seen_s` of `asked_s`), up to now, and until
-- when it was (`until_s`); `span_s` of the period lie between its first and its newest poll. Before its first complete poll, in gaps and after its newest one it was not.
MACRO time_observed() AS (
    SELECT w.account, w.until_s, w.asked_s, w.span_s, w.span_s - COALESCE(g.gap_s, 0) AS seen_s
    FROM (
        SELECT
            s.account,
            s.last_s AS until_s,
            later(p.ends_s - p.starts_s, 0) AS asked_s,
            later(earlier(s.last_s, p.ends_s) - later(s.first_s, p.starts_s), 0) AS span_s
        FROM sync_span s
        CROSS JOIN (SELECT period_starts_s() AS starts_s, asked_ends_s() AS ends_s) p
    ) w
    LEFT JOIN (
        SELECT
            g.account,
            sum_of(earlier(g.gap_to_s, p.ends_s) - later(g.gap_from_s, p.starts_s)) AS gap_s
        FROM sync_gap g
        CROSS JOIN (SELECT period_starts_s() AS starts_s, asked_ends_s() AS ends_s) p
        WHERE g.gap_to_s > p.starts_s AND g.gap_from_s < p.ends_s
        GROUP BY g.account
    ) g ON g.account = w.account
);

-- Rows: the parts of usage in the period, up to now, in which nobody saw whether it went on.
MACRO unseen_in_period() AS (
    SELECT
        account_id, account, day, instance_uuid, title, usage_no, kind, running_s, running_min_s,
        earlier(running_max_s, asked_ends_s() - started_s) AS running_max_s,
        gpu_uuid, gpu_name, gpu_nums, charging_type, image_uuid, evidence, usage_started_s, started_s
    FROM _usage_unseen_part
    WHERE in_period(day) AND started_s < asked_ends_s() AND account_chosen(account)
);

-- Rows: usage of the period with its cost and who pays, up to now. It reads `unseen`, which the query has made
-- of `unseen_in_period`. By payer, bounds are corrected for what a change of payer leaves open: for lines of
-- `_cost_doubt` that are `is_in_doubt`.
MACRO cost_of_period(is_in_doubt) AS (
    SELECT
        account, day, instance_uuid, title, project, owner, cost_centre, tags, kind, gpu_uuid, gpu_name,
        charging_type, image_uuid, settled, used_s, gpu_s, unpriced_s, unpriced_max_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, list_cost_microcny
    FROM _cost_line
    WHERE in_period(day) AND account_chosen(account)
    UNION ALL
    SELECT
        account, day, instance_uuid, title, project, owner, cost_centre, tags, kind, gpu_uuid, gpu_name,
        charging_type, image_uuid, settled, used_s, gpu_s, unpriced_s, unpriced_max_s, cost_microcny,
        cost_min_microcny, cost_max_microcny, list_cost_microcny
    FROM _cost_unseen(unseen AS _usage_unseen_part) c
    UNION ALL
    SELECT
        account, day, instance_uuid, title, project, owner, cost_centre, tags, kind, NULL, NULL,
        NULL, NULL, 'estimated', 0, 0, 0, 0, cost_microcny,
        cost_min_microcny, cost_max_microcny, 0
    FROM _cost_doubt
    WHERE in_period(day) AND account_chosen(account) AND is_in_doubt
);

-- Whether a poll shows all instances of its account: what counts as observing them.
MACRO is_whole_poll(r) AS r.resource = 'instances' AND r.outcome = 'complete';

-- Whether polls this far apart leave a gap, `usual_s` being their usual distance, or null.
MACRO is_gap(seconds, usual_s) AS seconds > {GAP_S} AND seconds > {GAP_STEPS} * COALESCE(usual_s, 0);

-- The number of polls of one outcome in a day of `coverage_daily`, those that were folded with it.
MACRO polls_of_day(d, ended) AS (
    (
        SELECT COUNT(*) FROM sync_run r
        WHERE r.account_id = d.account_id AND r.resource = 'instances' AND r.outcome = ended
            AND r.started_at >= instant(d.day_starts_s) AND r.started_at < instant(d.day_ends_s)
    ) + COALESCE((
        SELECT sum_of(f.polls) FROM folded_poll f
        WHERE f.account_id = d.account_id AND f.resource = 'instances' AND f.outcome = ended
            AND f.begins_at >= instant(d.day_starts_s) AND f.begins_at < instant(d.day_ends_s)
    ), 0)
);

-- The era of a poll: each has the same number of successive polls, the last of the `eras` of its account up to
-- twice as many, so that no era is too short to say what is usual.
MACRO era_of(r, n) AS CASE
    WHEN r.polls_before < {ERA_POLLS} * n.eras THEN r.polls_before / {ERA_POLLS} ELSE n.eras - 1
END;

-- The end of the night of a day that begins at this second.
MACRO night_ends_s(starts_s) AS (starts_s + {NIGHT_S});

-- How much of a part of usage lies before the end of the night of its day.
MACRO in_night(started_s, running_s, night_ends_s) AS CASE
    WHEN started_s >= night_ends_s THEN 0
    WHEN started_s + running_s <= night_ends_s THEN running_s
    ELSE night_ends_s - started_s
END;

-- Whether a compute card pays.
MACRO is_card(charge_channel) AS charge_channel = {CARD};

-- What a compute card pays of an amount.
MACRO by_card(charge_channel, amount) AS CASE WHEN charge_channel = {CARD} THEN amount ELSE 0 END;

-- What the balance pays of an amount.
MACRO by_balance(charge_channel, amount) AS CASE WHEN charge_channel = {CARD} THEN 0 ELSE amount END;

-- What was billed to each account in the period of a report, of a view with a line or a sum for each day.
MACRO billed_in_period(bills) AS (
    SELECT account, sum_of(amount_microcny) AS billed
    FROM bills
    WHERE in_period(day) AND account_chosen(account)
    GROUP BY account
);

-- Rows: of the bill that counts in the period by one of its days, what the other day puts before the
-- period, and after it.
MACRO counted_elsewhere(its_day, other_day) AS (
    SELECT
        account,
        sum_of(CASE WHEN other_day > :to_day THEN amount_microcny ELSE 0 END) AS after_it,
        sum_of(CASE WHEN other_day < :from_day THEN amount_microcny ELSE 0 END) AS before_it
    FROM _bill_line_day
    WHERE in_period(its_day) AND account_chosen(account)
    GROUP BY account
);

-- Whether `bill_day` has here a day of this line of the bill.
MACRO is_day_of_line(d, b) AS d.account_id = b.account_id AND d.order_number = b.order_number
    AND d.settle_start_at = b.settle_start_at AND d.settle_end_at = b.settle_end_at
    AND d.charge_channel = b.charge_channel AND d.remark = b.remark AND d.line_no = b.line_no;

-- The newest whole poll of the balance that was over before a second, by its start.
MACRO balance_poll_before(o, at_s) AS (
    SELECT MAX(s.started_at) FROM sync_run s
    WHERE s.account_id = o.account_id AND s.resource = 'balance'
        AND s.outcome = 'complete' AND s.started_at < instant(at_s)
        AND s.finished_at < instant(at_s)
);

-- What the newest version `b` of an account's balance before a second says.
MACRO balance_before(a, at_s, amount) AS (
    SELECT amount FROM balance b
    WHERE b.account_id = a.account_id AND b.first_seen_at < instant(at_s)
    ORDER BY b.first_seen_at DESC LIMIT 1
);

-- Since when money counts for a day of the balance: since the poll before it, else since it began.
MACRO counted_since(c) AS COALESCE(c.seen_since, instant(c.starts_s));

-- Whether a moment counts for a day of the balance, which begins and ends with a poll.
MACRO is_between_polls(moment, c) AS moment > counted_since(c) AND moment <= c.seen_to;

-- The sum of the lines `l` of an account's bill that count for a day of the balance, as far as they are
-- paid in this way; `f` is the day of the poll before it. The plus keeps SQLite from the index of
-- accounts: that of days leaves fewer lines.
MACRO billed_between_polls(a, c, f, is_paid_so) AS CAST(COALESCE((
    SELECT SUM(l.amount_microcny) FROM bill l
    WHERE +l.account_id = a.account_id AND l.superseded_at IS NULL
        AND l.charged_day >= COALESCE(f.day, c.day) AND l.charged_day <= c.day
        AND is_between_polls(COALESCE(l.ordered_at, l.settle_end_at), c) AND is_paid_so
), 0) AS BIGINT);

-- What the runs of workflows of an account held of its balance at a moment `t`: frozen until their end,
-- then what they cost. Two sums, as Spark takes no `t` inside of one.
MACRO held_by_workflows(a, t) AS CAST(COALESCE((
    SELECT SUM(w.quote_microcny) FROM workflow_run w
    WHERE w.account_id = a.account_id AND w.superseded_at IS NULL AND w.created_at <= t
        AND (w.ended_at IS NULL OR w.ended_at > t)
), 0) + COALESCE((
    SELECT SUM(w.final_microcny) FROM workflow_run w
    WHERE w.account_id = a.account_id AND w.superseded_at IS NULL AND w.created_at <= t
        AND w.ended_at <= t
), 0) AS BIGINT);

-- The cause of a difference that lines of the bill without an instance make on a day of reconciliation.
MACRO cause_of_no_instance(r) AS CASE
    WHEN r.workflow_microcny > 0
        AND ABS(r.no_instance_microcny - r.workflow_microcny) * 2 <= ABS(r.no_instance_microcny)
    THEN 'workflow'
    ELSE 'no_instance'
END;

-- The name of a charge channel.
MACRO channel_name(charge_channel) AS CASE charge_channel
    WHEN {BALANCE} THEN 'balance' WHEN {CARD} THEN 'card' ELSE '(unknown)'
END;

-- Whether a settlement window is of prepaid time: whole days, or a moment.
MACRO is_of_days(starts_s, ends_s) AS (ends_s - starts_s) / {DAY_S} * {DAY_S} = ends_s - starts_s;

-- Whether a price is for this usage; it holds from `starts_s` to `ends_s`.
MACRO is_price_of(p, u) AS p.account_id = u.account_id
    AND p.gpu_uuid = COALESCE(u.gpu_uuid, '')
    AND p.gpu_name = COALESCE(u.gpu_name, '')
    AND p.image_uuid = COALESCE(u.image_uuid, '')
    AND p.charging_type = COALESCE(u.charging_type, -1)
    AND p.no_card = CASE WHEN u.gpu_nums = 0 THEN 1 ELSE 0 END;

-- Whether something that holds from `starts_s` to `ends_s` holds at a second.
MACRO holds(p, at_s) AS p.starts_s <= at_s AND p.ends_s > at_s;

-- The first second of the time for which a price holds and somebody pays; `w` is null without rules.
MACRO both_from_s(p, w) AS later(p.starts_s, COALESCE(w.starts_s, p.starts_s));

-- The second after the time for which a price holds and somebody pays.
MACRO both_to_s(p, w) AS earlier(p.ends_s, COALESCE(w.ends_s, p.ends_s));

-- What of so many seconds of a part of usage `p`, from its start on, falls into the time of a payer `w`, who
-- is null without rules.
MACRO time_for_payer(p, w, seconds) AS later(
    earlier(p.started_s + seconds, COALESCE(w.ends_s, p.started_s + seconds)) - both_from_s(p, w), 0
);

-- Whether an allocation says who pays for this usage at a second.
MACRO is_payer_of(w, u, at_s) AS w.account_id = u.account_id AND w.instance_uuid = u.instance_uuid
    AND holds(w, at_s);

-- Whether two rows are about one instance.
MACRO is_instance_of(i, u) AS i.account_id = u.account_id AND i.instance_uuid = u.instance_uuid;

-- An amount times one number of seconds over another, in 64 bits.
MACRO scaled(amount, by_s, over_s) AS (
    amount / over_s * by_s + (amount - amount / over_s * over_s) * by_s / over_s
);

-- How much of a part of usage that begins at a second and lasts so long lies between two seconds.
MACRO within_part(started_s, length_s, from_s, to_s) AS later(
    earlier(started_s + length_s, to_s) - later(started_s, from_s), 0
);

-- What of the card-seconds that a month allows is carried over into the next: what is left, up to the cap.
MACRO carried_over(allowed_s, used_s, cap_s) AS earlier(later(allowed_s - used_s, 0), cap_s);

-- Whether too little of a time was observed to say that nothing more ran in it, 1 or 0: part of it lies before the
-- account's first complete poll, or gaps and what lies after the newest take more than half. It reads `gap`, the rows of `sync_gap`.
MACRO is_blind_time(from_s, to_s, first_s, last_s, its_account) AS CASE
    WHEN to_s <= from_s THEN 0
    WHEN first_s > from_s THEN 1
    WHEN (
        later(to_s - later(last_s, from_s), 0) + COALESCE((
            -- not summed where it is cut: Spark sums no column of the query around with its own
            SELECT sum_of(b.blind_s)
            FROM (
                SELECT earlier(g.gap_to_s, to_s) - later(g.gap_from_s, from_s) AS blind_s
                FROM gap g
                WHERE g.account = its_account AND g.gap_to_s > from_s AND g.gap_from_s < to_s
            ) b
        ), 0)
    ) * 2 > to_s - from_s THEN 1
    ELSE 0
END;

-- How use stands to what is allowed: surely over at every value within the bounds, over by the estimate, perhaps
-- over by the maximum, unknown if too little was observed, else within.
MACRO standing(used, used_min, used_max, allowed, allowed_min, allowed_max, is_blind) AS CASE
    WHEN used_min > allowed_max THEN 'surely over'
    WHEN used > allowed THEN 'over'
    WHEN used_max > allowed_min THEN 'perhaps over'
    WHEN is_blind = 1 THEN 'unknown'
    ELSE 'within'
END;

-- Rows: all leases and limits up to a moment, as in `_limit_line`: what ran at the newest complete poll may have run
-- on since.
MACRO limits_until(at_s) AS (
    WITH asked AS (
        SELECT at_s AS until_s
    ),
    parts AS (
        SELECT account_id, day, instance_uuid, kind, running_s, running_min_s, running_max_s, gpu_nums, started_s
        FROM _usage_part
        UNION ALL
        SELECT
            u.account_id, u.day, u.instance_uuid, u.kind, 0, 0,
            earlier(u.running_max_s, (SELECT until_s FROM asked) - u.started_s), u.gpu_nums, u.started_s
        FROM _usage_unseen_part u
        WHERE u.started_s < (SELECT until_s FROM asked)
    ),
    payers AS _payer_part(parts AS _usage_part),
    months AS _limit_month(payers AS _payer_part, asked AS _asked_until),
    lines AS _limit_line(payers AS _payer_part, months AS _limit_month, asked AS _asked_until)
    SELECT * FROM lines
);

-- An amount of a line of `_limit_line` in hours, card-hours or GPUs.
MACRO in_unit(kind, amount) AS CAST(
    CASE WHEN kind IN ('gpus', 'together') THEN amount ELSE hours(amount) END AS DOUBLE PRECISION
);

-- What of an amount that is spread evenly from `starts_s` to `ends_s` lies between two seconds; the
-- parts of a time that is cut add up to the amount.
MACRO amount_within(amount, starts_s, ends_s, from_s, to_s) AS CASE
    WHEN ends_s > starts_s
    THEN amount * (clamped(to_s, starts_s, ends_s) - starts_s) / (ends_s - starts_s)
        - amount * (clamped(from_s, starts_s, ends_s) - starts_s) / (ends_s - starts_s)
    WHEN from_s <= starts_s AND to_s > starts_s THEN amount
    ELSE 0
END;

-- What some seconds of all GPUs of an instance or of its usage `u` cost at a price `p`.
MACRO price_of_time(u, p, seconds) AS CAST(
    amount_min(seconds, rate(chargeable_gpus(u.gpu_nums), p.price_microcny, p.flat_microcny), p.per_s)
    AS BIGINT
);

-- A sum of costs, null if one of them is not known.
MACRO known_sum(microcny) AS CASE
    WHEN COUNT(*) = COUNT(microcny) THEN sum_of(microcny)
END;

-- Whether a stretch of usage, whose run may never have been, counts as a run.
MACRO is_run(u) AS u.evidence <> 'possible_run'
    AND NOT (u.evidence = 'gone' AND u.ended_at IS NOT NULL AND u.ended_at = u.started_at);

-- Until when usage that is open was seen to go on: the newest complete poll `h` of its account, or for an
-- instance `i` that is missing its last sighting.
MACRO seen_until(i, h) AS COALESCE(i.last_seen_at, h.last_at);

-- Until when usage that is open may have gone on: a missing instance until the poll that missed it.
MACRO maybe_until(i, h) AS COALESCE(i.missing_since, i.last_seen_at, h.last_at);

-- The most seconds that a run can have lasted: up to now, if it still ran when somebody last looked.
MACRO most_until_now(is_open, running_max_s, started_s) AS CASE
    WHEN is_open THEN later(running_max_s, COALESCE(CAST(:now AS BIGINT), 0) - started_s)
    ELSE running_max_s
END;

-- How many GPUs of which model.
MACRO gpus(gpu_nums, gpu_name) AS CAST(gpu_nums AS TEXT) || ' x ' || gpu_name;

-- Columns: running time and card-time, each by estimate, at least and at most.
MACRO times(p) AS p.running_s, p.running_min_s, p.running_max_s, p.gpu_s, p.gpu_min_s, p.gpu_max_s;

-- Columns: the sums of `times`.
MACRO sums_of_times(u) AS
    sum_of(u.running_s) AS running_s,
    sum_of(u.running_min_s) AS running_min_s,
    sum_of(u.running_max_s) AS running_max_s,
    sum_of(u.gpu_s) AS gpu_s,
    sum_of(u.gpu_min_s) AS gpu_min_s,
    sum_of(u.gpu_max_s) AS gpu_max_s;

-- Columns: parts of usage added up: `times`, the night, and the most GPUs at a time.
MACRO sums_of_parts(u) AS
    sum_of(u.running_s) AS running_s,
    sum_of(u.running_min_s) AS running_min_s,
    sum_of(u.running_max_s) AS running_max_s,
    sum_of(u.running_s * u.gpu_nums) AS gpu_s,
    sum_of(u.running_min_s * u.gpu_nums) AS gpu_min_s,
    sum_of(u.running_max_s * u.gpu_nums) AS gpu_max_s,
    sum_of(u.night_s) AS night_s,
    sum_of(u.night_s * u.gpu_nums) AS night_gpu_s,
    MAX(u.gpu_nums) AS gpu_most;

-- Columns: the columns of `sums_of_parts`.
MACRO times_and_night(p) AS times(p), p.night_s, p.night_gpu_s, p.gpu_most;

-- The seconds for which a time of load `g` and a part of running time `p` are both.
MACRO sampled_s(g, p) AS (earlier(g.ends_s, p.ends_s) - later(g.begins_s, p.starts_s));

-- Columns: the sums of lines of `_load_line`.
MACRO sums_of_load(l) AS
    sum_of(l.gpu_s) AS gpu_s,
    sum_of(l.gpu_min_s) AS gpu_min_s,
    sum_of(l.gpu_max_s) AS gpu_max_s,
    sum_of(l.seen_s) AS seen_s,
    sum_of(l.busy_s) AS busy_s,
    sum_of(l.percent_s) AS percent_s,
    MAX(l.memory_max_mb) AS memory_max_mb,
    MAX(l.memory_total_mb) AS memory_total_mb;

-- Columns: rented card-seconds of `u` and how they were used. More GPUs than were rented cannot have been sampled:
-- then each counts for its share. What was not sampled can have been busy, or idle.
MACRO used_of_load(u) AS
    u.gpu_s,
    u.gpu_min_s,
    u.gpu_max_s,
    seen_within(u) AS seen_s,
    busy_within(u) AS busy_s,
    seen_within(u) - busy_within(u) AS idle_s,
    u.gpu_s - seen_within(u) AS unsampled_s,
    later(u.gpu_max_s - seen_within(u), 0) + busy_within(u) AS busy_max_s,
    later(u.gpu_max_s - seen_within(u), 0) + seen_within(u) - busy_within(u) AS idle_max_s;

-- The mean utilisation of `u` while it was sampled, in whole percent.
MACRO mean_percent(u) AS CASE WHEN u.seen_s > 0 THEN (2 * u.percent_s + u.seen_s) / (2 * u.seen_s) END;

-- The sampled card-seconds of `u`, at most those that were rented.
MACRO seen_within(u) AS earlier(u.seen_s, u.gpu_s);

-- Of them, those that were busy.
MACRO busy_within(u) AS CASE WHEN u.seen_s > u.gpu_s THEN u.busy_s * u.gpu_s / u.seen_s ELSE u.busy_s END;

-- A sum of card-seconds of which one half may be missing, or have no known number of GPUs.
MACRO both_of(a, b) AS COALESCE(a + b, a, b);

-- Rows: running time, closed and open, added up by some columns of `running_sum`, such as
-- `running_by([account_id, day, gpu_name?])`. Conditions on these columns reach the index of `running_sum`:
-- they pass through a grouping of one table, but on SQLite not through a grouping of a union. So closed
-- and open parts are grouped apart, and what is still open is added to the closed parts or stands alone.
MACRO running_by(keys) AS (
    WITH open_sum AS (
        SELECT columns(p, keys), sums_of_parts(p)
        FROM _usage_open_part p
        WHERE p.kind = 'running'
        GROUP BY columns(p, keys)
    )
    SELECT
        columns(u, keys),
        u.running_s + COALESCE(o.running_s, 0) AS running_s,
        u.running_min_s + COALESCE(o.running_min_s, 0) AS running_min_s,
        u.running_max_s + COALESCE(o.running_max_s, 0) AS running_max_s,
        both_of(u.gpu_s, o.gpu_s) AS gpu_s,
        both_of(u.gpu_min_s, o.gpu_min_s) AS gpu_min_s,
        both_of(u.gpu_max_s, o.gpu_max_s) AS gpu_max_s,
        u.night_s + COALESCE(o.night_s, 0) AS night_s,
        both_of(u.night_gpu_s, o.night_gpu_s) AS night_gpu_s,
        CASE WHEN o.gpu_most > u.gpu_most THEN o.gpu_most ELSE COALESCE(u.gpu_most, o.gpu_most) END AS gpu_most
    FROM (
        SELECT columns(running_sum, keys), sums_of_parts(running_sum)
        FROM running_sum
        GROUP BY columns(running_sum, keys)
    ) u
    LEFT JOIN open_sum o ON alike(o, u, keys)
    UNION ALL
    SELECT columns(o, keys), times_and_night(o)
    FROM open_sum o
    WHERE NOT EXISTS (SELECT 1 FROM running_sum c WHERE alike(c, o, keys))
);

-- Columns: a part of usage, and the facts that it is charged by.
MACRO columns_of_usage(u) AS
    u.account_id, u.day, u.instance_uuid, u.usage_no, u.kind, u.running_s, u.running_min_s,
    u.running_max_s, u.gpu_uuid, u.gpu_name, u.gpu_nums, u.charging_type, u.image_uuid,
    u.evidence;

-- Columns: a part of usage at one price, and what it cost.
MACRO columns_of_cost(p) AS
    p.account_id, p.day, p.instance_uuid, p.usage_no, p.kind, p.starts_s, p.ends_s, p.gpu_uuid,
    p.gpu_name, p.gpu_nums, p.charging_type, p.image_uuid, p.price_source, p.used_s, p.charged_s,
    p.charged_min_s, p.charged_max_s, p.cost_microcny, p.cost_min_microcny, p.cost_max_microcny,
    p.list_cost_microcny;

-- Columns: what a line of cost says of a part of usage `p`, of an instance `i` of an account `a`, allocated
-- by `w`, beside its amounts.
MACRO head_of_line(a, p, i, w) AS
    a.name AS account,
    p.account_id,
    p.day,
    p.instance_uuid,
    i.title,
    w.project,
    w.owner,
    w.cost_centre,
    w.tags,
    p.kind,
    p.gpu_uuid,
    p.gpu_name,
    p.gpu_nums,
    p.charging_type,
    p.image_uuid,
    p.price_source;

-- Columns: the line of `_cost_line` for a part of usage `p` of an instance `i`, allocated by `w`, as far
-- as the bill reaches by `r`.
MACRO line_of_part(a, p, i, w, r) AS
    head_of_line(a, p, i, w),
    CAST(
        CASE
            WHEN r.reach_s IS NULL OR r.reach_s <= p.starts_s THEN 'estimated'
            WHEN r.reach_s >= p.ends_s THEN 'settled'
            ELSE 'partly'
        END AS TEXT
    ) AS settled,
    0 AS is_closed,
    p.used_s,
    CAST(p.used_s * p.gpu_nums AS BIGINT) AS gpu_s,
    p.charged_s,
    CAST(unpriced(p.charged_s, p.cost_microcny) AS BIGINT) AS unpriced_s,
    CAST(unpriced(p.charged_max_s, p.cost_microcny) AS BIGINT) AS unpriced_max_s,
    p.cost_microcny,
    p.cost_min_microcny,
    p.cost_max_microcny,
    p.list_cost_microcny;

-- The share of an amount that is first + second / 1000000 millionths of it, by long multiplication with
-- digits of a million: 64 bits suffice for every amount that is in 64 bits.
MACRO long_share(amount, first, second) AS
    (
        amount / 1000000 * first + (
            amount / 1000000 * second
            + (amount - amount / 1000000 * 1000000) * first
            + (amount - amount / 1000000 * 1000000) * second / 1000000
        ) / 1000000
    );

-- The first digit for `long_share`: how many millionths of a whole a part of it is.
MACRO first_of(part, whole) AS (part * 1000000 / whole);

-- The second digit for `long_share`: how many millionths of a millionth are left.
MACRO second_of(part, whole) AS (
    (part * 1000000 - part * 1000000 / whole * whole) * 1000000 / whole
);

-- Columns: the digits for `long_share` of the weights before a line, and of those with it.
MACRO bounds_of_share(s) AS
    first_of(s.upto, s.all_of) AS to_first,
    second_of(s.upto, s.all_of) AS to_second,
    first_of((s.upto - s.weight), s.all_of) AS from_first,
    second_of((s.upto - s.weight), s.all_of) AS from_second;

-- What of an amount a line gets: all lines together get all of it, since each begins where one ends.
MACRO share_within(amount, w) AS long_share(amount, w.to_first, w.to_second)
    - long_share(amount, w.from_first, w.from_second);

-- Whether a price of `_offer` is what usage would be charged by this unit.
MACRO is_offer_to(p, u, its_unit) AS p.account_id = u.account_id
    AND p.gpu_uuid = COALESCE(u.gpu_uuid, '')
    AND p.gpu_name = COALESCE(u.gpu_name, '')
    AND p.image_uuid = COALESCE(u.image_uuid, '')
    AND p.unit = its_unit
    AND p.no_card = CASE WHEN u.gpu_nums = 0 THEN 1 ELSE 0 END;

-- What so many seconds of all GPUs of usage `u` cost at a price of `p`; months of many GPUs fit in 64 bits.
MACRO term_cost(u, p, price_microcny, seconds) AS scaled(
    rate(chargeable_gpus(u.gpu_nums), price_microcny, p.flat_microcny), seconds, p.per_s
);

-- The lower of a price and what it would replace, which stays if there is no price.
MACRO cheaper(price, cost) AS CASE WHEN price < cost THEN price ELSE cost END;

-- The least whole number of hours at a price that costs no less than a term.
MACRO hours_worth(term_price, hour_price) AS CASE
    WHEN hour_price > 0 THEN (term_price + hour_price - 1) / hour_price
END;

-- The whole root of a whole number, rounded down: databases differ in how they make a number whole.
MACRO whole_root(x) AS CASE
    WHEN CAST(SQRT(x) AS BIGINT) * CAST(SQRT(x) AS BIGINT) > x THEN CAST(SQRT(x) AS BIGINT) - 1
    ELSE CAST(SQRT(x) AS BIGINT)
END;

-- The median of values that are ranked from 1 to n: of an even number the mean of the two in the middle.
MACRO median_by(its_rank, n, value) AS sum_of(CASE WHEN its_rank IN ((n + 1) / 2, (n + 2) / 2) THEN value ELSE 0 END)
    / SUM(CASE WHEN its_rank IN ((n + 1) / 2, (n + 2) / 2) THEN 1 ELSE 0 END);

-- Whether gaps take more than half of a day, which they are grouped by: it says little of what is usual.
MACRO is_mostly_unseen(gap_s, day_s) AS SUM(gap_s) * 2 > day_s;

-- Rows: days whose cost is out of the ordinary, of each account, project, owner, model and instance: at least so
-- many percent and so many millionths of a yuan off the median of the same weekdays of eight weeks, else
-- of the fourteen days before, at least three of them. `by_` columns are about the instance that did most of it.
MACRO days_out_of_line(since_day, until_day, least_percent, least_microcny) AS (
    WITH span AS (
        SELECT s.account, s.first_s, s.last_s FROM sync_span s
    ),
    days AS MATERIALIZED (
        SELECT d.day, d.starts_s, d.ends_s, d.weekday
        FROM local_day d
        WHERE d.day <= until_day
            AND d.starts_s >= (SELECT MIN(c.starts_s) FROM calendar_day c WHERE c.day >= since_day)
                - ({FORECAST_DAYS} + 1) * {DAY_S}
    ),
    blind AS (
        SELECT g.account, d.day
        FROM sync_gap g
        JOIN days d ON d.ends_s > g.gap_from_s AND d.starts_s < g.gap_to_s
        GROUP BY g.account, d.day, d.starts_s, d.ends_s
        HAVING is_mostly_unseen(earlier(g.gap_to_s, d.ends_s) - later(g.gap_from_s, d.starts_s), d.ends_s - d.starts_s)
    ),
    -- whole days, seen at least by half
    seen AS MATERIALIZED (
        SELECT s.account, d.day, d.starts_s, d.weekday
        FROM span s
        JOIN days d ON d.starts_s >= s.first_s AND d.ends_s <= s.last_s
        WHERE NOT EXISTS (SELECT 1 FROM blind b WHERE b.account = s.account AND b.day = d.day)
    ),
    line AS MATERIALIZED (
        SELECT
            account,
            COALESCE(project, '(no rule)') AS project,
            COALESCE(owner, '(no rule)') AS owner,
            COALESCE(gpu_name, gpu_uuid, '(unknown)') AS model,
            instance_uuid,
            day,
            MAX(title) AS title,
            sum_of(cost_microcny) AS cost,
            sum_of(cost_min_microcny) AS cost_min,
            sum_of(cost_max_microcny) AS cost_max,
            sum_of(gpu_s) AS gpu_s
        FROM _cost_line
        WHERE day >= (SELECT MIN(day) FROM days) AND day <= until_day
        GROUP BY 1, 2, 3, 4, 5, 6
    ),
    night AS MATERIALIZED (
        SELECT account, instance_uuid, day, night_gpu_s
        FROM night_weekend_daily
        WHERE day >= (SELECT MIN(day) FROM days) AND day <= until_day
    ),
    member AS MATERIALIZED (
        SELECT DISTINCT account, 'account' AS scope, account AS name, instance_uuid FROM line
        UNION ALL
        SELECT DISTINCT account, 'project', project, instance_uuid FROM line
        UNION ALL
        SELECT DISTINCT account, 'owner', owner, instance_uuid FROM line
        UNION ALL
        SELECT DISTINCT account, 'model', model, instance_uuid FROM line
        UNION ALL
        SELECT DISTINCT account, 'instance', instance_uuid, instance_uuid FROM line
    ),
    summed AS (
        SELECT
            account, 'account' AS scope, account AS name, day,
            sum_of(cost) AS cost, sum_of(cost_min) AS cost_min, sum_of(cost_max) AS cost_max, sum_of(gpu_s) AS gpu_s
        FROM line
        GROUP BY account, account, day
        UNION ALL
        SELECT
            account, 'project', project, day,
            sum_of(cost), sum_of(cost_min), sum_of(cost_max), sum_of(gpu_s)
        FROM line
        GROUP BY account, project, day
        UNION ALL
        SELECT
            account, 'owner', owner, day,
            sum_of(cost), sum_of(cost_min), sum_of(cost_max), sum_of(gpu_s)
        FROM line
        GROUP BY account, owner, day
        UNION ALL
        SELECT
            account, 'model', model, day,
            sum_of(cost), sum_of(cost_min), sum_of(cost_max), sum_of(gpu_s)
        FROM line
        GROUP BY account, model, day
        UNION ALL
        SELECT
            account, 'instance', instance_uuid, day,
            sum_of(cost), sum_of(cost_min), sum_of(cost_max), sum_of(gpu_s)
        FROM line
        GROUP BY account, instance_uuid, day
    ),
    daily AS MATERIALIZED (
        SELECT s.*, n.night_gpu_s
        FROM summed s
        LEFT JOIN night n ON s.scope = 'instance' AND n.account = s.account AND n.instance_uuid = s.name
            AND n.day = s.day
    ),
    subject AS (
        SELECT account, scope, name FROM member GROUP BY account, scope, name
    ),
    -- the days that each day is compared with: of a kind 1 same weekdays, of a kind 2 the fortnight before
    compared AS MATERIALIZED (
        SELECT t.account, t.day, p.day AS past_day, 1 AS kind
        FROM seen t
        JOIN seen p ON p.account = t.account AND p.weekday = t.weekday AND p.starts_s < t.starts_s
            AND p.starts_s > t.starts_s - ({FORECAST_DAYS} + 1) * {DAY_S}
        WHERE t.day >= since_day
        UNION ALL
        SELECT t.account, t.day, p.day, 2
        FROM seen t
        JOIN seen p ON p.account = t.account AND p.starts_s < t.starts_s
            AND p.starts_s > t.starts_s - ({FORECAST_LEVEL_DAYS} + 1) * {DAY_S}
        WHERE t.day >= since_day
    ),
    basis AS (
        SELECT account, day, MIN(kind) AS kind
        FROM (
            SELECT account, day, kind
            FROM compared
            GROUP BY account, day, kind
            HAVING COUNT(*) >= 3
        ) enough
        GROUP BY account, day
    ),
    ranked AS (
        SELECT
            s.account,
            s.scope,
            s.name,
            c.day,
            COALESCE(d.cost, 0) AS cost,
            COUNT(*) OVER of_day AS n,
            ROW_NUMBER() OVER (
                PARTITION BY s.account, s.scope, s.name, c.day ORDER BY COALESCE(d.cost, 0), c.past_day
            ) AS by_cost,
            COUNT(d.cost) OVER of_day AS times
        FROM subject s
        JOIN basis b ON b.account = s.account
        JOIN compared c ON c.account = b.account AND c.day = b.day AND c.kind = b.kind
        LEFT JOIN daily d ON d.account = s.account AND d.scope = s.scope AND d.name = s.name
            AND d.day = c.past_day
        WINDOW of_day AS (PARTITION BY s.account, s.scope, s.name, c.day)
    ),
    usual AS (
        SELECT account, scope, name, day, MAX(times) AS times, median_by(by_cost, n, cost) AS cost
        FROM ranked
        GROUP BY account, scope, name, day
    ),
    judged AS MATERIALIZED (
        SELECT
            u.account,
            u.scope,
            u.name,
            u.day,
            u.times,
            COALESCE(d.cost, 0) AS cost,
            COALESCE(d.cost_min, 0) AS cost_min,
            COALESCE(d.cost_max, 0) AS cost_max,
            u.cost AS usual,
            COALESCE(d.cost, 0) - u.cost AS change
        FROM usual u
        LEFT JOIN daily d ON d.account = u.account AND d.scope = u.scope AND d.name = u.name AND d.day = u.day
    ),
    odd AS (
        SELECT j.*
        FROM judged j
        WHERE later(change, -change) >= least_microcny
            AND later(change, -change) * 100 >= CAST(least_percent AS BIGINT) * usual
    ),
    -- of the machines of a subject that which moved most in its direction
    mover AS (
        SELECT
            o.account,
            o.scope,
            o.name,
            o.day,
            i.name AS instance_uuid,
            i.change,
            i.cost,
            i.times,
            ROW_NUMBER() OVER (
                PARTITION BY o.account, o.scope, o.name, o.day
                ORDER BY CASE WHEN o.change > 0 THEN -i.change ELSE i.change END, i.name
            ) AS place
        FROM odd o
        JOIN member m ON m.account = o.account AND m.scope = o.scope AND m.name = o.name
        JOIN judged i ON i.account = o.account AND i.scope = 'instance' AND i.name = m.instance_uuid
            AND i.day = o.day
    ),
    first_mover AS MATERIALIZED (
        SELECT * FROM mover WHERE place = 1
    ),
    -- only of those that moved most: medians of all would take longer than the rest
    ranked_hours AS (
        SELECT
            v.account,
            v.instance_uuid,
            v.day,
            COALESCE(d.gpu_s, 0) AS gpu_s,
            COALESCE(d.night_gpu_s, 0) AS night_gpu_s,
            COUNT(*) OVER (PARTITION BY v.account, v.instance_uuid, v.day) AS n,
            ROW_NUMBER() OVER (
                PARTITION BY v.account, v.instance_uuid, v.day ORDER BY COALESCE(d.gpu_s, 0), c.past_day
            ) AS by_gpu,
            ROW_NUMBER() OVER (
                PARTITION BY v.account, v.instance_uuid, v.day ORDER BY COALESCE(d.night_gpu_s, 0), c.past_day
            ) AS by_night
        FROM (SELECT DISTINCT account, instance_uuid, day FROM first_mover) v
        JOIN basis b ON b.account = v.account AND b.day = v.day
        JOIN compared c ON c.account = b.account AND c.day = b.day AND c.kind = b.kind
        LEFT JOIN daily d ON d.account = v.account AND d.scope = 'instance' AND d.name = v.instance_uuid
            AND d.day = c.past_day
    ),
    usual_hours AS (
        SELECT
            account,
            instance_uuid,
            day,
            median_by(by_gpu, n, gpu_s) AS gpu_s,
            median_by(by_night, n, night_gpu_s) AS night_gpu_s
        FROM ranked_hours
        GROUP BY account, instance_uuid, day
    ),
    moved AS (
        SELECT
            v.account,
            v.scope,
            v.name,
            v.day,
            v.instance_uuid,
            v.change,
            v.cost,
            v.times,
            COALESCE(d.gpu_s, 0) AS gpu_s,
            h.gpu_s AS usual_gpu_s,
            COALESCE(d.night_gpu_s, 0) - h.night_gpu_s AS night_change_s
        FROM first_mover v
        JOIN usual_hours h ON h.account = v.account AND h.instance_uuid = v.instance_uuid AND h.day = v.day
        LEFT JOIN daily d ON d.account = v.account AND d.scope = 'instance' AND d.name = v.instance_uuid
            AND d.day = v.day
    )
    SELECT
        o.account,
        o.scope,
        -- an instance is called by its title
        CASE WHEN o.scope = 'instance' THEN t.title ELSE o.name END AS name,
        o.day,
        o.cost,
        o.cost_min,
        o.cost_max,
        o.usual,
        o.change,
        CASE WHEN o.change > 0 THEN 1 ELSE -1 END AS direction,
        v.instance_uuid AS by_uuid,
        t.title AS by_title,
        v.change AS by_change,
        CASE
            WHEN v.change < 0 AND v.cost = 0 THEN 'did not run'
            WHEN v.times = 0 AND NOT EXISTS (
                SELECT 1
                FROM line n
                JOIN line e ON e.account = n.account AND e.model = n.model AND e.day < o.day
                WHERE n.account = o.account AND n.instance_uuid = v.instance_uuid AND n.day = o.day
            ) THEN 'new model'
            WHEN v.times = 0 AND NOT EXISTS (
                SELECT 1 FROM line e
                WHERE e.account = o.account AND e.instance_uuid = v.instance_uuid AND e.day < o.day
            ) THEN 'new machine'
            -- as many card-hours, to a tenth
            WHEN v.usual_gpu_s > 0 AND later(v.gpu_s - v.usual_gpu_s, v.usual_gpu_s - v.gpu_s) * 10 <= v.usual_gpu_s
                THEN 'price'
            WHEN v.change < 0 THEN 'fewer hours'
            WHEN v.night_change_s * 2 >= v.gpu_s - v.usual_gpu_s THEN 'night'
            ELSE 'more hours'
        END AS reason,
        -- out of the ordinary whatever is true within the bounds
        CASE
            WHEN o.change > 0 AND o.cost_min - o.usual >= least_microcny
                AND (o.cost_min - o.usual) * 100 >= CAST(least_percent AS BIGINT) * o.usual THEN 1
            WHEN o.change < 0 AND o.usual - o.cost_max >= least_microcny
                AND (o.usual - o.cost_max) * 100 >= CAST(least_percent AS BIGINT) * o.usual THEN 1
            ELSE 0
        END AS is_sure,
        -- others moved against it: of the account at most half of it is left, and its day looks usual
        CASE
            WHEN o.scope <> 'account' AND later(w.change, -w.change) * 2 <= later(o.change, -o.change)
                AND NOT EXISTS (
                    SELECT 1 FROM odd e
                    WHERE e.account = o.account AND e.scope = 'account' AND e.day = o.day
                ) THEN 1
            ELSE 0
        END AS is_masked
    FROM odd o
    JOIN moved v ON v.account = o.account AND v.scope = o.scope AND v.name = o.name AND v.day = o.day
    JOIN judged w ON w.account = o.account AND w.scope = 'account' AND w.day = o.day
    JOIN (
        SELECT account, instance_uuid, MAX(title) AS title FROM line GROUP BY account, instance_uuid
    ) t ON t.account = v.account AND t.instance_uuid = v.instance_uuid
);
