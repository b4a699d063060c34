-- refresh_queue_lanes: rank the lanes of a queue anew, after its ageing changed.
-- Changes the lanes in which a job is pending.
update lane
   set rank = (
         select job.queued_at - lane.priority
                  * iif(queue.ageing_ms > 0, queue.ageing_ms, 1000000000000)
           from job
           join queue on queue.name = lane.queue
          where job.lane = lane.id
            and job.state = 'pending'
            and job.position = lane.head)
 where queue = :queue
   and head is not null;
