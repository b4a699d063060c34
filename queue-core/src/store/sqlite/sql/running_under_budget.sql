-- running_under_budget: the attempts that a worker runs in the scope of a budget, of those that
-- began in a span.
select job.id, job.epoch, job.holder
  from job
  join lane on lane.id = job.lane
  join attempt on attempt.job = job.id
              and attempt.epoch = job.epoch
 where job.state = 'in_progress'
   and job.worker = :worker
   and attempt.claimed_at >= :from
   and exists (select 1 from json_each(lane.budgets) where value = :budget);
