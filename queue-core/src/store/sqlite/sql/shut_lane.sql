-- shut_lane: leave a lane out of the scan until its bucket has filled up, or its gate opens.
-- Changes one row.
update lane
   set shut_at = :now, shut_until = :until, shut_by = :limit, shut_by_gate = :gate
 where id = :lane;
