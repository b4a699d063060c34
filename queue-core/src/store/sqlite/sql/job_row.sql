-- job_row: a job's narrow row with the limits, gates, ways and budgets of its lane.
-- Gives one row, or none when there is no such job.
select job.*, lane.limits, lane.gates, lane.ways, lane.budgets
  from job
  join lane on lane.id = job.lane
 where job.id = :job;
