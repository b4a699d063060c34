-- ended_since: the jobs that ended since a moment, with how long they waited and how long their
-- last attempt ran.
select job.state, job.class,
       (select min(attempt.claimed_at) from attempt where attempt.job = job.id)
         - job.created_at as waited,
       last.ended_at - last.claimed_at as ran
  from job
  left join attempt as last on last.job = job.id and last.epoch = job.epoch
 where job.finished_at >= :since
   and job.state in ('completed', 'failed', 'cancelled')
   and (:queue is null or job.queue = :queue);
