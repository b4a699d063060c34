-- spread_line: move everybody from a place on further back, to make room in front of them.
-- Changes as many rows as jobs wait behind that place; needed after some twenty moves to the
-- same spot.
update job
   set position = position + :by
 where queue = :queue
   and state in ('scheduled', 'pending', 'blocked')
   and priority = :priority
   and position >= :position;
