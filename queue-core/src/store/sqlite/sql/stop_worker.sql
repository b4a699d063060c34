-- stop_worker: note that a worker stopped in order.
-- Changes one row, or none when it is not known.
update worker
   set stopped_at = :now, seen_at = :now, shortage = null, short_since = null
 where id = :worker;
