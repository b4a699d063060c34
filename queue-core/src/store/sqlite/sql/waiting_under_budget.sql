-- waiting_under_budget: how many jobs of the scope of a budget wait, for whatever it is.
-- Gives one row.
select count(*)
  from lane
  cross join job on job.lane = lane.id
                and job.finished_at is null
                and job.state <> 'in_progress'
 where exists (select 1 from json_each(lane.budgets) where value = :budget);
