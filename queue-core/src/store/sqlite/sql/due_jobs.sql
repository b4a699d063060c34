-- due_jobs: scheduled jobs whose time has come.
select id
  from job
 where state = 'scheduled'
   and run_at <= :now
 order by run_at, id
 limit :most;
