-- neighbour_before: the place right before a place, in the line of a queue and priority.
-- Gives one row; null where there is none.
select max(position)
  from job
 where queue = :queue
   and state in ('scheduled', 'pending', 'blocked')
   and priority = :priority
   and id <> :except
   and position < :position;
