-- set_queue: write the settings of a queue.
-- Changes one row.
update queue
   set paused_at = :paused_at, concurrency = :concurrency, ageing_ms = :ageing_ms
 where name = :name;
