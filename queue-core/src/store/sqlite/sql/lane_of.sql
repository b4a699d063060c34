-- lane_of: the lane for jobs of these conditions.
-- Gives one row, or none when there is no such lane.
select id
  from lane
 where queue = :queue
   and kind = :kind
   and limits = :limits
   and gates = :gates
   and ways = :ways
   and concurrency_key = :concurrency_key
   and directory = :directory
   and budgets = :budgets
   and priority = :priority;
