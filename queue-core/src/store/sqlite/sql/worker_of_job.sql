-- worker_of_job: the name of the worker that holds a job.
-- Gives one row, or none.
select worker.name
  from job
  join worker on worker.id = job.worker
 where job.id = :job;
