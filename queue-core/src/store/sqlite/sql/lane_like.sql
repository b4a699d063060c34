-- lane_like: the lane that is like another one, but under these budgets.
-- Gives one row, or none when there is no such lane.
select twin.id
  from lane
  join lane as twin on twin.queue = lane.queue
                   and twin.kind = lane.kind
                   and twin.limits = lane.limits
                   and twin.gates = lane.gates
                   and twin.ways = lane.ways
                   and twin.concurrency_key = lane.concurrency_key
                   and twin.directory = lane.directory
                   and twin.budgets = :budgets
                   and twin.priority = lane.priority
 where lane.id = :lane;
