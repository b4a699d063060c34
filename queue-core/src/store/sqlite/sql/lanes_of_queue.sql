-- lanes_of_queue: the lanes of a queue in which a job is pending.
select id
  from lane
 where queue = :queue
   and head is not null;
