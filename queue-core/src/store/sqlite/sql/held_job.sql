-- held_job: the row of a job whose lease is still the one named.
-- Gives one row, or none when the lease is lost.
select job.*, lane.limits, lane.gates, lane.ways, lane.budgets
  from job
  join lane on lane.id = job.lane
 where job.id = :job
   and job.state = 'in_progress'
   and job.epoch = :epoch
   and job.holder = :holder;
