-- ensure_queue: create a queue on first use.
-- Changes one row, or none when it is there.
insert into queue (name, created_at)
values (:name, :now)
on conflict do nothing;
