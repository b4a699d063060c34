-- shut_lane: leave a lane out of the scan until its bucket has filled up, its gate opens or its
-- budget begins anew.
-- Changes one row.
update lane
   set shut_at = :now, shut_until = :until, shut_by = :limit, shut_by_gate = :gate,
       shut_by_budget = :budget
 where id = :lane;
