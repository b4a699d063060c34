-- key_holders: the running jobs with a concurrency key, and its places.
select job.id, coalesce((select places from concurrency_key where key = :key), 1) as places
  from job
 where job.concurrency_key = :key
   and job.concurrency_key <> ''
   and job.state = 'in_progress'
 order by job.id;
