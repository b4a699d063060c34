-- unique_holder: the job that keeps others with this key out.
-- Gives one row, or none when the key is free. `kept` is what a newcomer asks for: it is also
-- refused by a job that has ended.
select id, state
  from job
 where unique_key = :key
   and (unique_while = 'kept'
        or (finished_at is null and (unique_while = 'live' or state <> 'in_progress')))
   and id <> :except
 order by id
 limit 1;
