-- shut_lane_head: the bucket that shut a lane, and the first of the lane's jobs as noted.
-- Gives one row, or none when the lane is not shut.
select shut_by, head
  from lane
 where id = :lane
   and shut_until is not null;
