-- ensure_lane: create a lane on first use.
-- Changes one row, or none when it is there.
insert into lane (queue, kind, limits, gates, ways, concurrency_key, directory, budgets, priority)
values (:queue, :kind, :limits, :gates, :ways, :concurrency_key, :directory, :budgets,
        :priority)
on conflict do nothing;
