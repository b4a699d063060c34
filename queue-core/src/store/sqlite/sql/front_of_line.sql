-- front_of_line: the first place among the waiting jobs of a queue and priority.
-- Gives one row, or none where no other job waits.
select position, queued_at
  from job
 where queue = :queue
   and state in ('scheduled', 'pending', 'blocked')
   and priority = :priority
   and id <> :except
 order by position, queued_at
 limit 1;
