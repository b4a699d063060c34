-- lane_to_reopen: whether reopen_lanes has anything to do.
-- Gives one row, or none when it has not.
select id
  from lane
 where shut_until is not null
   and (shut_until <= :now or shut_at > :now)
 limit 1;
