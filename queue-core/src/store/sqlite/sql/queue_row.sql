-- queue_row: the settings of a queue.
-- Gives one row, or none when there is no such queue.
select name, paused_at, concurrency, ageing_ms
  from queue
 where name = :name;
