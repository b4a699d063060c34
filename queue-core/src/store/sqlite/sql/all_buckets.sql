-- all_buckets: every limit, and how many waiting jobs need it.
select name, count, per_ms, burst, tat_ns, spent,
       (select count(*)
          from lane
          cross join job on job.lane = lane.id
                        and job.finished_at is null
                        and job.state <> 'in_progress'
         where exists (
                 select 1
                   from json_each(lane.limits) as item
                  where item.value ->> 'name' = limit_bucket.name)) as waiting
  from limit_bucket
 where :name is null
    or name = :name
 order by name;
