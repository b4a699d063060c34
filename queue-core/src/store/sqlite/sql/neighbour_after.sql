-- neighbour_after: the job right after a job, in the line of a queue and priority. Where two stand
-- on the same place, the older one goes first.
-- Gives one row, or none where that job is at the end.
select position, id
  from job
 where queue = :queue
   and state in ('scheduled', 'pending', 'blocked')
   and priority = :priority
   and id <> :except
   and (position, id) > (:position, :other)
 order by position asc, id asc
 limit 1;
