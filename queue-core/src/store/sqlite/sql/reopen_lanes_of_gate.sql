-- reopen_lanes_of_gate: let a gate decide anew, after it was changed.
-- Changes as many rows as lanes were shut by it.
update lane
   set shut_at = null, shut_until = null, shut_by = null, shut_by_gate = null
 where shut_by_gate = :gate;
