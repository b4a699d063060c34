-- attempts_since: how many attempts ended since a moment, and after how many of them another
-- one followed.
-- Gives one row.
select count(*) as attempts,
       count(*) filter (
         where attempt.class is not null
           and attempt.class
               not in ('snoozed', 'interrupted', 'cancelled', 'limit', 'auth', 'billing')
           and (job.epoch > attempt.epoch or job.state in ('scheduled', 'pending'))) as retries
  from attempt
  join job on job.id = attempt.job
 where attempt.ended_at >= :since
   and (:queue is null or job.queue = :queue);
