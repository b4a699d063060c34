-- all_keys: the concurrency keys that were set or that waiting or running jobs have.
select key, max(places) as places,
       (select json_group_array(job.id)
          from job
         where job.concurrency_key = key
           and job.concurrency_key <> ''
           and job.state = 'in_progress') as running
  from (select key, places from concurrency_key
        union all
        select distinct concurrency_key, 1
          from lane
         where concurrency_key <> ''
           and concurrency_key not in (select key from concurrency_key)
           and (head is not null
                or exists (select 1
                             from job
                            where job.concurrency_key = lane.concurrency_key
                              and job.concurrency_key <> ''
                              and job.state = 'in_progress')))
 group by key
 order by key;
