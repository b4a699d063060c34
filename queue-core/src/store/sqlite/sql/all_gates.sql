-- all_gates: every gate of which something is known or that a job passes which has not ended, and
-- how many jobs wait that pass it.
select known.name, gate.*,
       (select count(*)
          from lane
          cross join job on job.lane = lane.id
                        and job.finished_at is null
                        and job.state <> 'in_progress'
         where exists (select 1 from json_each(lane.gates) where value = known.name)) as waiting
  from (select name from gate
        union
        select passed.value
          from lane
          join json_each(lane.gates) as passed
         where lane.gates <> '[]'
           and exists (
                 select 1
                   from job
                  where job.lane = lane.id
                    and job.finished_at is null)) as known
  left join gate on gate.name = known.name
 where :name is null
    or known.name = :name
 order by known.name;
