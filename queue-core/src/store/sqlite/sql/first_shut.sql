-- first_shut: the lane that goes first of those that a bucket shut, and until when it is shut.
-- Lanes of paused queues stand in nobody's way.
-- Gives one row, or none when nobody waits for the bucket.
select lane.rank, lane.head, lane.id, lane.shut_until
  from lane
  join queue on queue.name = lane.queue
 where lane.shut_by = :limit
   and lane.shut_until is not null
   and lane.head is not null
   and queue.paused_at is null
 order by lane.rank, lane.head
 limit 1;
