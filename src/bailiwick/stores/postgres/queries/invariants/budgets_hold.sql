-- Spent and reserved are never negative, and within the budget unless one call cost more than its reservation.
-- over: runs    in: nothing    out: tenant, id, detail
-- locks: nothing
SELECT r.tenant, r.id, r.spent_micro_usd || ' spent and ' || r.reserved_micro_usd || ' reserved of ' || r.allotment_micro_usd
FROM runs AS r
WHERE r.spent_micro_usd < 0 OR r.reserved_micro_usd < 0
    OR (r.status IN ('completed', 'failed', 'canceled', 'rolled-back') AND r.reserved_micro_usd <> 0)
    OR (
        r.spent_micro_usd + r.reserved_micro_usd > r.allotment_micro_usd
        AND NOT EXISTS (
            SELECT 1
            FROM streams AS s
            JOIN events AS e ON e.stream = s.id
            CROSS JOIN LATERAL (SELECT convert_from(e.header, 'UTF8')::jsonb -> 'call' AS call) AS c
            WHERE s.tenant = r.tenant AND s.name = r.id
                AND coalesce((c.call ->> 'cost')::bigint, 0)
                    > coalesce((c.call ->> 'reserved')::bigint, 0) * greatest(coalesce((c.call ->> 'tries')::bigint, 1), 1)
        )
    );
