-- see_worker: note that a worker is alive, once a second at the most.
-- Changes one row, or none.
update worker
   set seen_at = :now
 where id = :worker
   and (seen_at <= :now - 1000 or seen_at > :now);
