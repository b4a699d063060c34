-- place_of: where a job stands in its line.
-- Gives one row, or none when there is no such job.
select position, queued_at
  from job
 where id = :job;
