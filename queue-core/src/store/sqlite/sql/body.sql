-- body: what an attempt of a job needs.
-- Gives one row, or none when there is no such job.
select job, command, cwd, env, options, result, origin
  from job_body
 where job = :job;
