-- forget_workers: drop workers that stopped, or were last seen, long ago.
-- Changes at most as many rows as are old.
delete from worker
 where seen_at < :before
   and not exists (
         select 1
           from job
          where job.state = 'in_progress'
            and job.worker = worker.id);
