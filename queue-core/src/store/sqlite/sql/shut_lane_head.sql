-- shut_lane_head: the bucket that shut a lane, and the first of the lane's jobs as noted.
-- Gives one row, or none when no bucket shut the lane.
select shut_by, head
  from lane
 where id = :lane
   and shut_by is not null;
