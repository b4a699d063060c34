-- job_limits_waiting: the lanes that need a limit, with their cost and their jobs that have
-- not ended.
select lane.id,
       (select max(item.value ->> 'cost')
          from json_each(lane.limits) as item
         where item.value ->> 'name' = :name) as cost,
       (select count(*)
          from job
         where job.lane = lane.id
           and job.finished_at is null) as waiting,
       (select min(job.id)
          from job
         where job.lane = lane.id
           and job.finished_at is null) as first
  from lane
 where exists (
         select 1
           from json_each(lane.limits) as item
          where item.value ->> 'name' = :name);
