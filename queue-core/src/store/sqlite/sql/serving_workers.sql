-- serving_workers: workers that were seen lately and serve a queue.
-- Gives one row.
select count(*)
  from worker
 where stopped_at is null
   and seen_at > :since
   and (queues = '[]'
        or exists (select 1 from json_each(queues) where value = :queue));
