-- all_queues: the settings of every queue.
select name, paused_at, concurrency, ageing_ms
  from queue
 order by name;
