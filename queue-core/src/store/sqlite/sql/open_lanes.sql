-- open_lanes: the lanes of a queue that are not shut, the one to serve first in front, page by
-- page: those after a rank, head and id.
select id, head, rank, limits, gates, ways, budgets, concurrency_key, directory
  from lane
 where queue = :queue
   and kind = :kind
   and head is not null
   and shut_until is null
   and (rank, head, id) > (:rank, :head, :id)
 order by rank, head, id
 limit :most;
