-- neighbour_after: the place right after a place, in the line of a queue and priority.
-- Gives one row; null where there is none.
select min(position)
  from job
 where queue = :queue
   and state in ('scheduled', 'pending', 'blocked')
   and priority = :priority
   and id <> :except
   and position > :position;
