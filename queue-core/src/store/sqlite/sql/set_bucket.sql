-- set_bucket: set a limit; what its bucket holds is kept, but for what the new one cannot owe.
-- Changes one row.
insert into limit_bucket (name, count, per_ms, burst, created_at)
values (:name, :count, :per_ms, :burst, :now)
on conflict do update
   set count = excluded.count,
       per_ms = excluded.per_ms,
       burst = excluded.burst,
       tat_ns = min(tat_ns, :empty_now);
