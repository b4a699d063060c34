-- copy_lane: make a lane like another one, but under these budgets.
-- Changes one row, or none when it is there.
insert into lane (queue, kind, limits, gates, ways, concurrency_key, directory, budgets, priority)
select queue, kind, limits, gates, ways, concurrency_key, directory, :budgets, priority
  from lane
 where id = :lane
on conflict do nothing;
