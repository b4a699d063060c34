-- shut_lane: leave a lane out of the scan until its bucket has filled up.
-- Changes one row.
update lane
   set shut_at = :now, shut_until = :until, shut_by = :limit
 where id = :lane;
