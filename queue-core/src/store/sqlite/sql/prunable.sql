-- prunable: ended jobs to remove, the oldest end first. One that a waiting or running job comes
-- after is kept: removing it must not look like its end.
select id,
       attempt
  from job
 where state = :state
   and finished_at < :before
   and (:queue is null or queue = :queue)
   and not exists (
         select 1
           from dependency
           join job as dependant on dependant.id = dependency.job
          where dependency.parent = job.id
            and dependant.finished_at is null)
 order by finished_at, id
 limit :most;
