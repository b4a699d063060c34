-- job_state: where a job stands.
-- Gives one row, or none when there is no such job.
select state
  from job
 where id = :job;
