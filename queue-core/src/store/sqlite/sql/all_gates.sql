-- all_gates: every gate of which something is known or that a job passes which has not ended, in one
-- of its ways or in all, and how many jobs wait that pass it.
with passed as (
       select lane.id as lane, passed.value as name
         from lane
         join json_each(lane.gates) as passed
        where lane.gates <> '[]'
        union
       select lane.id, passed.value
         from lane
         join json_each(lane.ways) as way
         join json_each(way.value, '$.gates') as passed
        where lane.ways <> '[]')
select known.name, gate.*,
       (select count(*)
          from passed
          cross join job on job.lane = passed.lane
                        and job.finished_at is null
                        and job.state <> 'in_progress'
         where passed.name = known.name) as waiting
  from (select name from gate
        union
        select passed.name
          from passed
         where exists (
                 select 1
                   from job
                  where job.lane = passed.lane
                    and job.finished_at is null)) as known
  left join gate on gate.name = known.name
 where :name is null
    or known.name = :name
 order by known.name;
