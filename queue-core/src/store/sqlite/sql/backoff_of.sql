-- backoff_of: the retry policy of a job, as it is written.
-- Gives one row, or none when there is no such job.
select backoff
  from job
 where id = :job;
