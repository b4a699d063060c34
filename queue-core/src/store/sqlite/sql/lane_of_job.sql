-- lane_of_job: the lane that a job belongs to.
-- Gives one row, or none when there is no such job.
select lane
  from job
 where id = :job;
