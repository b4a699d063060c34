-- refresh_lane: note the first pending job of a lane, and how it ranks.
-- A job of priority p ranks as if it had joined the line p times the ageing earlier; strict
-- priorities count as an ageing of some thirty years.
-- Changes one row.
update lane
   set (head, rank) = (
         select job.position,
                job.queued_at - lane.priority
                  * iif(queue.ageing_ms > 0, queue.ageing_ms, 1000000000000)
           from job
           join queue on queue.name = lane.queue
          where job.lane = lane.id
            and job.state = 'pending'
          order by job.position
          limit 1)
 where id = :lane;
