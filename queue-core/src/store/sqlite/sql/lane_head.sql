-- lane_head: the first pending job of a lane, and how it ranks against the lane's head.
-- Gives one row, or none when the lane is empty.
select job.id, job.epoch, job.holder, job.attempt, job.name, job.position, job.queued_at
  from job
 where lane = :lane
   and state = 'pending'
 order by position
 limit 1;
