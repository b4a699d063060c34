-- short_workers: workers that were seen lately, serve a queue and start nothing for want of something.
-- The one that has waited the longest comes first.
select name, shortage, short_since
  from worker
 where stopped_at is null
   and seen_at > :since
   and shortage is not null
   and (queues = '[]'
        or exists (select 1 from json_each(queues) where value = :queue))
 order by short_since, id;
