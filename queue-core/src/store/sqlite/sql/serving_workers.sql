-- serving_workers: how many workers that were seen lately serve a queue, and how many of them start jobs.
-- Gives one row.
select count(*) as alive,
       count(*) filter (where shortage is null) as starting
  from worker
 where stopped_at is null
   and seen_at > :since
   and (queues = '[]'
        or exists (select 1 from json_each(queues) where value = :queue));
