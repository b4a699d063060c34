-- all_workers: every worker that is known, and how many jobs it holds.
select id, name, host, pid, version, concurrency, queues, started_at, seen_at, stopped_at, shortage,
       short_since,
       (select count(*)
          from job
         where job.state = 'in_progress'
           and job.worker = worker.id) as in_progress
  from worker
 order by id desc;
