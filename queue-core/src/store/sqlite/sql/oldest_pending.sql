-- oldest_pending: the pending job of a queue that joined the line first.
-- Gives one row, or none.
select job.id, job.queued_at
  from lane
  join job on job.lane = lane.id and job.state = 'pending' and job.position = lane.head
 where lane.queue = :queue
   and lane.head is not null
 order by job.queued_at, job.id
 limit 1;
