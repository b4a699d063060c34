-- lanes_in_use: the lanes of jobs that have not ended, with their budgets.
select id, budgets
  from lane
 where exists (select 1
                 from job
                where job.lane = lane.id
                  and job.finished_at is null);
