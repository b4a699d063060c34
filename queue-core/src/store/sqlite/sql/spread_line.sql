-- spread_line: move a job and everybody behind it further back, to make room in front of it.
-- Changes as many rows as jobs wait from there on; needed after some twenty moves to the same
-- spot.
update job
   set position = position + :by
 where queue = :queue
   and state in ('scheduled', 'pending', 'blocked')
   and priority = :priority
   and (position, id) >= (:position, :other);
